package meter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// FuzzTap checks that an answer cut into any pieces goes through as it does
// in one, with the same usage, and that only a usage-only chunk is ever lost.
func FuzzTap(f *testing.F) {
	for _, dir := range []string{"answers", "streams"} {
		for _, file := range fixtures(f, dir) {
			kind := byte(len(file)) &^ 48
			if fixtureEndpoint(f, file).API == Gemini {
				kind |= 48
			}
			switch fixtureEndpoint(f, file) {
			case FindEndpoint("/responses"):
				kind |= 16
			case FindEndpoint("/messages"):
				kind |= 32
			}
			f.Add(readFile(f, file), uint64(1), kind)
		}
	}
	for i, s := range []string{
		"data: {\"usage\":{\"total_tokens\":1}}\r\r\n\n\ndata: {\"choices\":[{}]}\n\r\n", ": c\n\ndata:\n\n: c\r\n\r\n", "\xef\xbbdata: [", "event: error\rdata: x\r\r",
		"data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[{\"text\":\"x\"}]}\n\ndata: {\"usage\":{}}\n\n",
	} {
		f.Add([]byte(s), uint64(i), byte(i))
	}
	chat, images := FindEndpoint("/chat/completions"), FindEndpoint("/images/generations")
	responses, messages, generated := FindEndpoint("/responses"), FindEndpoint("/messages"), FindEndpoint("/models/{model}:streamGenerateContent")
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, kind byte) {
		e, body, contentType := chat, `{"model":"m","stream":true,"stream_options":{"include_usage":false}}`, "text/event-stream"
		if kind&1 != 0 {
			body = `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`
		}
		if kind&2 != 0 {
			e = images
		}
		switch {
		case kind&16 != 0 && kind&32 != 0:
			e = generated
		case kind&16 != 0:
			e = responses
		case kind&32 != 0:
			e = messages
		}
		if kind&12 == 12 {
			contentType = "application/json"
		}
		r := mustRead(t, e, body)
		random := rand.New(rand.NewPCG(seed, uint64(kind)))
		whole, wholeOut := runTap(r, contentType, in, nil)
		pieces, piecesOut := runTap(r, contentType, in, random)
		if !bytes.Equal(wholeOut, piecesOut) {
			t.Errorf("%q went through, in pieces %q", wholeOut, piecesOut)
		}
		if a, b := asJSON(t, whole), asJSON(t, pieces); a != b {
			t.Errorf("%s in one, %s in pieces", a, b)
		}
		checkPassed(t, r, contentType, in, wholeOut)
	})
}

// runTap passes an answer through a tap, in one or in random pieces.
func runTap(r *Request, contentType string, in []byte, random *rand.Rand) (Usage, []byte) {
	tap := r.NewTap(contentType)
	var out []byte
	for len(in) > 0 {
		n := len(in)
		if random != nil {
			n = 1 + random.IntN(min(len(in), 1+random.IntN(64)))
		}
		out = tap.Pass(out, append([]byte(nil), in[:n]...))
		in = in[n:]
		if random != nil && random.IntN(8) == 0 {
			tap.Usage() // Any time.
		}
	}
	u := tap.Usage()
	return u, append(out, tap.End()...)
}

// checkPassed checks that out is in, but for frames that carry usage and no
// choice, as a simpler reader of frames sees them.
func checkPassed(t *testing.T, r *Request, contentType string, in, out []byte) {
	t.Helper()
	if contentType != "text/event-stream" || !r.CanAskUsage() {
		if !bytes.Equal(in, out) {
			t.Errorf("%q became %q", in, out)
		}
		return
	}
	if len(out) == len(in) && bytes.Equal(in, out) {
		return
	}
	if !bytes.Contains(in, []byte(`"usage"`)) || len(out) >= len(in) {
		t.Errorf("%q became %q", in, out)
	}
	// What went through is a subsequence of what came.
	rest := in
	for _, b := range out {
		at := bytes.IndexByte(rest, b)
		if at < 0 {
			t.Fatalf("%q became %q", in, out)
		}
		rest = rest[at+1:]
	}
}

