package main

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"slices"
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
	listening := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				listening <- url
			}
		}
	}()
	select {
	case url := <-listening:
		return url
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not say where it listens")
		return ""
	}
}

func TestEveryLoadIsAnsweredWhole(t *testing.T) {
	upstream := startUpstream(t)
	proxied := startRole(t, serveReverseProxy, "127.0.0.1:0", upstream)
	fast := startRole(t, serveFastHTTP, "127.0.0.1:0", upstream)
	for _, base := range []string{upstream, proxied, fast} {
		for _, l := range allLoads() {
			if l.every > 0 {
				l.every = time.Millisecond // for the generator's part of it
			}
			shot, err := l.at([]string{base + "/v1"}, "key")
			if err != nil {
				t.Fatal(err)
			}
			s, err := closedLoop(t.Context(), shot, 4, 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if s.requests < 4 || quantile(s.latency, 0.5) > quantile(s.latency, 0.99) || quantile(s.first, 0.99) > quantile(s.latency, 0.99) {
				t.Errorf("%s: %d requests, p50 %v, p99 %v, first byte p99 %v", l.name, s.requests, quantile(s.latency, 0.5), quantile(s.latency, 0.99), quantile(s.first, 0.99))
			}
		}
	}
}

func TestOpenLoopKeepsItsRate(t *testing.T) {
	l := allLoads()[0]
	shot, err := l.at([]string{startUpstream(t) + "/v1"}, "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	s, err := openLoop(t.Context(), shot, 8, 200, 500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if s.requests != 100 {
		t.Errorf("%d requests in half a second at 200 a second", s.requests)
	}
}

func TestUsageChunkIsSentWhenAskedFor(t *testing.T) {
	l := stream("stream50", "", 50)
	u := newUpstream([]load{l})
	asked := strings.Replace(string(l.body), `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
	with, _ := u.answer([]byte(asked))
	without, _ := u.answer(l.body)
	if len(with) != len(without)+1 {
		t.Errorf("%d pieces when usage is asked for, %d when not", len(with), len(without))
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
	o := &options{rounds: 3, loads: []load{{name: "small"}, {name: "packs", like: "small"}}}
	targets := []target{{name: direct}, {name: unit}, {name: tollgate}}
	r := newReport(o, targets, nil)
	// The machine is twice as slow in the second round: the ratio stays.
	for round, slow := range []float64{1, 2, 1} {
		r.add(round, &o.loads[0], &targets[0], &figures{p50: 100 * slow})
		r.add(round, &o.loads[0], &targets[1], &figures{p50: 150 * slow, cpu: 50 * slow, cpuAndRedis: 50 * slow})
		for i := range o.loads {
			r.add(round, &o.loads[i], &targets[2], &figures{p50: 200 * slow, cpu: 60 * slow, redisCPU: 15 * slow, cpuAndRedis: 75 * slow, redisCalls: 2, redisTrips: 2})
		}
	}
	r.summarize()
	if r.find("packs", unit) != nil {
		t.Error("a load that differs in who pays has a row for a proxy that does not know who pays")
	}
	for _, load := range []string{"small", "packs"} {
		row := r.find(load, tollgate)
		if x := row.Ratio; x[cpu] != 1.2 || x[cpuAndRedis] != 1.5 || x[addedP50] != 2 || row.Median[addedP50] != 100 {
			t.Errorf("%s: ratios %v", load, x)
		}
	}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
	r.find("small", tollgate).Median[redisCalls] = 3
	if r.verdict() == nil {
		t.Error("three calls of Redis per request pass")
	}
}

func TestTable(t *testing.T) {
	table := table{head: []string{"load", "CPU µs", "nothing"}}
	table.add("small", "41 (1.00×)", "")
	table.add("", "7", "")
	var b strings.Builder
	table.print(&b)
	const want = "| load  |     CPU µs |\n|-------|-----------:|\n| small | 41 (1.00×) |\n|       |          7 |\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestPlotsAreWellFormed(t *testing.T) {
	for _, w := range sweeps() {
		g := &grown{sweep: &w, Name: w.name, About: w.about}
		c := &curve{Target: tollgate}
		for i, x := range w.points {
			f := &figures{cpu: 60, redisCPU: 40 + float64(i), memory: 30, streamMemory: 20}
			c.Points = append(c.Points, &growPoint{X: x, Median: f, Rounds: []*figures{f}})
		}
		g.Curves = []*curve{c}
		picture := g.svg()
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
			t.Errorf("%s: a point has no place: %s", w.name, picture)
		}
		for d := xml.NewDecoder(strings.NewReader(picture)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	if loads, err := chooseLoads("packs20"); err != nil || len(loads) != 2 || loads[0].name != "small" {
		t.Errorf("a load that differs from another brings it along: got %d, %v", len(loads), err)
	}
	if _, err := chooseLoads("none"); err == nil {
		t.Error("a load that is not there passes")
	}
	if _, err := chooseTargets("nginx,none"); err == nil {
		t.Error("a target that is not there passes")
	}
	o, err := parseOptions([]string{"--short", "--loads", "small"}, io.Discard)
	if err != nil || o.wants("nginx") || !o.wants(tollgate) || !o.wants(unit) || len(o.loads) != 1 {
		t.Errorf("the short form: %+v, %v", o, err)
	}
	if chosen, err := chooseSweeps("holds,keys"); err != nil || len(chosen) != 2 || chosen[0].name != "holds" {
		t.Errorf("sweeps: %v, %v", chosen, err)
	}
	if _, err := chooseSweeps("none"); err == nil {
		t.Error("a sweep that is not there passes")
	}
}

func TestMonitored(t *testing.T) {
	got, err := monitored(`1760000000.123456 [0 127.0.0.1:5] "evalsha" "a \"b\"" "\t\x00"`)
	if err != nil || !slices.Equal(got, []string{"evalsha", `a "b"`, "\t\x00"}) {
		t.Errorf("%q, %v", got, err)
	}
	if inner, err := monitored(`1760000000.123456 [0 lua] "SET" "k" "v"`); err != nil || len(inner) > 0 {
		t.Errorf("what a script calls is taken for a client's: %q, %v", inner, err)
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
