package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// NO-LOST, P3: a settlement log that is removed, or exchanged, under a running
// proxy keeps no promise over a restart. So none is made, and no call admitted.
func TestLogTakenAway(t *testing.T) {
	for name, take := range map[string]func(dir string) error{
		"removed": os.RemoveAll,
		"moved":   func(dir string) error { return os.Rename(dir, dir+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := acme(t, synced)
			logs := filepath.Join(p.cmd.Dir, "data", "settlements")

			// Redis is there: what is in flight is booked, and nothing new admitted.
			answers, open := inFlight(t, w, p, key, 2)
			if err := take(logs); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the proxy is not ready", func() bool {
				r, err := http.Get(p.admin + "/readyz")
				if err != nil {
					return false
				}
				defer r.Body.Close()
				why, _ := io.ReadAll(r.Body)
				return r.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(why), "was removed, moved or exchanged")
			})
			open()
			ids := wholeAnswers(t, answers, 2, func(reply) {})
			refusal{status: 503, code: "metering_unavailable", kind: "server_error"}.require(t, p.post(chatPath, key, chat("gpt-4o", "usage=1,1")))
			w.requireCharged("acme", ids)
			w.requireSettled("acme")
			p.stop()

			// Redis is away, too: no answer ends with a promise that nobody can keep. Nor
			// is it said to cost nothing: the proxy books it if it lives until Redis is back.
			p = w.serve()
			answers, open = inFlight(t, w, p, key, 2)
			_ = os.RemoveAll(logs + ".old")
			if err := take(logs); err != nil {
				t.Fatal(err)
			}
			w.redis.Stop()
			open()
			for range 2 {
				r := <-answers
				if r.status == http.StatusOK && (r.err == nil || whole(r)) {
					t.Errorf("an answer ended, pending %q: %s", receiptOf(r, "x-tollgate-pending"), tail(r.body))
				}
				if cost := receiptOf(r, "x-tollgate-cost"); cost != "" {
					t.Errorf("a withheld answer is said to cost %s", cost)
				}
				if r.status == http.StatusServiceUnavailable && !strings.Contains(r.get("error.message").String(), "there is a receipt of request req_") {
					t.Errorf("who is refused an answer is not told where to look: %s", r.body)
				}
				ids = append(ids, r.header.Get("x-request-id"))
			}
			w.redis.Start()
			w.requireCharged("acme", ids)
			p.kill()
		})
	}
}
