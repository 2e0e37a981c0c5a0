package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The demo stands alone: no Redis, no config, no upstream.
func TestDemo(t *testing.T) {
	w := &world{t: t, dir: t.TempDir()}
	p := w.start("demo", "--listen", "127.0.0.1:0")
	base, key := regexp.MustCompile(`http://127\.0\.0\.1:[1-9]\d*/v1`), regexp.MustCompile(`tg-[a-z0-9]+-[A-Za-z0-9_-]+`)
	eventually(t, "the demo prints base_url, key and curl lines", func() bool {
		said := p.stdout.String()
		select {
		case <-p.ended:
			t.Fatalf("the demo ended:\n%s%s", said, p.stderr)
		default:
		}
		return base.MatchString(said) && key.MatchString(said) && strings.Count(said, "curl ") >= 4
	})
	said := p.stdout.String()
	for _, path := range []string{"/chat/completions", "/embeddings", "/images/generations", `"stream"`} {
		if !strings.Contains(said, path) {
			t.Errorf("no curl line for %s:\n%s", path, said)
		}
	}
	p.url = strings.TrimSuffix(base.FindString(said), "/v1")
	secret := key.FindString(said)
	model := modelOf(said)
	said = p.stdout.String()
	p.post(chatPath, secret, `{"model":"`+model+`","messages":[{"role":"user","content":"Hello"}]}`).requireStatus(t, 200)
	eventually(t, "its receipt appears", func() bool {
		receipt := p.stdout.String()[len(said):]
		return strings.Contains(receipt, model) && strings.Contains(receipt, "fee")
	})
	p.signal(os.Interrupt)
	equal(t, "exit code", p.wait(), 0)
}

// modelOf is the model of the first curl line.
func modelOf(said string) string {
	found := regexp.MustCompile(`"model":\s*"([^"]+)"`).FindStringSubmatch(said)
	if found == nil {
		return "gpt-4o"
	}
	return found[1]
}
