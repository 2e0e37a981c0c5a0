package config

import (
	"strings"
	"testing"
)

func TestPendingSaysWhatIsNotBuilt(t *testing.T) {
	quiet := mustParse(t, "ledger: {redis: embedded, shards: 4}\nupstreams: [{name: a, kind: bigmodel, base_url: 'http://h', models: [m]}]\nadmin: {token: ''}")
	if len(quiet.Pending()) != 0 {
		t.Errorf("pending = %q, want nothing", quiet.Pending())
	}
	c := mustParse(t, designBlock, "TOLLGATE_ADMIN_TOKEN=t", "BIGMODEL_API_KEY=b", "ANTHROPIC_API_KEY=a")
	all := strings.Join(c.Pending(), "\n")
	for _, want := range []string{"claude is of kind anthropic", "the admin API is not built yet"} {
		if !strings.Contains(all, want) {
			t.Errorf("pending lacks %q:\n%s", want, all)
		}
	}
	if len(c.Pending()) != 2 {
		t.Errorf("pending = %q, want 2 sentences", c.Pending())
	}
	shared := mustParse(t, "upstreams: [{name: a, base_url: 'http://h', models: [m], shared_objects: true}]")
	if all := strings.Join(shared.Pending(), "\n"); !strings.Contains(all, "a.shared_objects has no effect yet") {
		t.Errorf("pending = %q", all)
	}
}
