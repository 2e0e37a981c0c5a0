package e2e

import "testing"

// An upstream that answers at once, though it was asked to in the background, and calls each answer the same, is paid for each.
func TestResponseInTheBackgroundThatIsThereAtOnce(t *testing.T) {
	w, p, key, up := behindOddUpstream(t)
	up.made.Store(anOddResponse("resp_1", "completed", saysHi+usage150))
	for range 2 {
		r := p.post(responsesPath, key, says("gpt-4o", background))
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", "0.0025")
	}
	equal(t, "charges", len(w.entries("acme", "charge")), 2)
	w.requireSettled("acme")
}
