package main

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// A load is one row of the benchmark: a request, and the upstream's answer to it.
type load struct {
	name  string
	about string
	model string // by which the upstream knows which answer to give
	path  string // after /v1
	body  []byte // the client's request
	// answer is the upstream's whole HTTP response, in the pieces in which it is
	// written; askedAnswer, if set, the one to a request that asks for usage in
	// the stream.
	answer, askedAnswer [][]byte
	// every is the upstream's pause between two pieces; 0 writes them at once.
	every time.Duration
	// tail is how the body of a complete answer ends.
	tail string
	// connections of the closed loop, rate of the open loop: 0 is what the
	// command line says, and a rate below 0 is no open loop.
	connections, rate int
	// payer is the population of accounts that pays for it; see payers.go.
	payer payer
	// like names the load that this one differs from by who pays. A proxy that
	// does not know who pays has the same figures there, and is not measured again.
	like string
}

// allLoads builds the table of loads. A new load is a new row.
func allLoads() []load {
	small := chat("small", "chat, answer of about 600 bytes", strings.Repeat("How do I measure the cost of a call? ", 3))
	return []load{
		small,
		stream("stream50", "chat, stream of 50 chunks without pauses", 50),
		slowStreams("slow1000", 1000, 40, 50*time.Millisecond),
		chat("prompt100k", "chat, prompt of 100 KB", prose(100<<10)),
		embedding("embedding1536", "embedding of 1,536 floats", 1536),
		image("image5mb", "image answer of 5 MB in base64", 5<<20),
		small.paidBy("accounts", "small, paid by 10,000 accounts in turn", manyAccounts),
		small.paidBy("packs1", "small, paid by a pack", onePack),
		small.paidBy("packs20", "small, paid by the first of 20 packs", twentyPacks),
		small.paidBy("limits", "small, a key with every limit set", limitedKey),
	}
}

// paidBy is the same load, paid by others.
func (l load) paidBy(name, about string, by payer) load {
	l.name, l.about, l.payer, l.like = name, about, by, l.name
	return l
}

// open says how many requests a second the open loop sends, and over how many connections.
func (l *load) open(o *options) (rate, connections int) {
	switch {
	case l.rate < 0:
		return 0, 0
	case l.rate > 0:
		return l.rate, l.closed(o)
	}
	return o.rate, min(l.closed(o), o.rate)
}

// closed says how many connections the closed loop keeps busy.
func (l *load) closed(o *options) int {
	if l.connections > 0 {
		return min(l.connections, o.mostConnections)
	}
	return o.connections
}

func loadNames() (names []string) {
	for _, l := range allLoads() {
		names = append(names, l.name)
	}
	return names
}

// chooseLoads finds loads by name. One that is like another brings that along.
func chooseLoads(list string) ([]load, error) {
	wanted := make(map[string]bool)
	all := allLoads()
	for name := range strings.SplitSeq(list, ",") {
		i := indexOf(all, name)
		if i < 0 {
			return nil, fmt.Errorf("no load %q (one of %s)", name, strings.Join(loadNames(), ", "))
		}
		wanted[name], wanted[all[i].like] = true, true
	}
	var chosen []load
	for _, l := range all {
		if wanted[l.name] {
			chosen = append(chosen, l)
		}
	}
	return chosen, nil
}

func indexOf(loads []load, name string) int {
	for i := range loads {
		if loads[i].name == name {
			return i
		}
	}
	return -1
}

func chat(name, about, prompt string) load {
	return chatAnswering(name, about, prompt, "Count the CPU time of the process that does the work, and divide it by the calls.")
}

func chatAnswering(name, about, prompt, content string) load {
	answer := fmt.Sprintf(`{"id":"chatcmpl-8f2c1d","object":"chat.completion","created":1760000000,"model":"bench-%s","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":%d,"completion_tokens":38,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint":"fp_b1"}`,
		name, content, len(prompt)/4, len(prompt)/4+38)
	return load{
		name: name, about: about, model: "bench-" + name, path: "/chat/completions", tail: "}",
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
		name: name, about: about, model: "bench-" + name, path: "/chat/completions", tail: "[DONE]\n\n",
		body:        fmt.Appendf(nil, `{"model":"bench-%s","messages":[{"role":"user","content":"Tell me a story."}],"max_tokens":256,"stream":true}`, name),
		answer:      streamResponse(append(events[:chunks:chunks], done)),
		askedAnswer: streamResponse(append(events[:chunks:chunks], usage, done)),
	}
}

// slowStreams is a load of n streams at a time, as people read them.
func slowStreams(name string, n, chunks int, every time.Duration) load {
	l := stream(name, fmt.Sprintf("%d chat streams at a time, a chunk every %v, %d chunks", n, every, chunks), chunks)
	l.every, l.connections, l.rate = every, n, -1
	return l
}

// lasts is how long the upstream takes to write the whole answer.
func (l *load) lasts() time.Duration { return time.Duration(len(l.answer)-1) * l.every }

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
		name: name, about: about, model: "bench-" + name, path: "/embeddings", tail: "}",
		body:   fmt.Appendf(nil, `{"model":"bench-%s","input":"What does a metered call cost?"}`, name),
		answer: jsonResponse("200 OK", b.String()),
	}
}

// image is answered by n bytes of base64. Few connections and a low rate: 64
// such answers at once would measure the machine's memory.
func image(name, about string, n int) load {
	picture := make([]byte, n/4*3)
	for i := range picture {
		picture[i] = byte(i * 7919 >> 3)
	}
	answer := fmt.Sprintf(`{"created":1760000000,"data":[{"b64_json":"%s"}]}`, base64.StdEncoding.EncodeToString(picture))
	return load{
		name: name, about: about, model: "bench-" + name, path: "/images/generations", tail: "}",
		body:        fmt.Appendf(nil, `{"model":"bench-%s","prompt":"A meter","n":1,"size":"1024x1024","response_format":"b64_json"}`, name),
		answer:      jsonResponse("200 OK", answer),
		connections: 8, rate: 20,
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
