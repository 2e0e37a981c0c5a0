package socket

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// soon is how long a test waits for what must come.
const soon = 10 * time.Second

// pair returns the two ends of a connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{dialed, accepted} {
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
	}
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

func say(t *testing.T, conn io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
}

// watched tells when the reader waits, and whether it has a buffer then.
func watched(t *testing.T, r *Reader) (waits chan struct{}) {
	t.Helper()
	waits = make(chan struct{}, 1)
	r.look = func(fd uintptr) bool {
		there := r.lookOnce(fd)
		if !there {
			if r.HasBuffer() {
				t.Error("it waits with a buffer")
			}
			select {
			case waits <- struct{}{}:
			default:
			}
		}
		return there
	}
	return waits
}

func TestAwaitWaitsWithoutABuffer(t *testing.T) {
	near, far := pair(t)
	r := new(Buffers).NewReader(near, near)
	waits := watched(t, r)
	for i := range 3 {
		text := fmt.Sprintf("text %d", i)
		go func() {
			<-waits
			say(t, far, text)
		}()
		if err := r.Await(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
		if !r.HasBuffer() {
			t.Error("there is no buffer to read on with")
		}
		if r.Release(); r.HasBuffer() {
			t.Error("the buffer is still there")
		}
	}
}

func TestReleaseKeepsWhatNobodyHasRead(t *testing.T) {
	near, far := pair(t)
	r := new(Buffers).NewReader(near, near)
	say(t, far, "one\ntwo\n")
	for _, want := range []string{"one\n", "two\n"} {
		if err := r.Await(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); got != want || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		r.Release()
	}
	if r.HasBuffer() {
		t.Error("there is a buffer for nothing")
	}
}

// What has been given back, or was never taken, is not given back again: it would be another's, too.
func TestReleaseGivesBackOnce(t *testing.T) {
	near, far := pair(t)
	var buffers Buffers
	r := buffers.NewReader(near, near)
	for _, text := range []string{"a", "b"} {
		r.Release()
		r.Release()
		say(t, far, text)
		if err := r.Await(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadByte(); err != nil || string(got) != text {
			t.Fatalf("read %q, %v, want %q", got, err, text)
		}
	}
}

// What comes in place of bytes is told, and told again to who reads.
func TestAwaitTellsTheEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(near, far *net.TCPConn)
		want error
	}{
		{"closed", func(_, far *net.TCPConn) { _ = far.Close() }, io.EOF},
		{"half-closed", func(_, far *net.TCPConn) { _ = far.CloseWrite() }, io.EOF},
		{"reset", func(_, far *net.TCPConn) { _ = far.SetLinger(0); _ = far.Close() }, syscall.ECONNRESET},
		{"interrupted", func(near, _ *net.TCPConn) { _ = near.SetReadDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		{"closed here", func(near, _ *net.TCPConn) { _ = near.Close() }, net.ErrClosed},
	} {
		for _, waiting := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, waiting %v", c.name, waiting), func(t *testing.T) {
				near, far := pair(t)
				r := new(Buffers).NewReader(near, near)
				if waits := watched(t, r); waiting {
					go func() {
						<-waits
						c.end(near, far)
					}()
				} else {
					c.end(near, far)
				}
				if err := r.Await(); !errors.Is(err, c.want) {
					t.Errorf("Await: %v, want %v", err, c.want)
				}
				if _, err := r.ReadByte(); !errors.Is(err, c.want) {
					t.Errorf("ReadByte: %v, want %v", err, c.want)
				}
			})
		}
	}
}

// secured returns a reader of a connection with TLS, and its other end.
func secured(t *testing.T) (r *Reader, far *tls.Conn) {
	t.Helper()
	r, far, _ = securedOver(t, tls.VersionTLS13)
	return r, far
}

// A wire may keep what its connection sends.
type wire struct {
	net.Conn
	keeps bool
	kept  bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) {
	if w.keeps {
		return w.kept.Write(p)
	}
	return w.Conn.Write(p)
}

// SetWriteDeadline does nothing: TLS lets nothing be written behind its goodbye.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// securedOver also returns what the other end writes to.
func securedOver(t *testing.T, version uint16) (r *Reader, far *tls.Conn, below *wire) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	trusted := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.ServerName = "example.com" // which the certificate is for
	trusted.MaxVersion = version
	near, bottom := pair(t)
	below = &wire{Conn: bottom}
	client, far := tls.Client(&Base{Conn: near}, trusted), tls.Server(below, s.TLS)
	shaken := make(chan error, 1)
	go func() { shaken <- far.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return new(Buffers).NewReader(client, client), far, below
}

