package e2e

import (
	"strings"
	"testing"
)

// What was said before is held for, though its usage was told in another way, or not at all.
func TestWhatWasSaidIsHeldForWithoutUsage(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		least  int64
	}{
		"a total alone":       {anOddResponse("resp_1", "completed", saysHi+`,"usage":{"total_tokens":5000}`), 5000},
		"failed":              {anOddResponse("resp_1", "failed", `,"error":{"code":"server_error","message":"x"},"output":[],"usage":null`), 7000},
		"without usage":       {anOddResponse("resp_1", "completed", saysHi), 7000},
		"more than can be":    {anOddResponse("resp_1", "completed", saysHi+`,"usage":{"input_tokens":9007199254740991,"output_tokens":5}`), 7000},
		"more than anything":  {anOddResponse("resp_1", "completed", saysHi+`,"usage":{"input_tokens":90071992547409910000,"output_tokens":5}`), 7000},
		"a negative quantity": {anOddResponse("resp_1", "completed", saysHi+`,"usage":{"input_tokens":-5000,"output_tokens":5}`), 7000},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key, up := behindOddUpstream(t)
			up.made.Store(c.answer)
			p.post(responsesPath, key, `{"model":"gpt-4o","input":"`+strings.Repeat("x y ", 7000/4)+`"}`).requireStatus(t, 200)
			for _, on := range []string{goesOn("resp_1"), `"previous_response_id":"resp_1","instructions":null`} {
				quote := p.post("/v1/quote", key, says("gpt-4o", on))
				quote.requireStatus(t, 200)
				if held := quote.get(`lines.#(dimension=="input").quantity`).Int(); held < c.least {
					t.Errorf("%d tokens are held for, want %d", held, c.least)
				}
			}
			w.requireSettled("acme")
		})
	}
}
