package config

import (
	"strings"
	"testing"
)

func TestPendingSaysWhatIsNotBuilt(t *testing.T) {
	quiet := mustParse(t, "ledger: {redis: embedded, shards: 4}\nupstreams: [{name: a, kind: bigmodel, base_url: 'http://h', models: [m]}]")
	if len(quiet.Pending()) != 0 {
		t.Errorf("pending = %q, want nothing", quiet.Pending())
	}
	c := mustParse(t, designBlock, "TOLLGATE_ADMIN_TOKEN=t", "BIGMODEL_API_KEY=b", "ANTHROPIC_API_KEY=a")
	all := strings.Join(c.Pending(), "\n")
	for _, want := range []string{"claude is of kind anthropic"} {
		if !strings.Contains(all, want) {
			t.Errorf("pending lacks %q:\n%s", want, all)
		}
	}
	if len(c.Pending()) != 1 {
		t.Errorf("pending = %q, want 1 sentence", c.Pending())
	}
}
