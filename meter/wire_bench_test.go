package meter

import (
	"bytes"
	"strings"
	"testing"
)

// stream50 is an ordinary stream of 50 chunks, piece by piece.
func stream50() [][]byte {
	const head = `"id":"chatcmpl-AbCdEfGhIjKlMnOp","object":"chat.completion.chunk","created":1730000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_0123456789",`
	var pieces [][]byte
	for range 48 {
		pieces = append(pieces, []byte(chunk(head+`"choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null`)))
	}
	return append(pieces,
		[]byte(chunk(head+`"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null`)),
		[]byte(chunk(head+`"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":48,"total_tokens":67,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}`)),
		[]byte(doneChunk))
}

// TestPassAllocatesNothing checks that a stream costs no memory a chunk.
func TestPassAllocatesNothing(t *testing.T) {
	pieces := stream50()
	r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","stream":true}`)
	dst := make([]byte, 0, 64<<10)
	tap := r.NewTap("text/event-stream")
	for _, p := range pieces { // Its buffers find their size.
		tap.Pass(dst, p)
	}
	allocs := testing.AllocsPerRun(100, func() {
		tap.withheld = tap.withheld[:0]
		tap.frames = frames{strip: true, withheldFrom: nothingWithheld}
		for _, p := range pieces {
			tap.Pass(dst, p)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations in 51 chunks", allocs)
	}
}

func BenchmarkTapStream50(b *testing.B) {
	pieces := stream50()
	r := mustRead(b, FindEndpoint("/chat/completions"), `{"model":"m","stream":true}`)
	dst := make([]byte, 0, 64<<10)
	b.SetBytes(int64(len(bytes.Join(pieces, nil))))
	b.ReportAllocs()
	for b.Loop() {
		tap := r.NewTap("text/event-stream")
		for _, p := range pieces {
			tap.Pass(dst, p)
		}
		if u := tap.Usage(); u.Source != FromUpstream {
			b.Fatal(u)
		}
		tap.End()
	}
}

func BenchmarkTapJSON5MB(b *testing.B) {
	in := []byte(`{"created":1,"data":[{"b64_json":"` + strings.Repeat("iVBORw0KGgoAAAANSUhEUgAA", 5<<20/24) + `"}],"usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50}}`)
	benchmarkTap(b, "/images/generations", in)
}

func BenchmarkTapJSONSmall(b *testing.B) {
	benchmarkTap(b, "/chat/completions", []byte(`{"id":"chatcmpl-1","object":"chat.completion","created":1730000000,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"`+
		strings.Repeat("Hello there. ", 20)+`","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0}},"service_tier":"default"}`))
}

func BenchmarkTapEmbedding(b *testing.B) {
	benchmarkTap(b, "/embeddings", []byte(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0023064255`+
		strings.Repeat(`,-0.009327292`, 1535)+`]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}`))
}

func benchmarkTap(b *testing.B, path string, in []byte) {
	r := mustRead(b, FindEndpoint(path), `{"model":"m"}`)
	dst := make([]byte, 0, 128<<10)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		tap := r.NewTap("application/json")
		for i := 0; i < len(in); i += 32 << 10 {
			tap.Pass(dst, in[i:min(i+32<<10, len(in))])
		}
		if u := tap.Usage(); u.Source != FromUpstream {
			b.Fatal(u)
		}
		tap.End()
	}
}

func BenchmarkReadRequest(b *testing.B) {
	small := `{"model":"gpt-4o","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Hello!"}],"temperature":0.2,"stream":true}`
	large := `{"model":"gpt-4o","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"` +
		strings.Repeat(`The quick brown fox jumps over the lazy dog.\n`, 100<<10/46) + `"}],"temperature":0.2,"stream":true}`
	for name, body := range map[string]string{"small": small, "100KB": large} {
		b.Run(name, func(b *testing.B) {
			in := []byte(body)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := FindEndpoint("/chat/completions").ReadRequest("application/json", in, ReadOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := r.UpstreamBody("gpt-4o", false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEstimateInput100KB(b *testing.B) {
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat(`The quick brown fox jumps over the lazy dog. `, 100<<10/45) + `"}]}`)
	for b.Loop() {
		r, err := FindEndpoint("/chat/completions").ReadRequest("application/json", body, ReadOptions{})
		if err != nil || r.estimateInput() == 0 {
			b.Fatal(err)
		}
	}
}
