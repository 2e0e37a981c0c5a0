package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// upstreamServer counts connections and requests.
type upstreamServer struct {
	*httptest.Server
	connections atomic.Int64
}

func serveUpstream(t *testing.T, secured bool, handler http.HandlerFunc) *upstreamServer {
	t.Helper()
	s := &upstreamServer{Server: httptest.NewUnstartedServer(handler)}
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	if secured {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func transportFor(t *testing.T, s *upstreamServer) *transport {
	t.Helper()
	tr := newTransport()
	if s != nil && s.TLS != nil {
		tr.tls.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	t.Cleanup(func() {
		for _, conn := range tr.takeAll() {
			_ = conn.Close()
		}
	})
	return tr
}

func post(t *testing.T, c *cut, tr *transport, url, body string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return tr.send(r, []byte(body), c)
}

func readAll(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/chunked" {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
	}
	_, _ = w.Write(body)
}

func TestTransportUsesAConnectionAgain(t *testing.T) {
	for _, secured := range []bool{false, true} {
		s := serveUpstream(t, secured, echo)
		tr := transportFor(t, s)
		for i := range 20 {
			path, body := "/plain", strings.Repeat(fmt.Sprint("body ", i), 1+i*500)
			if i%2 == 1 {
				path = "/chunked"
			}
			response, err := post(t, new(cut), tr, s.URL+path, body)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, response); got != body {
				t.Fatalf("answer %d has %d bytes, want %d", i, len(got), len(body))
			}
		}
		if n := s.connections.Load(); n != 1 {
			t.Errorf("secured %v: %d connections, want 1", secured, n)
		}
	}
}

func TestTransportClosesWhatWasNotReadToItsEnd(t *testing.T) {
	s := serveUpstream(t, false, echo)
	tr := transportFor(t, s)
	for range 3 {
		response, err := post(t, new(cut), tr, s.URL, strings.Repeat("x", 100_000))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := response.Body.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if n := s.connections.Load(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestTransportTellsWhetherTheRequestWasSent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	var sent sentError
	if _, err := post(t, new(cut), transportFor(t, nil), "http://"+listener.Addr().String(), "x"); err == nil || errors.As(err, &sent) {
		t.Errorf("nobody listens: %v, want an error that says it was not sent", err)
	}
	s := serveUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler)
	})
	if _, err := post(t, new(cut), transportFor(t, s), s.URL, "x"); !errors.As(err, &sent) {
		t.Errorf("the upstream broke off: %v, want an error that says it was sent", err)
	}
}

func TestTransportIsInterruptedWithTheCause(t *testing.T) {
	cause := errors.New("enough")
	release := make(chan struct{})
	s := serveUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
		}
		<-release
	})
	defer close(release)
	tr := transportFor(t, s)

	var first, second cut
	time.AfterFunc(20*time.Millisecond, func() { first.now(cause) })
	var sent sentError
	if _, err := post(t, &first, tr, s.URL+"/head", "x"); !errors.Is(err, cause) || !errors.As(err, &sent) {
		t.Errorf("waiting for the head: %v, want the cause, and that it was sent", err)
	}

	response, err := post(t, &second, tr, s.URL+"/body", "x")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { second.now(cause) })
	if body, err := io.ReadAll(response.Body); string(body) != "part" || !errors.Is(err, cause) {
		t.Errorf("reading the body: %q, %v, want the part and the cause", body, err)
	}
	if len(tr.takeAll()) != 0 {
		t.Error("an interrupted connection was kept")
	}
}

// takeAll empties the pool.
func (t *transport) takeAll() (all []*upstreamConn) {
	t.idle.mu.Lock()
	defer t.idle.mu.Unlock()
	for _, list := range t.idle.hosts {
		all = append(all, list...)
	}
	clear(t.idle.hosts)
	return all
}

// answerOnce is an upstream written by hand: it treats one connection and closes it.
func answerOnce(t *testing.T, treat func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		treat(conn)
		_ = conn.Close()
	}()
	return "http://" + listener.Addr().String()
}

// A request that is refused before it was read is answered, not lost.
func TestTransportReadsAnEarlyRefusal(t *testing.T) {
	address := answerOnce(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 100))
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})
	response, err := post(t, new(cut), transportFor(t, nil), address, strings.Repeat("x", 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, response); response.StatusCode != http.StatusRequestEntityTooLarge || got != "no" {
		t.Errorf("got %d %q", response.StatusCode, got)
	}
}

