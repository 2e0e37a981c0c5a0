package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// acme is a world with an account of 10 and a proxy.
func acme(t *testing.T, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	w = newWorld(t, change...)
	w.account("acme", "10")
	key, _ = w.key("acme")
	p = w.serve()
	return w, p, key
}

// behind is acme, served by an upstream of which only this is known, and what
// more its entry in the configuration says.
func behind(t *testing.T, answer http.HandlerFunc, more ...string) (w *world, p *process, key string) {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	w = newWorld(t)
	w.account("acme", "10")
	key, _ = w.key("acme")
	w.withUpstreams(w.upstreamItem("odd", server.URL, strings.Join(more, "")))
	p = w.serve()
	return w, p, key
}

// What is no answer to what was asked is no answer.
func TestUpstreamAnswersOddly(t *testing.T) {
	for _, head := range map[string]string{
		"switches protocols": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"endless head":       "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 2000),
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, head)
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}))
		w := newWorld(t)
		w.account("acme", "10")
		key, _ := w.key("acme")
		w.withUpstreams(w.upstreamItem("odd", server.URL, ""))
		r := w.serve().post(chatPath, key, chat("gpt-4o", "usage=1,1"))
		refusal{status: 502, code: "upstream_unavailable"}.require(t, r)
		w.requireNoCharge("acme")
		server.Close()
	}
}

// hangingURL is the address of an upstream whose refusals do not come to their end.
func hangingURL(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the leaving is noticed
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// deadURL is an address where nothing listens.
func deadURL(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

// withUpstreams replaces the config's upstreams before the proxy starts.
func (w *world) withUpstreams(items ...string) {
	w.t.Helper()
	w.made.upstreams = strings.Join(items, "")
	w.writeConfig()
}

// streams takes a request in, sends these pieces of a stream, each by itself, and
// then does what end says: nothing in them ends the stream well.
func streams(end func(*http.Request), pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range pieces {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
		end(r)
	}
}

func endWell(*http.Request)  {}
func breakOff(*http.Request) { panic(http.ErrAbortHandler) }

func fallSilent(r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// P4: an upstream that is not there costs nothing.
func TestUpstreamRefusesTheConnection(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("dead", deadURL(t), ""))
	p := w.serve()
	for _, body := range []string{chat("gpt-4o", "usage=1,1"), chat("gpt-4o", "usage=1,1", streamed)} {
		r := p.post(chatPath, key, body)
		r.requireStatus(t, 502)
		equal(t, "code", r.get("error.code").String(), "upstream_unavailable")
	}
	equal(t, "attempts", p.metric(`tollgate_upstream_attempts_total{outcome="error",upstream="dead"}`), 2)
	w.requireNoCharge("acme")
}

// P4: an upstream that closes the connection without an answer costs nothing.
func TestUpstreamClosesTheConnection(t *testing.T) {
	w, p, key := acme(t)
	r := p.post(chatPath, key, chat("gpt-4o", "close"))
	r.requireStatus(t, 502)
	equal(t, "code", r.get("error.code").String(), "upstream_unavailable")
	w.requireNoCharge("acme")
}

// P4: an upstream that does not answer in time is cut, and costs nothing.
func TestUpstreamTimesOut(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("slow", w.up.url, ", timeout: 300ms"))
	p := w.serve()
	r := p.post(chatPath, key, chat("gpt-4o", "hang"))
	r.requireStatus(t, 504)
	equal(t, "code", r.get("error.code").String(), "upstream_timeout")
	w.requireNoCharge("acme")
	eventually(t, "the upstream notices that it was cut", func() bool { return w.up.Stats().AbortedByClient == 1 })
	if want := `tollgate_upstream_attempts_total{outcome="error",upstream="slow"} 1`; !strings.Contains(p.metrics(), want) {
		t.Errorf("no %s in the metrics", want)
	}
}

// P4: nor does one that falls silent in the middle of what it has not told to its end.
func TestUpstreamFallsSilentInAJSONAnswer(t *testing.T) {
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"Hello`)
		_ = http.NewResponseController(w).Flush()
		fallSilent(r)
	}, ", timeout: 300ms")
	refusal{status: 504, code: "upstream_timeout"}.require(t, p.post(chatPath, key, chat("gpt-4o", "x")))
	w.requireNoCharge("acme")
}

