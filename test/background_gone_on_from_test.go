package e2e

import (
	"strings"
	"testing"
)

// Nobody goes on from a response in the background before its end was told, at an upstream whose objects are anybody's either: what is
// in it would be read without being paid for.
func TestNobodyGoesOnFromWhatIsNotPaidFor(t *testing.T) {
	w, p, key, others := twoAccounts(t)
	path, _ := p.submitResponse(key, "usage=100,50;polls=0")
	id := strings.TrimPrefix(path, responsesPath+"/")
	served := w.up.Stats().Requests
	for _, asking := range []string{key, others} {
		r := p.post(responsesPath, asking, says("gpt-4o", goesOn(id)))
		refusal{status: 404, code: "object_not_found", final: true}.require(t, r)
		equal(t, "param", r.get("error.param").String(), "previous_response_id")
		equal(t, "quoted", p.post("/v1/quote", asking, says("gpt-4o", goesOn(id))).status, 404)
	}
	equal(t, "asked upstream", w.up.Stats().Requests, served)
	p.get(path, key).requireStatus(t, 200)
	p.post(responsesPath, key, says("gpt-4o", goesOn(id))).requireStatus(t, 200)
	kept, _ := p.keptResponse(key)
	p.post(responsesPath, others, says("gpt-4o", goesOn(kept))).requireStatus(t, 200) // what is paid for is anybody's there
	w.requireSettled("acme")
}
