package meter

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"testing"
)

// The upstream is told that a body is what we have read it as. One that is JSON
// to us and a form to it could name one model here and another there, and would
// be charged for the one that is named here.
func TestTheUpstreamReadsWhatWeRead(t *testing.T) {
	body := `{"model":"cheap","prompt":"x","y":"&model=dear&prompt=x&n=10&z="}`
	if form, _ := url.ParseQuery(body); form.Get("model") != "dear" {
		t.Fatal("it is no form")
	}
	for _, said := range []string{
		"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-7", "text/plain", "",
	} {
		for _, path := range []string{"/chat/completions", "/completions", "/embeddings", "/images/generations"} {
			r, err := FindEndpoint(path).ReadRequest(said, []byte(body), ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, told, _ := r.UpstreamBody("cheap", false); told != "application/json" {
				t.Errorf("%s: a JSON request to %s goes on as %q", said, path, told)
			}
		}
	}
}

// So with a form whose boundary, or a name in it, is said in two ways.
func TestTheUpstreamReadsTheFormThatWeRead(t *testing.T) {
	form := func(boundary, model string) string {
		return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model + "\r\n--" + boundary + "--\r\n"
	}
	edits := FindEndpoint("/images/edits")
	r, err := edits.ReadRequest("multipart/form-data; boundary=a; boundary*=utf-8''b", []byte(form("a", "dear")+form("b", "cheap")), ReadOptions{})
	if err == nil {
		body, told, _ := r.UpstreamBody(r.Model, false)
		if strings.Contains(told, "boundary=a") {
			part, err := multipart.NewReader(bytes.NewReader(body), "a").NextPart()
			if err != nil {
				t.Fatal(err)
			}
			other, _ := io.ReadAll(part)
			t.Errorf("read as %s, sent as %q, in which a reader without RFC 2231 finds %s", r.Model, told, other)
		}
	}
	named := "--b\r\nContent-Disposition: form-data; name=\"model\"; name*=utf-8''note\r\n\r\ndear\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"note\"; name*=utf-8''model\r\n\r\ncheap\r\n--b--\r\n"
	if r, err := edits.ReadRequest("multipart/form-data; boundary=b", []byte(named), ReadOptions{}); err == nil {
		t.Errorf("a form whose names are said in two ways is read as of %s", r.Model)
	}
	file := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"image\"; " +
		"filename=\"a; name*=b.png\"; filename*=utf-8''name.png\r\n\r\nx\r\n--b--\r\n"
	if _, err := edits.ReadRequest("multipart/form-data; boundary=b", []byte(file), ReadOptions{}); err != nil {
		t.Errorf("a file's name is taken for a field's: %v", err)
	}
}
