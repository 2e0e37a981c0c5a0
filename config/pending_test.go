package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestPendingSaysWhatIsNotBuilt(t *testing.T) {
	quiet := mustParse(t, "ledger: {redis: embedded, shards: 4}\nupstreams: [{name: a, kind: bigmodel, base_url: 'http://h', models: [m], shared_objects: true}]\nadmin: {token: ''}")
	if len(quiet.Pending()) != 0 {
		t.Errorf("pending = %q, want nothing", quiet.Pending())
	}
	c := mustParse(t, designBlock, "TOLLGATE_ADMIN_TOKEN=t", "BIGMODEL_API_KEY=b", "ANTHROPIC_API_KEY=a")
	if len(c.Pending()) != 0 {
		t.Errorf("pending = %q, want nothing", c.Pending())
	}
	gemini := mustParse(t, "upstreams: [{name: g, kind: gemini, base_url: 'http://h', models: [m]}]")
	if len(gemini.Pending()) != 0 || gemini.Upstreams[0].Pending() {
		t.Errorf("pending = %q, want nothing", gemini.Pending())
	}
	azure := "upstreams: [{name: az, kind: azure, base_url: '%s', models: [m]}]"
	if c := mustParse(t, fmt.Sprintf(azure, "https://x.openai.azure.com/openai/v1/")); len(c.Pending()) != 0 || c.Upstreams[0].Pending() {
		t.Errorf("pending = %q, want nothing", c.Pending())
	}
	older := mustParse(t, fmt.Sprintf(azure, "https://x.openai.azure.com/openai"))
	if all := strings.Join(older.Pending(), "\n"); !strings.Contains(all, "az is not used: of Azure the v1 API is built") || !older.Upstreams[0].Pending() {
		t.Errorf("pending = %q", all)
	}
}
