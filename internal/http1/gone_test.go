package http1

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func clientGone(w http.ResponseWriter) bool { return w.(interface{ ClientGone() bool }).ClientGone() }

// asked is a handler that says whether the client is gone, whenever it is asked.
func asked(asks <-chan struct{}, answers chan<- bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for range asks {
			answers <- clientGone(w)
		}
	}
}

func TestClientGone(t *testing.T) {
	leavings := map[string]func(*client) error{
		"closes":      func(c *client) error { return c.Close() },
		"half-closes": func(c *client) error { return c.CloseWrite() },
		"resets": func(c *client) error {
			_ = c.SetLinger(0) // the close tells
			return c.Close()
		},
	}
	for name, leave := range leavings {
		asks, answers := make(chan struct{}), make(chan bool)
		_, address := start(t, asked(asks, answers))
		ask := func() bool {
			asks <- struct{}{}
			return wait(t, "ClientGone", answers)
		}
		c := dial(t, address)
		c.send(get("/", ""))
		if ask() {
			t.Errorf("%s: gone while it is there", name)
		}
		if err := leave(c); err != nil {
			t.Error(err)
		}
		until(t, "the client who "+name, ask)
		close(asks)
	}
}

// What the client has sent already is not its leaving, wherever it waits.
func TestClientGoneWithARequestPending(t *testing.T) {
	asks, answers := make(chan struct{}), make(chan bool)
	_, address := start(t, asked(asks, answers))
	c := dial(t, address)
	c.send(get("/1", "") + get("/2", ""))
	asks <- struct{}{} // the first has begun
	if wait(t, "ClientGone", answers) {
		t.Error("gone with a request read")
	}
	c.send(get("/3", ""))
	for range 10 {
		asks <- struct{}{}
		if wait(t, "ClientGone", answers) {
			t.Error("gone with a request in the socket")
		}
	}
	close(asks)
	for range 3 {
		c.answer()
	}
}

// It may be asked from any goroutine, in the middle of a read or a write.
func TestClientGoneMeanwhile(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		var gone atomic.Int32
		over := make(chan struct{})
		var asking sync.WaitGroup
		for range 2 {
			asking.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					if clientGone(w) {
						gone.Add(1)
					}
				}
			})
		}
		body, _ := io.ReadAll(r.Body)
		for range 20 {
			_, _ = w.Write(body)
			flush(w)
		}
		close(over)
		asking.Wait()
		if gone.Load() > 0 {
			_, _ = io.WriteString(w, "gone")
		}
	})
	c := dial(t, address)
	c.send(post("Content-Length: 20000\r\n", ""))
	for range 20 {
		c.send(strings.Repeat("x", 1000))
		time.Sleep(time.Millisecond) // for the handler to be in a read
	}
	if _, body := c.answer(); len(body) != 20*20_000 {
		t.Errorf("got %d bytes", len(body))
	}
}

// Of a connection that is none of the system's nothing can be known.
func TestClientGoneIsUnknown(t *testing.T) {
	c := newConn(&Server{}, newScript(nil, 0))
	if c.response.ClientGone() {
		t.Error("gone")
	}
}

func TestClientGoneAfterClose(t *testing.T) {
	began, closed, answers := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	s, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		began <- struct{}{}
		<-closed
		answers <- clientGone(w)
	})
	dial(t, address).send(get("/", ""))
	wait(t, "the request", began)
	_ = s.Close()
	close(closed)
	if !wait(t, "ClientGone", answers) {
		t.Error("there, on a connection that the server has closed")
	}
}

// Who writes to a client that is gone is told, be it little by little or much at once.
func TestWritesToAClientThatIsGoneFail(t *testing.T) {
	for _, size := range []int{1, 2 * gatherSize} {
		failed := make(chan struct{}, 1)
		_, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
			control := http.NewResponseController(w)
			for end := time.Now().Add(soon); time.Now().Before(end); {
				_, err := io.WriteString(w, strings.Repeat("x", size))
				if err == nil {
					err = control.Flush()
				}
				if err != nil {
					failed <- struct{}{}
					return
				}
			}
		})
		c := dial(t, address)
		c.send(get("/", ""))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		wait(t, "the failure of a write of "+strconv.Itoa(size), failed)
	}
}
