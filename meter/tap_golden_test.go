package meter

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files of requests, answers and streams")

// fixtureEndpoints tells the endpoint from the first word of a fixture's name.
var fixtureEndpoints = map[string]string{
	"chat": "/chat/completions", "completions": "/completions", "responses": "/responses", "embeddings": "/embeddings",
	"generations": "/images/generations", "edits": "/images/edits", "variations": "/images/variations",
	"rerank": "/rerank", "moderations": "/moderations", "speech": "/audio/speech", "transcriptions": "/audio/transcriptions",
	"messages": "/messages", "count": "/messages/count_tokens", "tokenizer": "/tokenizer", "search": "/web_search",
	"generate": "/models/{model}:generateContent", "stream": "/models/{model}:streamGenerateContent", "embed": "/models/{model}:embedContent",
	"batch": "/models/{model}:batchEmbedContents", "counted": "/models/{model}:countTokens",
	"videos": "/videos/generations", "asyncchat": "/async/chat/completions", "asyncimages": "/async/images/generations",
}

func fixtureEndpoint(t testing.TB, file string) *Endpoint {
	t.Helper()
	word, _, _ := strings.Cut(filepath.Base(file), "-")
	e := FindEndpoint(fixtureEndpoints[word])
	if e == nil {
		t.Fatalf("%s: its first word names no endpoint", file)
	}
	return e
}

// fixtures lists the recorded answers, or streams, with their requests.
func fixtures(t testing.TB, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, file := range all {
		if ext := filepath.Ext(file); ext != ".golden" && ext != ".request" {
			files = append(files, file)
		}
	}
	if len(files) < 5 {
		t.Fatalf("only %d fixtures in %s", len(files), dir)
	}
	return files
}

