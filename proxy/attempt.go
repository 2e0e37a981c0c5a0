package proxy

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// attempt sends the request to one upstream. Streams are asked for their usage; if the
// upstream refuses that parameter, the request is sent once more without it, and so are
// later ones if that was the reason.
func (c *call) attempt(u candidate) (*http.Response, error) {
	ask := c.request.CanAskUsage() && !u.refusesStreamOptions.Load()
	response, err := c.send(u, ask)
	if err != nil || !ask || !refusesRequest(response.StatusCode) {
		return response, err
	}
	if !namesStreamOptions(response) {
		return response, nil
	}
	c.proxy.metrics.attempt(u.Name, statusClass(response.StatusCode))
	response, err = c.send(u, false)
	if err == nil && response.StatusCode < http.StatusMultipleChoices {
		u.refusesStreamOptions.Store(true)
	}
	return response, err
}

// refusesRequest reports the statuses for an unknown parameter: 400 in OpenAI's family,
// 422 from upstreams that validate by a schema.
func refusesRequest(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity
}

// namesStreamOptions looks whether a refusal is about stream_options; the body can
// be read again afterwards. What has come may be enough to tell.
func namesStreamOptions(response *http.Response) bool {
	var came []byte
	var err error
	piece := make([]byte, 4<<10)
	for err == nil && len(came) < 64<<10 {
		var n int
		n, err = response.Body.Read(piece)
		came = append(came, piece[:n]...)
		if bytes.Contains(came, []byte("stream_options")) {
			discard(response)
			return true
		}
	}
	rest := io.Reader(response.Body)
	if err != nil {
		rest = failed{err} // a body that broke off does not end well when it is read again
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(came), rest), response.Body}
	return false
}

// failed is what is left of a body whose reading has failed, or has come to its end.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

func (c *call) send(u candidate, askUsage bool) (*http.Response, error) {
	c.choose(u)
	c.attempts++
	c.restartSilence(u.Timeout)
	request, body, err := c.upstreamRequest(u, askUsage)
	if err != nil {
		return nil, err
	}
	response, err := c.proxy.transport.send(request, body, &c.cut)
	c.sent = err == nil || wasSent(err)
	return asAnswer(response, err)
}

// asAnswer is what an upstream has sent, if that is an answer: nobody has asked it to switch protocols.
func asAnswer(response *http.Response, err error) (*http.Response, error) {
	if err == nil && response.StatusCode < http.StatusOK {
		return nil, errors.Join(errors.New("it switches protocols"), response.Body.Close())
	}
	return response, err
}

// upstreamRequest is the client's request as the upstream gets it, and its body.
func (c *call) upstreamRequest(u candidate, askUsage bool) (*http.Request, []byte, error) {
	body, contentType, err := c.request.UpstreamBody(u.model, askUsage)
	if err != nil {
		return nil, nil, err
	}
	header := make(http.Header, len(c.r.Header)+2)
	passHeaders(header, c.r.Header, &notToUpstream)
	if types := header["Content-Type"]; len(types) != 1 || types[0] != contentType { // as it was read here
		header["Content-Type"] = []string{contentType}
	}
	u.prepare(header)
	e := c.request.Endpoint
	return &http.Request{Method: c.r.Method, URL: u.url(e.PathFor(u.model), upstreamQuery(c.r, e)), Header: header}, body, nil
}

// choose says who serves the call.
func (c *call) choose(u candidate) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.upstream = u
	c.request.SentAs(u.model)
}

// restartSilence gives the upstream its full time again.
func (c *call) restartSilence(timeout time.Duration) { c.silence.run(c.proxy.now(), timeout) }

// movesOn reports whether the next upstream should be tried after this answer:
// it was refused for a reason that may not hold elsewhere.
func movesOn(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// discardTime is how long the rest of an answer that is not wanted may take to come.
const discardTime = 50 * time.Millisecond

// discard reads an unwanted answer to its end, so that its connection can be used again.
// It does not wait long: there are other upstreams to try.
func discard(response *http.Response) {
	if body, ok := response.Body.(*upstreamBody); ok && body.readBy(time.Now().Add(discardTime)) {
		_, _ = io.CopyN(io.Discard, body, 64<<10)
	}
	_ = response.Body.Close()
}

// decode undoes a compression that nobody asked for: usage must be readable, and the
// client may not understand it. An upstream's own error that cannot be decoded passes as
// it is.
func decode(response *http.Response) error {
	switch encoding := contentEncoding(response.Header); encoding {
	case "":
		return nil
	case "gzip", "x-gzip":
		return unzip(response)
	default:
		if response.StatusCode >= http.StatusMultipleChoices {
			return nil
		}
		return errors.Join(errUpstreamAway("its answer is "+encoding+"-encoded, which nobody asked for"), response.Body.Close())
	}
}

func unzip(response *http.Response) error {
	var plain io.Reader
	plain, err := gzip.NewReader(response.Body)
	switch {
	case errors.Is(err, io.EOF): // not even a head: there is nothing to decode
		plain = http.NoBody
	case err != nil:
		return errors.Join(errUpstreamAway("its answer cannot be decompressed"), response.Body.Close())
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{plain, response.Body}
	response.Header.Del("Content-Encoding")
	response.Header.Del("Content-Length")
	response.ContentLength = -1
	return nil
}

// contentEncoding is what was done to a body: "" for nothing.
func contentEncoding(header http.Header) string {
	var done []string
	for _, line := range header["Content-Encoding"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" && name != "identity" {
				done = append(done, name)
			}
		}
	}
	return strings.Join(done, ", ")
}

// reason is a transport's error in words that give no address of ours away.
func reason(err error) string {
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Op == "dial":
		return "no connection"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the connection was closed"
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	}
	return "the connection failed"
}

// fault is a transport's error for the log. If an answer was not HTTP, the parser quotes
// it: that part is left out.
func fault(err error) string {
	var network *net.OpError
	var system *os.SyscallError // a reset, as the wait for the answer tells it
	switch {
	case !wasSent(err), errors.As(err, &network), errors.As(err, &system), errors.Is(err, io.EOF), errors.Is(err, context.Canceled),
		errors.Is(err, errHeadTooLarge):
		return err.Error()
	}
	return "its answer is not HTTP"
}
