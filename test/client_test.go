package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// reply is an answer as a client got it.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	err     error // of reading the body
}

// get reads a member of a JSON body.
func (r reply) get(path string) gjson.Result { return gjson.Get(r.body, path) }

// call sends a request as a client that does not retry.
func (p *process) call(ctx context.Context, method, path, key, body string, headers ...string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return http.DefaultClient.Do(request)
}

// send sends a request and reads the whole answer. Failing to get a head is
// part of the reply, with status 0.
func (p *process) send(method, path, key, body string, headers ...string) reply {
	response, err := p.call(context.Background(), method, path, key, body, headers...)
	if err != nil {
		return reply{err: err}
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, response.Trailer, string(content), err}
}

// post sends a POST that must get an answer.
func (p *process) post(path, key, body string, headers ...string) reply {
	p.t.Helper()
	r := p.send(http.MethodPost, path, key, body, headers...)
	if r.err != nil {
		p.t.Fatalf("POST %s: %v", path, r.err)
	}
	return r
}

// get sends a GET that must get an answer.
func (p *process) get(path, key string) reply {
	p.t.Helper()
	r := p.send(http.MethodGet, path, key, "")
	if r.err != nil {
		p.t.Fatalf("GET %s: %v", path, r.err)
	}
	return r
}

// dial makes a connection to the data plane, for what no HTTP client would say.
func (p *process) dial() *net.TCPConn {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// say writes to a connection.
func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// requireStatus demands a status.
func (r reply) requireStatus(t *testing.T, want int) {
	t.Helper()
	if r.status != want {
		t.Fatalf("status %d, want %d: %s", r.status, want, r.body)
	}
}

// requireHeaders compares headers, given as name and value in turn.
func requireHeaders(t *testing.T, h http.Header, pairs ...string) {
	t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		equal(t, pairs[i], h.Get(pairs[i]), pairs[i+1])
	}
}

// chat is the body of a chat request; more are members such as `"stream":true`.
func chat(model, directive string, more ...string) string {
	members := append([]string{
		`"model":"` + model + `"`, `"user":"mock:` + directive + `"`,
		`"messages":[{"role":"user","content":"Please say hello."}]`,
	}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// image is the body of an image request.
func image(model, directive string) string {
	return `{"model":"` + model + `","user":"mock:` + directive + `","prompt":"A cat"}`
}

const (
	chatPath      = "/v1/chat/completions"
	imagePath     = "/v1/images/generations"
	embeddingPath = "/v1/embeddings"

	streamed   = `"stream":true`
	askedUsage = `"stream_options":{"include_usage":true}`
)
