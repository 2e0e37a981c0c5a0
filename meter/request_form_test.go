package meter

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"
)

const testBoundary = "----formboundary7MA4"

// testForm writes a form as clients do. A name with a "@" is a file.
func testForm(t testing.TB, fields ...string) []byte {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary(testBoundary); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		create := w.CreateFormField
		name, isFile := strings.CutPrefix(fields[i], "@")
		if isFile {
			create = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "image.png") }
		}
		part, err := create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(fields[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

const formType = "multipart/form-data; boundary=" + testBoundary

// TestReadForm reads an edit as SDKs send it, and renames its model in place.
func TestReadForm(t *testing.T) {
	picture := strings.Repeat("\x89PNG\r\n", 2000)
	body := testForm(t, "model", "gpt-image-1", "n", "2", "size", "1024x1536", "quality", "high", "stream", "true",
		"prompt", "A hat on the cat, please.", "@image[]", picture, "@mask", picture)
	r, err := FindEndpoint("/images/edits").ReadRequest(formType, body, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "gpt-image-1" || r.Choices != 2 || !r.Stream || r.Attributes["size"] != "1024x1536" || r.Attributes["quality"] != "high" {
		t.Errorf("read as %+v", r)
	}
	if got := r.Ceiling; got[Image] != 2 || got[InputImage] != 2*editImageTokens || got[OutputImage] != 2*imageOutputTokens || got[Input] > 2000 {
		t.Errorf("ceiling %v", got.Map())
	}
	if n := r.estimateInput(); n < 2*tokensPerImage || n > 2*tokensPerImage+20 {
		t.Errorf("estimated input %d", n)
	}
	out, contentType, err := r.UpstreamBody("my-deployment", true)
	if err != nil || contentType != formType {
		t.Fatal(contentType, err)
	}
	want := bytes.Replace(body, []byte("\r\n\r\ngpt-image-1\r\n"), []byte("\r\n\r\nmy-deployment\r\n"), 1)
	if !bytes.Equal(out, want) {
		t.Errorf("upstream body differs beyond the model's name")
	}
	same, _, _ := r.UpstreamBody("gpt-image-1", true)
	if &same[0] != &body[0] {
		t.Error("an unchanged form was copied")
	}
}

// TestReadFormBooleans: a field has no type, and upstreams take either way to say it.
func TestReadFormBooleans(t *testing.T) {
	for text, want := range map[string]bool{"true": true, "True": true, "1": true, "false": false, "0": false, "": false} {
		r, err := FindEndpoint("/images/edits").ReadRequest(formType, testForm(t, "model", "m", "stream", text), ReadOptions{})
		if err != nil || r.Stream != want {
			t.Errorf("stream %q: %v, %v", text, r, err)
		}
	}
}

// TestReadFormErrors checks that forms which two readers could understand
// differently are refused.
func TestReadFormErrors(t *testing.T) {
	good := string(testForm(t, "model", "dall-e-2", "n", "1"))
	field := func(name, value string) string {
		return "--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	end := "--" + testBoundary + "--\r\n"
	cases := []struct{ name, body, message string }{
		{"empty", "", "does not begin with its boundary"},
		{"JSON", `{"model":"m"}`, "does not begin with its boundary"},
		{"no end", field("model", "m"), "last boundary is missing"},
		{"no model", field("n", "1") + end, "must provide a model"},
		{"empty model", field("model", "") + end, "must provide a model"},
		{"two models", field("model", "a") + field("model", "b") + end, "more than once"},
		{"model in another case", field("model", "a") + field("Model", "b") + end, "Did you mean 'model'"},
		{"model as a file", strings.Replace(field("model", "a"), `name="model"`, `name="model"; filename="m"`, 1) + end, "it is a file"},
		{"second name by another way", strings.Replace(field("model", "a"), `name="model"`, `name="x"; name="model"`, 1) + end, "none that is plain"},
		{"two dispositions", strings.Replace(field("x", "a"), "\r\n\r\n", "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n", 1) + end, "no name"},
		{"encoded", strings.Replace(field("model", "a"), "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", 1) + end, "none that is plain"},
		{"folded header", strings.Replace(field("model", "a"), "; name", ";\r\n name", 1) + end, "none that is plain"},
		{"bare line ends", strings.ReplaceAll(field("model", "a")+end, "\r\n", "\n"), "malformed"},
		{"boundary in the content", field("model", "a--"+testBoundary+"b") + end, "malformed"},
		{"nothing between a part's head and the next", strings.TrimSuffix(field("n", ""), "\r\n") + field("model", "a") + end, "no content"},
		{"more behind the end", field("model", "a") + end + field("model", "b") + end, "follows its last boundary"},
		{"n not a number", field("model", "a") + field("n", "two") + end, "expected an integer"},
		{"n negative", field("model", "a") + field("n", "-2") + end, "-2 is not between"},
		{"stream not a boolean", field("model", "a") + field("stream", "maybe") + end, "expected true or false"},
		{"other models", field("model", "a") + field("models", "dear") + end, "another model than the one that is priced"},
		{"fallbacks as a list", field("model", "a") + field("fallbacks[]", "dear") + end, "another model than the one that is priced"},
		{"too many parts", strings.Repeat(field("x", "a"), 300) + end, "too many parts"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := FindEndpoint("/images/edits").ReadRequest(formType, []byte(c.body), ReadOptions{})
			var bad *RequestError
			if !errors.As(err, &bad) || !strings.Contains(bad.Message, c.message) {
				t.Errorf("got %+v, %v; want %q", r, err, c.message)
			}
		})
	}
	if _, err := FindEndpoint("/images/edits").ReadRequest(formType, []byte(good), ReadOptions{}); err != nil {
		t.Errorf("the good form: %v", err)
	}
	if _, err := FindEndpoint("/images/edits").ReadRequest("multipart/form-data", []byte(good), ReadOptions{}); err == nil {
		t.Error("a form without a boundary was read")
	}
	if _, err := FindEndpoint("/chat/completions").ReadRequest(formType, []byte(good), ReadOptions{}); err == nil {
		t.Error("a form was read where only JSON is taken")
	}
}

// FuzzReadForm checks that a form which we accept is read the same by the
// standard library.
func FuzzReadForm(f *testing.F) {
	f.Add(testForm(f, "model", "dall-e-2", "n", "1", "@image", "PNG"))
	f.Add([]byte("preamble\r\n--" + testBoundary + "\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--" + testBoundary + "--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := FindEndpoint("/images/edits").ReadRequest(formType, body, ReadOptions{})
		if err != nil {
			return
		}
		form, err := multipart.NewReader(bytes.NewReader(body), testBoundary).ReadForm(1 << 20)
		if err != nil {
			t.Fatalf("%q is accepted, but not by the standard library: %v", body, err)
		}
		if got := form.Value["model"]; len(got) != 1 || got[0] != r.Model {
			t.Errorf("%q has model %q for us, %q for the standard library", body, r.Model, got)
		}
	})
}
