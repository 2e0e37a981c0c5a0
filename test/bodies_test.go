package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The memory of bodies is used again. Each upstream request must be what its
// own client sent, whatever goes on beside it, of whatever size.
func TestBodiesAreTheirOwn(t *testing.T) {
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop","message":`+
			`{"role":"assistant","content":%q}}],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}`, digestOf(string(body)))
	}))
	defer mirror.Close()
	w := newWorld(t, func(s *settings) {
		s.upstreams = fmt.Sprintf("  - {name: mirror, base_url: %q, api_key: %q, models: [\"*\"]}\n", mirror.URL+"/v1", upstreamKey)
	})
	w.account("acme", "100")
	key, _ := w.key("acme")
	p := w.serve()

	sizes := []int{1, 500, 3_000, 5_000, 9_000, 70_000, 300_000}
	const clients, calls = 16, 21
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := range calls {
				text := strings.Repeat(fmt.Sprintf("%d-%d ", client, i), 1+sizes[(client+i)%len(sizes)]/5)
				body := `{"model":"gpt-4o","messages":[{"role":"user","content":"` + text + `"}]}`
				r := p.send(http.MethodPost, chatPath, key, body)
				if got := r.get("choices.0.message.content").String(); r.status != http.StatusOK || got != digestOf(body) {
					t.Errorf("client %d, call %d, %d bytes: status %d, the upstream got another body (%.200s)", client, i, len(body), r.status, r.body)
					return
				}
			}
		})
	}
	all.Wait()
	equal(t, "charges", len(w.entries("acme", "charge")), clients*calls)
	w.requireAudit()
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
