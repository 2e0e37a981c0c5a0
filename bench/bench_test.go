package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// startUpstream runs the simulated upstream in the test and returns its URL.
func startUpstream(t *testing.T) string {
	t.Helper()
	return startRole(t, serveUpstream, "127.0.0.1:0")
}

func startRole(t *testing.T, role func(context.Context, []string, io.Writer) error, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- role(ctx, args, in) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}

func TestEveryLoadIsAnsweredWhole(t *testing.T) {
	upstream := startUpstream(t)
	proxied := startRole(t, serveReverseProxy, "127.0.0.1:0", upstream)
	for _, base := range []string{upstream, proxied} {
		for _, l := range allLoads() {
			address, wire, err := l.request(base+"/v1", "key")
			if err != nil {
				t.Fatal(err)
			}
			s, err := closedLoop(t.Context(), address, wire, &l, 4, 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if s.requests < 4 || s.quantile(0.5) > s.quantile(0.99) {
				t.Errorf("%s: %d requests, p50 %v, p99 %v", l.name, s.requests, s.quantile(0.5), s.quantile(0.99))
			}
		}
	}
}

func TestUsageChunkIsSentWhenAskedFor(t *testing.T) {
	l := stream("stream50", "", 50)
	u := newUpstream([]load{l})
	asked := strings.Replace(string(l.body), `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
	if got := len(u.answer([]byte(asked))); got != len(u.answer(l.body))+1 {
		t.Errorf("%d pieces when usage is asked for, %d when not", got, len(u.answer(l.body)))
	}
}

func TestBrokenAnswersAreErrors(t *testing.T) {
	l := allLoads()[0]
	for name, answer := range map[string]string{
		"status":       "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}",
		"cut short":    "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
		"other ending": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
		"chunked, cut": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"nothing":      "",
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = readRequestHead(bufio.NewReader(theirs))
				_, _ = io.WriteString(theirs, answer)
				_ = theirs.Close()
			}()
			c := &client{conn: ours, r: bufio.NewReader(ours)}
			defer c.close()
			if err := c.do([]byte("POST / HTTP/1.1\r\n\r\n"), &l); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestChunkedAnswerWithTrailers(t *testing.T) {
	l := allLoads()[0]
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_, _ = readRequestHead(bufio.NewReader(theirs))
		_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX-Cost: 1\r\n\r\n")
	}()
	c := &client{conn: ours, r: bufio.NewReader(ours)}
	defer c.close()
	if err := c.do([]byte("POST / HTTP/1.1\r\n\r\n"), &l); err != nil {
		t.Fatal(err)
	}
	if c.size != 2 || string(c.ending()) != "{}" {
		t.Errorf("read %d bytes ending in %q", c.size, c.ending())
	}
}

func TestRatiosAreMediansOfEachRoundsRatio(t *testing.T) {
	o := &options{rounds: 3, loads: []load{{name: "small"}}}
	targets := []target{{name: direct}, {name: unit}, {name: tollgate}}
	r := newReport(o, targets)
	// The machine is twice as slow in the second round: the ratio stays.
	for round, slow := range []float64{1, 2, 1} {
		r.add(round, &o.loads[0], &targets[0], &figures{P50: 100 * slow})
		r.add(round, &o.loads[0], &targets[1], &figures{P50: 150 * slow, CPU: 50 * slow})
		r.add(round, &o.loads[0], &targets[2], &figures{P50: 200 * slow, CPU: 60 * slow, RedisCPU: 15 * slow, RedisCalls: 2, RedisTrips: 2})
	}
	r.summarize()
	got := r.find("small", tollgate).Ratios
	if got.CPU != 1.2 || got.CPUAndRedis != 1.5 || got.AddedP50 != 2 || got.AddedP50US != 100 {
		t.Errorf("ratios %+v", got)
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	r.find("small", tollgate).Median.RedisCalls = 3
	if r.verdict() == nil {
		t.Error("three calls of Redis per request pass")
	}
}

func TestPeer(t *testing.T) {
	p, err := parsePeer("litellm=http://127.0.0.1:4000/v1,sk-1,12+34")
	if err != nil || p.name != "litellm" || p.url != "http://127.0.0.1:4000/v1" || p.key != "sk-1" || len(p.pids) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "x", "x=http://h", "x=ftp://h,k", "x=http://h,k,pid", "=http://h,k"} {
		if _, err := parsePeer(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}
