package http1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pattern is a text of n bytes in which every place can be told.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i += 8 {
		fmt.Fprintf(&b, "%08x", i)
	}
	return b.String()[:n]
}

func TestLargeWritesArriveWhole(t *testing.T) {
	text := pattern(5 << 20)
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		}
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			if n, err := w.Write([]byte(rest[:min(size, len(rest))])); err != nil || n != min(size, len(rest)) {
				t.Errorf("Write: %d, %v", n, err)
			}
		}
	})
	c := dial(t, address)
	for _, path := range []string{"/length", "/chunks"} {
		for _, size := range []int{len(text), 3000, gatherSize - 1, gatherSize, gatherSize + 1, keptSize} {
			response, body := c.get(path + "?size=" + strconv.Itoa(size))
			if body != text {
				t.Errorf("%s, %d: %d bytes, or others", path, size, len(body))
			}
			if chunked := len(response.TransferEncoding) > 0; chunked != (path == "/chunks") {
				t.Errorf("%s, %d: chunks %v", path, size, chunked)
			}
		}
	}
}

// There are many streams, and most of them wait.
func TestAWaitingStreamHoldsNoBuffer(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		own := w.(*response)
		for i := range 3 {
			_, _ = io.WriteString(w, r.URL.Path)
			flush(w)
			if own.conn.in.HasBuffer() || own.buffer != nil || own.out != nil || own.kept != nil || own.conn.slowHead != nil || own.conn.vector[0] != nil || own.conn.vector[1] != nil || own.conn.vector[2] != nil {
				t.Errorf("after Flush %d: reader's %v, buffer %v, %d and %d bytes", i, own.conn.in.HasBuffer(), own.buffer, cap(own.out), cap(own.kept))
			}
		}
	})
	c := dial(t, address)
	for _, path := range []string{"/", "/" + strings.Repeat("x", 8<<10)} {
		if _, body := c.get(path); body != strings.Repeat(path, 3) {
			t.Errorf("got %d bytes", len(body))
		}
	}
}

// A large piece is sent from where it is, with the end of its chunk: not with what
// comes next, nor in a write of its own.
func TestALargePieceGoesOutWithItsEnd(t *testing.T) {
	arrived := make(chan bool)
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 2*gatherSize))
		if own := w.(*response); own.out != nil {
			t.Errorf("%q is left", own.out)
		}
		<-arrived
	})
	c := dial(t, address)
	c.send(get("/", ""))
	_, err := readUntil(c.in, strings.Repeat("x", 2*gatherSize)+"\r\n")
	close(arrived)
	if err != nil {
		t.Errorf("its end has not come: %v", err)
	}
}

// readUntil reads up to the end of a text.
func readUntil(in *bufio.Reader, end string) (text string, err error) {
	for !strings.HasSuffix(text, end) && err == nil {
		var line string
		line, err = in.ReadString('\n')
		text += line
	}
	return text, err
}

// What a client has sent of its next request stays, while the answer to this one goes out.
func TestTheNextRequestIsNotLost(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		flush(w)
		_, _ = io.WriteString(w, r.URL.Path)
	})
	c := dial(t, address)
	const requests = 20
	for i := range requests {
		c.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i))
	}
	for i := range requests {
		if _, body := c.answer(); body != "/"+strconv.Itoa(i) {
			t.Errorf("answer %d: %q", i, body)
		}
	}
}

// A client that sends all before it reads gets its answer, and then an end, not
// a reset, which could take the answer with it.
func TestAnAnswerToWhatWasNotReadArrives(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	c := dial(t, address)
	c.send(postLength("", tooMuch))
	if response, _ := c.answer(); response.StatusCode != http.StatusForbidden || !response.Close {
		t.Errorf("got %s, close %v", response.Status, response.Close)
	}
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v", rest, err)
	}
}

// Many requests on many connections: headers, bodies and trailers are used
// again, and every answer is its own.
func TestAnswersAreTheirOwn(t *testing.T) {
	_, address := start(t, reflectOwn)
	var clients sync.WaitGroup
	for number := range 50 {
		c := dial(t, address)
		_ = c.SetDeadline(time.Now().Add(3 * soon)) // all of it takes a while under the race detector
		clients.Go(func() {
			for i := range 200 {
				if err := c.askForItsOwn(number*1000 + i); err != nil {
					t.Errorf("client %d, request %d: %v", number, i, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// reflectOwn answers with what only this request has.
func reflectOwn(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Id")
	w.Header().Set("X-"+id, id)
	w.Header().Set("Trailer", "X-Trailer-"+id)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the body tells
	}
	if len(body)%2 == 0 {
		_, _ = w.Write(body)
	} else {
		_, _ = w.Write(body[:len(body)/2])
		flush(w)
		_, _ = w.Write(body[len(body)/2:])
	}
	w.Header().Set("X-Trailer-"+id, id+r.Trailer.Get("X-Trailer"))
}

func (c *client) askForItsOwn(n int) error {
	id := "Id" + strconv.Itoa(n)
	body := strings.Repeat(id+" ", 1+n%7*n%600)
	head := "POST / HTTP/1.1\r\nHost: x\r\nX-Id: " + id + "\r\n"
	trailer := ""
	if n%3 == 0 {
		trailer = strconv.Itoa(n)
		head += fmt.Sprintf("Transfer-Encoding: chunked\r\nTrailer: X-Trailer\r\n\r\n%x\r\n%s\r\n0\r\nX-Trailer: %s\r\n\r\n", len(body), body, trailer)
	} else {
		head += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case string(got) != body:
		return fmt.Errorf("got another body, of %d bytes, want %d", len(got), len(body))
	case response.Header.Get("X-"+id) != id || len(response.Header) != 2: // Date is the other
		return fmt.Errorf("got headers %v", response.Header)
	case response.Trailer.Get("X-Trailer-"+id) != id+trailer || len(response.Trailer) != 1:
		return fmt.Errorf("got trailers %v", response.Trailer)
	}
	return nil
}