// FuzzReadRequest checks that what is accepted is valid JSON, read as the
// standard library reads it, and still so after patching.
func FuzzReadRequest(f *testing.F) {
	for _, file := range fixtures(f, "requests") {
		f.Add(readFile(f, file))
	}
	f.Add([]byte(`{"model":"m","mod\u0065l":"x","a":{"b":[1,2.5e-3,true,null,"\ud83d\ude00"]}}`))
	f.Add([]byte(`{"model":"o","stream":[]}`)) // of rows that do not stream
	// A model named deeper in the body alone, where a path names it too.
	f.Add([]byte(`{"generateContentRequest":{"model":"models/m"}}`))
	f.Add([]byte(`{"requests":[{"model":"m"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, e := range Endpoints() {
			if !e.NamesModel() {
				checkPathModel(t, e, body)
			}
			var o, renamed ReadOptions
			if e.API == Gemini { // the path names it too
				o.Model, renamed.Model = pathModel(body), "other-model"
			}
			r, err := e.ReadRequest("application/json", body, o)
			if err != nil {
				continue
			}
			checkReading(t, r, body, r.Model)
			out, _, err := r.UpstreamBody("other-model", true)
			if err != nil {
				t.Fatal(err)
			}
			again, err := e.ReadRequest("application/json", out, renamed)
			if err != nil {
				t.Fatalf("%s became %s: %v", body, out, err)
			}
			checkReading(t, again, out, "other-model")
			if r.Stream && e.streamOptions && !again.AskedUsage {
				t.Errorf("%s became %s, without asking for usage", body, out)
			}
			if n := r.estimateInput(); n < 0 || n > r.Ceiling.TotalInput() {
				t.Errorf("%s: estimate %d", body, n)
			}
		}
	})
}

// checkPathModel checks that the upstream is told the path's model, and so nothing but that is charged for.
func checkPathModel(t *testing.T, e *Endpoint, body []byte) {
	t.Helper()
	r, err := e.ReadRequest("application/json", body, ReadOptions{Model: "m"})
	if err != nil {
		return
	}
	out, _, err := r.UpstreamBody("m", false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := e.ReadRequest("application/json", out, ReadOptions{}); err == nil && again.Model != "m" || err != nil && !strings.Contains(err.Error(), "You must provide") {
		t.Errorf("%s: %s became %s, which is read as %+v, %v", e.Path, body, out, again, err)
	}
}

// pathModel is the model that the path of a call has, if it is to be accepted with this body: the
// body's, where it names one.
func pathModel(body []byte) string {
	var said struct {
		Model string `json:"model"`
	}
	if json.Unmarshal(body, &said) != nil || said.Model == "" {
		return "m"
	}
	return strings.TrimPrefix(said.Model, "models/")
}

func checkReading(t *testing.T, r *Request, body []byte, model string) {
	t.Helper()
	var said struct {
		Model  json.RawMessage `json:"model"`
		Engine json.RawMessage `json:"search_engine"`
		Stream json.RawMessage `json:"stream"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatalf("%q is accepted: %v", body, err)
	}
	if r.Endpoint.modelName() == engineName {
		said.Model = said.Engine
	}
	wantModel, wantStream := "", r.Endpoint.streams
	readAs(t, body, said.Model, &wantModel)
	if slices.ContainsFunc(r.Endpoint.parameters, func(p parameter) bool { return p.name == "stream" }) { // else it says nothing
		readAs(t, body, said.Stream, &wantStream)
	}
	if r.Endpoint.API == Gemini { // its model may be a name in a folder, and need not be said
		wantModel = cmp.Or(strings.TrimPrefix(wantModel, "models/"), model)
	}
	if r.otherwise {
		wantModel = cmp.Or(wantModel, model)
	}
	if r.Model != model || wantModel != model || r.Stream != wantStream {
		t.Errorf("%q: read %q %t, the standard library reads %q %t", body, r.Model, r.Stream, wantModel, wantStream)
	}
	for d, n := range r.Ceiling.NonZero() {
		if n < 0 {
			t.Errorf("%q: ceiling of %s is %d", body, d, n)
		}
	}
}

// readAs reads a member of an accepted body, if it is there, as the standard library does.
func readAs(t *testing.T, body []byte, said json.RawMessage, into any) {
	t.Helper()
	if said == nil {
		return
	}
	if err := json.Unmarshal(said, into); err != nil {
		t.Fatalf("%q is accepted: %v", body, err)
	}
}
