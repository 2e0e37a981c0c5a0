package proxy

import "testing"

// What a call has made is not known before its charge is booked: the ledger may refuse that, and then nobody goes on from it.
func TestWhatIsNotBookedIsNotKept(t *testing.T) {
	c := forwarded(t, "/responses", `{"model":"glm-4.6","max_output_tokens":5,"input":"hi"}`)
	tap := c.request.NewTap("application/json")
	tap.Pass(nil, []byte(`{"id":"resp_1","status":"completed","output":[{"id":"msg_1"}]}`))
	c.tap.set(tap)
	c.whole = true
	usage := tap.Usage()
	made := c.made(&usage)
	if len(made) != 2 {
		t.Fatalf("made %v", made)
	}
	for _, o := range made {
		if got := c.proxy.kept.get(c.hold.Account, o.ID); got != "" {
			t.Errorf("%s is known: %q", o.ID, got)
		}
	}
}
