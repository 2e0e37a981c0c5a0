package proxy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// forwarded is a call that has its hold, and is with its upstream; a token costs 1.
func forwarded(t *testing.T, path, body string) *call {
	t.Helper()
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "p.yaml", Data: []byte(
		"currency: CNY\nprices:\n  - {models: [glm-4.6], rates: {input: 1, output: 1, image: 1}}\n",
	)}}})
	if err != nil {
		t.Fatal(err)
	}
	routing, err := newRouting(book, []Upstream{{Name: "only", BaseURL: "http://upstream.example/v1", Models: []ModelRule{{Pattern: "*"}}}})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{
		proxy: idleProxy(), routing: routing, endpoint: meter.FindEndpoint(path), hold: &ledger.Hold{},
		r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1"+path, http.NoBody),
	}
	if err := c.understand([]byte(body)); err != nil {
		t.Fatal(err)
	}
	c.choose(c.candidates[0])
	return c
}

func forwardedChat(t *testing.T) *call {
	t.Helper()
	return forwarded(t, "/chat/completions", `{"model":"glm-4.6","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`)
}

// More than one call can be charged is no usage: what was held is booked, and the
// receipt says that it is not the upstream's number.
func TestUsageThatCannotBeChargedCostsTheQuote(t *testing.T) {
	c := forwardedChat(t)
	s := c.settlement(meter.Usage{Quantities: meter.Quantities{meter.Output: 1 << 30}, Source: meter.FromUpstream})
	if s.Charge.Fee != c.quote.Fee || s.Source != meter.Estimated || !slices.Equal(s.Anomalies, []string{"usage_out_of_range"}) {
		t.Errorf("charged %s of %s, by %s, with %v", s.Charge.Fee, c.quote.Fee, s.Source, s.Anomalies)
	}
}

// The model that an answer names is noted if it is not the one that was asked for.
func TestTheAnswersModelIsNoted(t *testing.T) {
	for model, want := range map[string]string{"glm-4.6-0930": "glm-4.6-0930", "glm-4.6": "", "": ""} {
		if got := forwardedChat(t).settlement(meter.Usage{Model: model}).AnswerModel; got != want {
			t.Errorf("an answer by %q: noted %q, want %q", model, got, want)
		}
	}
}

// If it is the tap that panics, nobody knows what came: what it was asked is not
// free for that.
func TestATapThatPanicsIsChargedTheInput(t *testing.T) {
	c := forwardedChat(t)
	c.tap.set(new(meter.Tap))
	if u := c.usageAfterPanic(); u.Source != meter.Estimated || u.Quantities[meter.Input] == 0 || u.Quantities[meter.Output] != 0 {
		t.Errorf("used %v from %s", u.Map(), u.Source)
	}
}

// A checkpoint charges what was delivered: nothing, as long as that is nothing or
// comments alone, however much has come.
func TestCheckpointIsOfWhatWasDelivered(t *testing.T) {
	const content = `data: {"choices":[{"delta":{"content":"Hello there."}}]}` + "\n\n"
	for _, c := range []struct {
		what, contentType, came string
		delivered, charged      bool
	}{
		{"no answer yet", "", "", false, false},
		{"an answer that is kept", "application/json", `{"choices":[{"message":{"content":"Hello`, false, false},
		{"comments", "text/event-stream", ": keep-alive\n\n", true, false},
		{"a part of a stream", "text/event-stream", content, true, true},
	} {
		call := forwardedChat(t)
		if c.contentType != "" {
			tap := call.request.NewTap(c.contentType)
			tap.Pass(nil, []byte(c.came))
			call.tap.set(tap)
		}
		call.client.delivered.Store(c.delivered)
		checkpoint, ok := call.checkpoint()
		if charged := checkpoint.Charge.Fee > 0; !ok || charged != c.charged {
			t.Errorf("%s: a checkpoint of %s, %t", c.what, checkpoint.Charge.Fee, ok)
		}
	}
}

// Of an answer that was cut before any of it came, what was asked for is charged;
// of one that only says that it failed, nothing.
func TestPartOfAnAnswerOfWhichNothingCame(t *testing.T) {
	for came, images := range map[string]int64{"": 2, `{"error":{"message":"overloaded"}`: 0} {
		c := forwarded(t, "/images/generations", `{"model":"glm-4.6","prompt":"a cat","n":2}`)
		tap := c.request.NewTap("application/json")
		tap.Pass(nil, []byte(came))
		c.tap.set(tap)
		if u := c.partialUsage(); u.Source != meter.Estimated || u.Quantities[meter.Image] != images {
			t.Errorf("%q: used %v from %s, want %d images", came, u.Map(), u.Source, images)
		}
	}
}