// TLS may have read what the system does not know of any more.
func TestAwaitOverTLS(t *testing.T) {
	r, far := secured(t)
	text := strings.Repeat("x", 3*bufferSize)
	go func() {
		say(t, far, text)
		_ = far.CloseWrite()
	}()
	got := 0
	for r.Await() == nil {
		n, err := r.Discard(r.Buffered())
		if got += n; err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	if got != len(text) {
		t.Errorf("got %d of %d bytes", got, len(text))
	}
}

// A record may come byte by byte. Until it is whole there is nothing to read, and no need of a buffer.
func TestAwaitOverTLSWaitsForTheRecord(t *testing.T) {
	r, far, below := securedOver(t, tls.VersionTLS13)
	below.keeps = true
	for _, text := range []string{"first", "second"} {
		say(t, far, text)
	}
	_ = far.CloseWrite()
	waits := watched(t, r)
	go func() {
		for below.kept.Len() > 0 {
			<-waits
			say(t, below.Conn, string(below.kept.Next(1)))
		}
	}()
	for _, want := range []string{"first", "second"} {
		if err := r.Await(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Peek(r.Buffered()); string(got) != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		_, _ = r.Discard(r.Buffered())
		r.Release()
	}
	if err := r.Await(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// With the end of a text TLS 1.2 looks for the other side's goodbye, of which some may be missing.
func TestAwaitOverTLSTakesWhatIsThere(t *testing.T) {
	r, far, below := securedOver(t, tls.VersionTLS12)
	below.keeps = true
	say(t, far, "text")
	length := below.kept.Len()
	_ = far.CloseWrite()
	say(t, below.Conn, string(below.kept.Next(length+1)))
	arrived(t, r, length+1)
	if err := r.Await(); err != nil {
		t.Fatal(err)
	}
	say(t, below.Conn, below.kept.String())
	if got, err := io.ReadAll(r); string(got) != "text" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// Only a look does not wait: what is read after it does.
func TestReadingOverTLSWaits(t *testing.T) {
	r, far := secured(t)
	say(t, far, "x")
	if b, err := r.readByte(); b != 'x' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if err := r.base.SetReadDeadline(time.Unix(1, 0)); err != nil { // who waits is told
		t.Fatal(err)
	}
	if _, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// arrived waits until so much can be read from the reader's connection.
func arrived(t *testing.T, r *Reader, want int) {
	t.Helper()
	for until := time.Now().Add(soon); ; time.Sleep(time.Millisecond) {
		var got int
		_ = r.raw.Control(func(fd uintptr) {
			got, _, _ = syscall.Recvfrom(int(fd), make([]byte, want), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
		if got == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d of %d bytes have come", got, want)
		}
	}
}

// Many connections share few buffers, and nobody reads what is another's.
func TestBuffersAreNotMixedUp(t *testing.T) {
	var all sync.WaitGroup
	var buffers Buffers
	for number := range 50 {
		near, far := pair(t)
		all.Go(func() {
			r := buffers.NewReader(near, near)
			for i := range 200 {
				if err := r.Await(); err != nil {
					t.Error(err)
					return
				}
				got, err := r.ReadString('\n')
				if want := line(number, i); got != want || err != nil {
					t.Errorf("connection %d got %.40q, %v; want %.40q", number, got, err, want)
					return
				}
				r.Release()
			}
		})
		all.Go(func() {
			for i := range 200 {
				say(t, far, line(number, i))
			}
		})
	}
	all.Wait()
}

func line(number, i int) string {
	return strings.Repeat(fmt.Sprintf("%d of %d. ", i, number), 1+(number*i)%700) + "\n"
}

func TestQuietAndGone(t *testing.T) {
	near, far := pair(t)
	r := new(Buffers).NewReader(near, near)
	expect := func(when string, quiet, gone bool) {
		t.Helper()
		for until := time.Now().Add(soon); r.Gone() != gone || r.Quiet() != quiet; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: quiet %v, gone %v", when, r.Quiet(), r.Gone())
			}
		}
	}
	expect("at first", true, false)
	say(t, far, "xy")
	if b, err := r.readByte(); b != 'x' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	expect("with something in the buffer", false, false)
	if b, err := r.readByte(); b != 'y' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	expect("when all has been read", true, false)
	say(t, far, "z")
	expect("with something to read", false, false)
	_ = far.CloseWrite()
	expect("half-closed", false, true)
	_ = near.Close()
	expect("closed here", false, true)
}

// What lies over the system's connection may hold what the system has given away.
func TestQuietOverTLS(t *testing.T) {
	r, far := secured(t)
	quiet := func() (quiet bool) {
		for until := time.Now().Add(soon); !quiet && time.Now().Before(until); time.Sleep(time.Millisecond) {
			quiet = r.Quiet()
		}
		return quiet
	}
	say(t, far, "x")
	if b, err := r.readByte(); b != 'x' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if !quiet() {
		t.Error("it is not quiet when all has been read")
	}
	say(t, far, strings.Repeat("y", bufferSize+1))
	if err := r.Await(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Discard(r.Buffered()); err != nil {
		t.Fatal(err)
	}
	if r.Quiet() {
		t.Error("it is quiet with a byte of the record still to be read")
	}
}

func (r *Reader) readByte() (byte, error) {
	if err := r.Await(); err != nil {
		return 0, err
	}
	return r.ReadByte()
}

// What is no connection of the system's is read with a buffer, and says nothing of itself.
func TestOtherConnections(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	r := new(Buffers).NewReader(near, near)
	if r.Quiet() || r.Gone() {
		t.Errorf("quiet %v, gone %v", r.Quiet(), r.Gone())
	}
	go func() {
		say(t, far, "x")
		_ = far.Close()
	}()
	if b, err := r.readByte(); b != 'x' || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if err := r.Await(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}
