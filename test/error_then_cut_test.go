package e2e

import (
	"net/http"
	"testing"
)

// A stream in which the upstream says nothing but that it failed costs nothing,
// however its connection ends.
func TestStreamOfAnErrorThatIsCutCostsNothing(t *testing.T) {
	for name, end := range map[string]func(*http.Request){"ended": endWell, "cut": breakOff} {
		t.Run(name, func(t *testing.T) {
			w, p, key := behind(t, streams(end, ": keep-alive\n\n"+`data: {"error":{"message":"overloaded","type":"server_error"}}`+"\n\n"))
			p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed))
			equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0")
		})
	}
}