// P7: the upstream's own errors pass as they are, and cost nothing.
func TestUpstreamErrorsPass(t *testing.T) {
	cases := []struct {
		model, directive, retryAfter string
		status                       int
	}{
		{"gpt-4o", "status=429;retry-after=7", "7", 429},
		{"gpt-4o", "status=500", "", 500},
		{"gpt-4o", "status=503;retry-after=2", "2", 503},
		{"gpt-4o", "status=400", "", 400},
		{"glm-4.6", "status=429", "1", 429},
	}
	w, p, key := acme(t)
	var asked int64
	for _, c := range cases {
		for _, more := range []string{`"n":1`, streamed} {
			r := p.post(chatPath, key, chat(c.model, c.directive, more))
			asked++
			equal(t, c.directive+": status", r.status, c.status)
			equal(t, c.directive+": requests upstream", w.up.Stats().Requests, asked) // stream_options are not what it refuses
			equal(t, c.directive+": body", r.body, string(w.up.lastSent()))
			equal(t, c.directive+": Retry-After", r.header.Get("Retry-After"), c.retryAfter)
			if id := r.header.Get("x-request-id"); !strings.HasPrefix(id, "req_") || strings.HasPrefix(id, "req_mock") {
				t.Errorf("%s: x-request-id %q", c.directive, id)
			}
			requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", "10")
		}
	}
	w.requireNoCharge("acme")
}

// A JSON answer that breaks off reaches nobody, so nobody pays for it.
func TestUpstreamBreaksOffAJSONAnswer(t *testing.T) {
	for _, where := range []string{"head", "mid-body", "end", "clean"} {
		t.Run(where, func(t *testing.T) {
			w, p, key := acme(t)
			r := p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;cut="+where))
			equal(t, "status", r.status, 502)
			equal(t, "code", r.get("error.code").String(), "upstream_unavailable")
			w.requireNoCharge("acme")
		})
	}
}

// One that is too large to be kept has gone out in part, which is charged; it must not look whole.
func TestUpstreamBreaksOffALargeJSONAnswer(t *testing.T) {
	for _, where := range []string{"mid-body", "clean"} {
		w, p, key := acme(t)
		r := p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;bytes=30000000;cut="+where))
		equal(t, where+": status", r.status, 200)
		if r.err == nil {
			t.Errorf("%s: the part looks whole", where)
		}
		equal(t, where+": source", w.onlyCharge("acme").Get("usage_source").String(), "estimated")
	}
}

// A stream that breaks off is charged for what came, once, as an estimate.
func TestUpstreamBreaksOffAStream(t *testing.T) {
	for _, where := range []string{"mid-body", "mid-frame", "clean"} {
		t.Run(where, func(t *testing.T) {
			w, p, key := acme(t)
			r := p.send("POST", chatPath, key, chat("gpt-4o", "bytes=4000;chunks=40;cut="+where, streamed))
			equal(t, "status", r.status, 200)
			if !strings.Contains(r.body, "Hello") || strings.Contains(r.body, "[DONE]") {
				t.Errorf("the client got %q", tail(r.body))
			}
			if where != "clean" && r.err == nil {
				t.Error("the client was told that the part is the whole")
			}
			charge := w.onlyCharge("acme")
			equal(t, "source", charge.Get("usage_source").String(), "estimated")
			if output := charge.Get("usage.output").Int(); output <= 0 || output > 1000 {
				t.Errorf("%d tokens of output charged for half of a reply of 1000", output)
			}
		})
	}
}

// A 200 without usage is never free.
func TestUpstreamWithoutUsage(t *testing.T) {
	for _, directive := range []string{"no-usage", "null-usage", "usage=0,0"} {
		for _, more := range []string{`"n":1`, streamed} {
			w, p, key := acme(t)
			p.post(chatPath, key, chat("glm-4.6", directive+";bytes=400", more)).requireStatus(t, 200)
			charge := w.onlyCharge("acme")
			equal(t, directive+": source", charge.Get("usage_source").String(), "estimated")
			if charge.Get("usage.input").Int() <= 0 || charge.Get("usage.output").Int() <= 10 || charge.Get("fee").String() == "0" {
				t.Errorf("%s: charged %s for %s", directive, charge.Get("fee"), charge.Get("usage").Raw)
			}
			p.stop()
		}
	}
}

// Nor is an image that is priced by the token, of which nobody says how many.
func TestTokenPricedImageWithoutUsage(t *testing.T) {
	byToken := func(s *settings) {
		s.prices = testPrices + "  - {models: [gpt-image-1], endpoints: [images], rates: {input: 5/1M, output: 40/1M}}\n"
	}
	w, p, key := acme(t, byToken)
	reply := p.post(imagePath, key, image("gpt-image-1", "images=1;no-usage"))
	reply.requireStatus(t, 200)
	equal(t, "source", reply.header.Get("x-tollgate-usage-source"), "estimated")
	charge := w.onlyCharge("acme")
	equal(t, "usage", charge.Get("usage").Raw, `{"image":1,"input":3,"output_image":4160}`)
	equal(t, "fee", charge.Get("fee").String(), "0.166415")
	equal(t, "source of the charge", charge.Get("usage_source").String(), "estimated")
}

