package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A load is one row of the benchmark: a request, and the upstream's answer to it.
type load struct {
	name  string
	about string
	path  string // after /v1
	body  []byte // the client's request
	// answer is the upstream's whole HTTP response, in the pieces in which it is
	// written; askedAnswer, if set, the one to a request that asks for usage in
	// the stream.
	answer, askedAnswer [][]byte
	// tail is how the body of a complete answer ends.
	tail string
}

// model is the name by which the upstream knows which answer to give.
func (l *load) model() string { return "bench-" + l.name }

// allLoads builds the table of loads. A new load is a new row.
func allLoads() []load {
	return []load{
		chat("small", "chat, answer of about 600 bytes", strings.Repeat("How do I measure the cost of a call? ", 3)),
		stream("stream50", "chat, stream of 50 chunks without pauses", 50),
		chat("prompt100k", "chat, prompt of 100 KB", prose(100<<10)),
		embedding("embedding1536", "embedding of 1,536 floats", 1536),
	}
}

func loadNames() (names []string) {
	for _, l := range allLoads() {
		names = append(names, l.name)
	}
	return names
}

func chooseLoads(list string) ([]load, error) {
	all := allLoads()
	if list == "" {
		return all, nil
	}
	var chosen []load
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, l := range all {
			if l.name == name {
				chosen = append(chosen, l)
				continue next
			}
		}
		return nil, fmt.Errorf("no load %q (one of %s)", name, strings.Join(loadNames(), ", "))
	}
	return chosen, nil
}

func chat(name, about, prompt string) load {
	answer := fmt.Sprintf(`{"id":"chatcmpl-8f2c1d","object":"chat.completion","created":1760000000,"model":"bench-%s","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":38,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_b1"}`,
		name, "Count the CPU time of the process that does the work, and divide it by the calls.", len(prompt)/4, len(prompt)/4+38)
	return load{
		name: name, about: about, path: "/chat/completions", tail: "}",
		body:   fmt.Appendf(nil, `{"model":"bench-%s","messages":[{"role":"user","content":%q}],"max_tokens":256}`, name, prompt),
		answer: jsonResponse("200 OK", answer),
	}
}

func stream(name, about string, chunks int) load {
	var events []string
	event := func(delta, finish string) string {
		return fmt.Sprintf(`data: {"id":"chatcmpl-8f2c1d","object":"chat.completion.chunk","created":1760000000,"model":"bench-%s","service_tier":"default","system_fingerprint":"fp_b1","choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}]}`+"\n\n", name, delta, finish)
	}
	for i := range chunks - 1 {
		events = append(events, event(fmt.Sprintf(`{"content":" word%d"}`, i), "null"))
	}
	events = append(events, event("{}", `"stop"`))
	usage := fmt.Sprintf(`data: {"id":"chatcmpl-8f2c1d","object":"chat.completion.chunk","created":1760000000,"model":"bench-%s","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", name, chunks, chunks+12)
	const done = "data: [DONE]\n\n"
	return load{
		name: name, about: about, path: "/chat/completions", tail: "[DONE]\n\n",
		body:        fmt.Appendf(nil, `{"model":"bench-%s","messages":[{"role":"user","content":"Tell me a story."}],"max_tokens":256,"stream":true}`, name),
		answer:      streamResponse(append(events[:chunks:chunks], done)),
		askedAnswer: streamResponse(append(events[:chunks:chunks], usage, done)),
	}
}

func embedding(name, about string, floats int) load {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // any numbers do, but the same ones each time.
	var b strings.Builder
	fmt.Fprintf(&b, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[`)
	for i := range floats {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatFloat(random.NormFloat64()*0.03, 'f', 9, 64))
	}
	fmt.Fprintf(&b, `]}],"model":"bench-%s","usage":{"prompt_tokens":9,"total_tokens":9}}`, name)
	return load{
		name: name, about: about, path: "/embeddings", tail: "}",
		body:   fmt.Appendf(nil, `{"model":"bench-%s","input":"What does a metered call cost?"}`, name),
		answer: jsonResponse("200 OK", b.String()),
	}
}

// prose makes text of about n bytes that tokenizes as English does.
func prose(n int) string {
	const sentence = "The meter reads what the upstream says was used, and the ledger books exactly that. "
	return strings.Repeat(sentence, n/len(sentence)+1)[:n]
}

func jsonResponse(status, body string) [][]byte {
	return [][]byte{fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Request-Id: req_bench\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)}
}

// streamResponse sends each event as an HTTP chunk and a write of its own, as
// an upstream does that flushes each token.
func streamResponse(events []string) [][]byte {
	pieces := [][]byte{[]byte("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nX-Request-Id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n")}
	for _, event := range events {
		pieces = append(pieces, fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event))
	}
	return append(pieces, []byte("0\r\n\r\n"))
}
