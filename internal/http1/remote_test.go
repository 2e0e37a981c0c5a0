package http1

import (
	"io"
	"net/http"
	"testing"
)

// A key may be for some networks alone: at every request of a connection the handler knows whose it is.
func TestTheHandlerKnowsTheClientsAddress(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) })
	for range 2 {
		c := dial(t, address)
		for range 2 {
			if _, said := c.get("/"); said != c.LocalAddr().String() {
				t.Errorf("%s is taken for %q", c.LocalAddr(), said)
			}
		}
	}
}
