package e2e

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A JSON answer up to policy.max_kept_answer has its cost in its headers, a
// larger one in its trailers; its bytes are the upstream's, either way.
func TestTheCostOfALargeAnswer(t *testing.T) {
	w, p, key := acme(t, policy("max_kept_answer: 64KiB"))
	for _, directive := range []string{"usage=100,50", "usage=100,50;bytes=50000", "usage=100,50;bytes=200000", "usage=100,50;bytes=1000000"} {
		r := p.post(chatPath, key, chat("gpt-4o", directive))
		header, trailer := r.header.Get("x-tollgate-cost"), r.trailer.Get("x-tollgate-cost")
		if len(r.body) > 64<<10 {
			header, trailer = trailer, header
		}
		equal(t, directive+": cost", header, "0.0025")
		equal(t, directive+": cost, where it is not", trailer, "")
		if sent := string(w.up.lastSent()); r.body != sent {
			t.Errorf("%s: the client got %d bytes, the upstream sent %d", directive, len(r.body), len(sent))
		}
	}
	r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50;bytes=1000000"), "x-tollgate-receipt", "body")
	equal(t, "cost in the body", r.get("usage.cost").String(), "0.0025")
	w.requireSettled("acme")
}

// An answer that says beforehand that it is larger flows from its beginning: it
// is not gathered first. The upstream here waits until its client has some of it.
func TestALargeAnswerFlowsAtOnce(t *testing.T) {
	beginning, end := `{"choices":[{"message":{"content":"`+strings.Repeat("x", 300_000), strings.Repeat("x", 6<<20)+`"}}],"usage":{"prompt_tokens":100,"completion_tokens":50}}`
	arrived := make(chan bool)
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(beginning)+len(end)))
		_, _ = io.WriteString(w, beginning)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Error("nothing arrives before all of it is there")
		}
		_, _ = io.WriteString(w, end)
	})
	response, err := p.call(t.Context(), http.MethodPost, chatPath, key, chat("gpt-4o", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, 200_000)
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Fatal(err)
	}
	close(arrived)
	rest, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if string(first)+string(rest) != beginning+end {
		t.Errorf("%d bytes, or others than the %d that were sent", len(first)+len(rest), len(beginning)+len(end))
	}
	equal(t, "cost", response.Trailer.Get("x-tollgate-cost"), "0.0025")
	w.requireSettled("acme")
}
