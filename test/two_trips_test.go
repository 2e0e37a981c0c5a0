package e2e

import (
	"maps"
	"regexp"
	"strconv"
	"testing"
)

var ledgerCalls = regexp.MustCompile(`(?m)^tollgate_ledger_seconds_count\{op="(\w+)",outcome="\w+"\} (\d+)$`)

// asked is how often a proxy has asked the ledger, by what for; what it looks after by itself is left out.
func (p *process) asked() map[string]int {
	found := map[string]int{}
	for _, m := range ledgerCalls.FindAllStringSubmatch(p.metrics(), -1) {
		switch n, _ := strconv.Atoi(m[2]); m[1] {
		case "sweep", "due", "extend", "expire", "watermark":
		default:
			found[m[1]] += n
		}
	}
	return found
}

// A call asks the ledger twice, whatever comes of it, and one that is refused once.
func TestACallAsksTheLedgerTwice(t *testing.T) {
	_, p, key := acme(t)
	for name, c := range map[string]struct{ body, then string }{
		"an answer":           {chat("gpt-4o", "usage=1,1"), "settle"},
		"a stream":            {chat("gpt-4o", "usage=1,1", streamed), "settle"},
		"a stream that broke": {chat("gpt-4o", "usage=1,1;cut=mid-body", streamed), "settle"},
		"an upstream's error": {chat("gpt-4o", "status=500"), "release"},
		"no answer":           {chat("gpt-4o", "close"), "release"},
		"a refusal":           {chat("gpt-4o", "usage=1,1", `"max_tokens":9000000`), ""},
	} {
		want := p.asked()
		want["reserve"]++
		if c.then != "" {
			want[c.then]++
		}
		p.send("POST", chatPath, key, c.body)
		eventually(t, "the call is over", func() bool { return p.metric("tollgate_calls_in_flight") == 0 })
		if asked := p.asked(); !maps.Equal(asked, want) {
			t.Errorf("%s: asked %v, want %v", name, asked, want)
		}
	}
}
