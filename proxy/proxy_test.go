package proxy

import (
	"strings"
	"testing"
	"time"
)

// What a proxy is made of is checked as a whole: all that is wrong is said at once.
func TestNewSaysAllThatIsWrong(t *testing.T) {
	_, err := New(Options{Book: emptyBook(t), Policy: Policy{QuotaStatus: 403, OnDisconnect: "wait", Drain: -time.Second}, Upstreams: []Upstream{{}}})
	for _, want := range []string{"ledger, price book and logger", "quota_status is 403: want 429 or 402", `on_disconnect is "wait": want drain or cancel`, "must not be negative", "needs a name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	for _, p := range []Policy{{DefaultMaxOutput: -1}, {MaxBody: -1}, {MaxKept: -1}} {
		if _, err := p.withDefaults(); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}