// Numbers may arrive as 12.0; a wrong total changes nothing; web search results are input, once.
func TestUpstreamsOddUsage(t *testing.T) {
	cases := []struct{ directive, fee string }{
		{"usage=100,50;float-usage", "0.0006"},
		{"usage=100,50;total=999", "0.0006"},
		{"usage=100,50;cached=500", "0.00044"}, // cut to the whole
		{"usage=1000,199", "0.003592"},
		{"usage=1000,200", "0.0058"},
		{"usage=2000,100;tool-results=3", "0.0048"},
		{"usage=100,50;finish=sensitive", "0.0006"},
		{"usage=100,50;reasoning=20", "0.0006"},
	}
	w, p, key := acme(t)
	for _, c := range cases {
		for _, more := range []string{`"n":1`, streamed} {
			r := p.post("/api/paas/v4/chat/completions", key, chat("glm-4.6", c.directive, more))
			r.requireStatus(t, 200)
			cost := r.header.Get("x-tollgate-cost")
			if more == streamed {
				cost = r.trailer.Get("x-tollgate-cost")
			}
			equal(t, c.directive+" "+more, cost, c.fee)
		}
	}
	w.requireSettled("acme")
}

// An upstream that rejects stream_options is asked once more without, and that is remembered.
func TestStreamOptionsRejected(t *testing.T) {
	w, p, key := acme(t)
	if err := w.up.SetFault("reject-stream-options", 0); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{2, 3} {
		r := p.post(chatPath, key, chat("gpt-4o", "bytes=400", streamed))
		r.requireStatus(t, 200)
		equal(t, "requests upstream", w.up.Stats().Requests, want)
		if !strings.Contains(r.body, "[DONE]") {
			t.Errorf("stream %d: %s", i, r.body)
		}
	}
	requests := w.up.Requests()
	for i, has := range []bool{true, false, false} {
		equal(t, "stream_options in a request", gjson.GetBytes(requests[i].Body, "stream_options").Exists(), has)
	}
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), 2)
	for _, charge := range charges {
		equal(t, "source", charge.Get("usage_source").String(), "estimated")
	}
}

// What a client says itself, and is rejected for, tells nothing of the upstream:
// the streams of others are still asked for their usage.
func TestStreamOptionsOfTheClientRejected(t *testing.T) {
	w, p, key := acme(t)
	own := chat("gpt-4o", "reject-stream-options", streamed, `"stream_options":{"include_usage":false}`)
	p.post(chatPath, key, own).requireStatus(t, 400)
	p.post(chatPath, key, chat("gpt-4o", "usage=10,20", streamed)).requireStatus(t, 200)
	w.requireSettled("acme")
	equal(t, "source", w.entries("acme", "charge")[0].Get("usage_source").String(), "upstream")
}

// A second upstream takes over before the first byte, on one hold, for one charge.
func TestFailover(t *testing.T) {
	for _, fault := range []string{"refused", "status=429", "status=500", "status=503", "hanging 503", "close"} {
		t.Run(fault, func(t *testing.T) {
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			first := startUpstream(t, w.made.mock)
			url := first.url
			if fault == "refused" {
				url = deadURL(t)
			} else if fault == "hanging 503" {
				url = hangingURL(t)
			} else if err := first.SetFault(fault, 0); err != nil {
				t.Fatal(err)
			}
			w.withUpstreams(w.upstreamItem("first", url, ", priority: 1"), w.upstreamItem("second", w.up.url, ", priority: 2"))
			p := w.serve()
			for _, more := range []string{`"n":1`, streamed} {
				p.post(chatPath, key, chat("gpt-4o", "usage=100,50", more)).requireStatus(t, 200)
			}
			w.requireSettled("acme")
			charges := w.entries("acme", "charge")
			equal(t, "charges", len(charges), 2)
			for _, charge := range charges {
				equal(t, "fee", charge.Get("fee").String(), "0.0025")
			}
			equal(t, "answered by the second", w.up.Stats().Completed, 2)
		})
	}
}

// After the first byte nobody takes over.
func TestNoFailoverAfterTheFirstByte(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	first := startUpstream(t, w.made.mock)
	w.withUpstreams(w.upstreamItem("first", first.url, ", priority: 1"), w.upstreamItem("second", w.up.url, ", priority: 2"))
	p := w.serve()
	r := p.send("POST", chatPath, key, chat("gpt-4o", "chunks=10;cut=mid-body", streamed))
	if r.err == nil {
		t.Error("the client was told that the part is the whole")
	}
	equal(t, "requests to the second", w.up.Stats().Requests, 0)
	w.onlyCharge("acme")
}

// An upstream that fell silent in the middle of a stream is cut when its time is up.
func TestUpstreamFallsSilentMidStream(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("slow", w.up.url, ", timeout: 500ms"))
	p := w.serve()
	began := time.Now()
	r := p.send("POST", chatPath, key, chat("gpt-4o", "bytes=4000;chunks=40;hang=mid", streamed))
	if r.err == nil || time.Since(began) > patience {
		t.Errorf("after %s: %v, %s", time.Since(began), r.err, tail(r.body))
	}
	equal(t, "source", w.onlyCharge("acme").Get("usage_source").String(), "estimated")
}