func readFile(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fixtureRequest reads the request that belongs to an answer; if none was
// recorded, the smallest that fits.
func fixtureRequest(t testing.TB, file string) *Request {
	t.Helper()
	body := []byte(`{"model":"m","messages":[]}`)
	if filepath.Ext(file) == ".sse" {
		body = []byte(`{"model":"m","stream":true,"messages":[]}`)
	}
	if recorded := strings.TrimSuffix(file, filepath.Ext(file)) + ".request"; fileExists(recorded) {
		body = readFile(t, recorded)
	}
	return mustRead(t, fixtureEndpoint(t, file), string(body))
}

func fileExists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// mustRead reads a body: a form if it begins with testBoundary, else JSON.
func mustRead(t testing.TB, e *Endpoint, body string) *Request {
	t.Helper()
	contentType := "application/json"
	if strings.HasPrefix(body, "--"+testBoundary) {
		contentType = formType
	}
	r, err := e.ReadRequest(contentType, []byte(body), ReadOptions{})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return r
}

func contentTypeOf(file string) string {
	switch filepath.Ext(file) {
	case ".sse":
		return "text/event-stream; charset=utf-8"
	case ".mp3":
		return "audio/mpeg"
	case ".srt":
		return "text/plain; charset=utf-8"
	}
	return "application/json"
}

// outcome is what a golden file says of an answer.
type outcome struct {
	Usage      map[string]int64  `json:"usage"`
	Source     Source            `json:"source"`
	Model      string            `json:"model,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Anomalies  []string          `json:"anomalies,omitempty"`
	Tools      []ToolUse         `json:"tools,omitempty"`
	Cut        bool              `json:"cut,omitempty"`
	// Removed is what the client does not get.
	Removed string `json:"removed,omitempty"`
	// Withheld is what the client gets only after the booking.
	Withheld string `json:"withheld"`
}

func outcomeOf(tap *Tap, in, passed []byte) (outcome, []byte) {
	u := tap.Usage()
	o := outcome{
		Usage: u.Map(), Source: u.Source, Model: u.Model, Attributes: u.Attributes,
		Anomalies: u.Anomalies, Tools: u.ToolCalls, Cut: tap.Cut(),
	}
	end := tap.End()
	o.Withheld = string(end)
	out := slices.Concat(passed, end)
	o.Removed = difference(in, out)
	return o, out
}

// difference returns what out lacks of in, given that it lacks one run of bytes.
func difference(in, out []byte) string {
	head := 0
	for head < len(out) && in[head] == out[head] {
		head++
	}
	if !bytes.HasSuffix(in, out[head:]) {
		return "NOT A PART OF THE INPUT: " + string(out)
	}
	tail := len(in) - (len(out) - head)
	if head == tail {
		return ""
	}
	// The same run can be seen at several places; a line's beginning reads best.
	for head > 0 && in[head-1] == in[tail-1] && (in[head] == '\n' || in[head] == '\r' || in[head-1] != '\n' && in[head-1] != '\r') {
		head, tail = head-1, tail-1
	}
	return string(in[head:tail])
}

func checkGolden(t *testing.T, file string, got any) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *updateGolden {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := readFile(t, file); !bytes.Equal(text.Bytes(), want) {
		t.Errorf("%s:\ngot  %s\nwant %s", file, text.Bytes(), want)
	}
}

func golden(file string) string { return strings.TrimSuffix(file, filepath.Ext(file)) + ".golden" }

// TestTapGolden checks the usage read from recorded answers, what is taken
// out of them, and what is kept back.
func TestTapGolden(t *testing.T) {
	for _, dir := range []string{"answers", "streams"} {
		for _, file := range fixtures(t, dir) {
			t.Run(filepath.Base(file), func(t *testing.T) {
				in := readFile(t, file)
				tap := fixtureRequest(t, file).NewTap(contentTypeOf(file))
				passed := tap.Pass(nil, in)
				got, _ := outcomeOf(tap, in, passed)
				checkGolden(t, golden(file), got)
			})
		}
	}
}

// TestTapAnySplit checks that it makes no difference to what goes through, nor
// to the usage, where an answer is cut: into two at every place, and into
// single bytes.
func TestTapAnySplit(t *testing.T) {
	for _, dir := range []string{"answers", "streams"} {
		for _, file := range fixtures(t, dir) {
			in := readFile(t, file)
			request := fixtureRequest(t, file)
			whole := request.NewTap(contentTypeOf(file))
			want, wantOut := outcomeOf(whole, in, whole.Pass(nil, in))
			want.Withheld = ""
			check := func(name string, pieces [][]byte) {
				tap := request.NewTap(contentTypeOf(file))
				var passed []byte
				for _, piece := range pieces {
					passed = tap.Pass(passed, piece)
				}
				got, out := outcomeOf(tap, in, passed)
				got.Withheld = ""
				if !bytes.Equal(out, wantOut) {
					t.Fatalf("%s, %s: %q went through, want %q", file, name, out, wantOut)
				}
				if g, w := asJSON(t, got), asJSON(t, want); g != w {
					t.Fatalf("%s, %s: got %s, want %s", file, name, g, w)
				}
			}
			for i := range in {
				check("cut at "+string(in[:i]), [][]byte{in[:i], in[i:]})
			}
			var bits [][]byte
			for i := range in {
				bits = append(bits, in[i:i+1])
			}
			check("single bytes", bits)
		}
	}
}

// TestTapLooks checks that an answer that is looked at, and adopted anywhere or
// nowhere, is the same as one that is passed.
func TestTapLooks(t *testing.T) {
	for _, file := range fixtures(t, "answers") {
		in := readFile(t, file)
		request := fixtureRequest(t, file)
		whole := request.NewTap(contentTypeOf(file))
		want, wantOut := outcomeOf(whole, in, whole.Pass(nil, in))
		wantCost := costOf(request, file, func(tap *Tap) []byte { return tap.Pass(nil, in) })
		for adopted := range len(in) + 1 {
			pass := func(tap *Tap) []byte {
				half := adopted / 2
				tap.Look(in[:half])
				tap.Look(in[half:adopted])
				return tap.Pass(slices.Clip(tap.Adopt(in[:adopted])), in[adopted:])
			}
			tap := request.NewTap(contentTypeOf(file))
			got, out := outcomeOf(tap, in, pass(tap))
			if g, w := asJSON(t, got), asJSON(t, want); g != w || !bytes.Equal(out, wantOut) {
				t.Fatalf("%s, adopted at %d: got %s, want %s; %q went through, want %q", file, adopted, g, w, out, wantOut)
			}
			if cost := costOf(request, file, pass); !bytes.Equal(cost, wantCost) {
				t.Fatalf("%s, adopted at %d: with its cost %q, want %q", file, adopted, cost, wantCost)
			}
		}
	}
}

// costOf is all that comes out of a tap that is asked to put a cost in.
func costOf(request *Request, file string, pass func(*Tap) []byte) []byte {
	tap := request.NewTap(contentTypeOf(file))
	return append(pass(tap), tap.EndWithCost([]byte(`"cost":"1"`))...)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
