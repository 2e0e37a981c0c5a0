package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// A client that left before any answer pays for its prompt when the call is cut,
// though it is a shutdown that cuts it.
func TestShutdownCutsACallThatWasLeft(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	begin(t, p, key, chat("gpt-4o", "hang"), func() bool { return w.up.Stats().InFlight == 1 }).leave()
	p.signal(syscall.SIGTERM)
	eventually(t, "it drains", func() bool { return strings.Contains(p.stderr.String(), `"draining: `) })
	p.signal(syscall.SIGTERM)
	equal(t, "exit code", p.wait(), 0)
	charge := w.onlyCharge("acme")
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	if charge.Get("usage.input").Int() <= 0 || charge.Get("usage.output").Int() != 0 {
		t.Errorf("usage %s, want the prompt alone", charge.Get("usage").Raw)
	}
}
