package e2e

import (
	"strings"
	"testing"
)

// What can be no id of anything is not looked for: it may be as long as a body.
func TestOddIDsAreNotLookedFor(t *testing.T) {
	_, p, key := acme(t)
	asked := p.metric(`tollgate_ledger_seconds_count{op="object",outcome="ok"}`)
	for _, id := range []string{strings.Repeat("x", 1<<20), "a b", "x/y"} {
		r := p.post(responsesPath, key, says("gpt-4o", goesOn(id)))
		r.requireStatus(t, 404)
		equal(t, "code", r.get("error.code").String(), "object_not_found")
	}
	equal(t, "questions to the ledger", p.metric(`tollgate_ledger_seconds_count{op="object",outcome="ok"}`), asked)
}