// What an upstream says without being asked must not become the next call's answer.
func TestTransportKeepsNoConnectionWithMoreThanTheAnswer(t *testing.T) {
	address := answerOnce(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 1000))
		_, _ = io.WriteString(conn, strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst", 2))
		_, _ = io.Copy(io.Discard, conn)
	})
	tr := transportFor(t, nil)
	response, err := post(t, new(cut), tr, address, "x")
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, response); got != "first" {
		t.Errorf("got %q", got)
	}
	if idle := tr.takeAll(); len(idle) > 0 {
		t.Error("the connection is kept, and what came after the answer with it")
	}
}

// An answer that ends with its connection is whole if the upstream closed it, and
// not if it was reset, though the system tells of that once.
func TestTransportTellsAResetFromAnEnd(t *testing.T) {
	for _, reset := range []bool{false, true} {
		here := make(chan struct{})
		address := answerOnce(t, func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 1000))
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\npart")
			<-here
			if reset {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
		})
		response, err := post(t, new(cut), transportFor(t, nil), address, "x")
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4)
		if _, err := io.ReadFull(response.Body, got); err != nil {
			t.Fatal(err)
		}
		close(here)
		await(response.Body)
		if _, err := response.Body.Read(got); errors.Is(err, io.EOF) == reset || err == nil {
			t.Errorf("reset %v: read %v", reset, err)
		}
	}
}

// answers of a hand-written upstream: what net/http's own server would not send.
func TestTransportReadsOddAnswers(t *testing.T) {
	for name, tc := range map[string]struct{ answer, want string }{
		"informed first": {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"},
		"ends by close":  {"HTTP/1.1 200 OK\r\n\r\nall of it", "all of it"},
		"old protocol":   {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "old"},
		"no body":        {"HTTP/1.1 204 No Content\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			address := answerOnce(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 1000))
				_, _ = io.WriteString(conn, tc.answer)
			})
			response, err := post(t, new(cut), transportFor(t, nil), address, "x")
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, response); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTransportServesManyAtOnce(t *testing.T) {
	s := serveUpstream(t, false, echo)
	tr := transportFor(t, s)
	failures := make(chan error, 64)
	for i := range cap(failures) {
		go func() {
			failures <- func() error {
				for j := range 20 {
					body := fmt.Sprint(i, " ", j)
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, http.NoBody)
					if err != nil {
						return err
					}
					response, err := tr.send(r, []byte(body), new(cut))
					if err != nil {
						return err
					}
					got, err := io.ReadAll(response.Body)
					if err != nil || string(got) != body {
						return fmt.Errorf("got %q, %w, want %q", got, err, body)
					}
				}
				return nil
			}()
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkTransport(b *testing.B) {
	answer := bytes.Repeat([]byte("x"), 600)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }))
	defer s.Close()
	ours, standard := newTransport(), &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}
	for name, send := range map[string]func(*http.Request) (*http.Response, error){
		"ours": func(r *http.Request) (*http.Response, error) { return ours.send(r, answer, new(cut)) }, "net-http": standard.RoundTrip,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL, bytes.NewReader(answer))
					if err != nil {
						b.Error(err)
						return
					}
					response, err := send(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
				}
			})
		})
	}
}

// An address without a port, as those of most providers, is its scheme's.
func TestTransportGoesToTheSchemesPort(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1/v1": "127.0.0.1:80", "https://127.0.0.1/v1": "127.0.0.1:443", "https://[::1]/v1": "[::1]:443", "https://127.0.0.1:8443/v1": "127.0.0.1:8443",
	} {
		var asked string
		tr := transportFor(t, nil)
		tr.dialer.Control = func(_, address string, _ syscall.RawConn) error {
			asked = address
			return errors.New("far enough")
		}
		if _, err := post(t, new(cut), tr, url, ""); err == nil || asked != want {
			t.Errorf("%s is asked at %q, want %q: %v", url, asked, want, err)
		}
	}
}

// An answer that is closed before its end takes its connection with it, by which its upstream learns that nobody wants the rest.
func TestTransportLeavesAnUpstreamWhoseAnswerIsClosed(t *testing.T) {
	left := make(chan struct{})
	upstream := serveUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "the beginning")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	})
	response, err := post(t, new(cut), newTransport(), upstream.URL, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, len("the beginning"))); err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-left:
	case <-time.After(20 * time.Second):
		t.Fatal("the upstream works on")
	}
}
