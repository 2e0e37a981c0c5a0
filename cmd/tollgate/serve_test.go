package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/mockai"
	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
)

const servePrices = `currency: CNY
prices:
  - models: [glm-test]
    rates: {input: 2/1M, output: 8/1M}
`

// premises are a proxy at work: Redis, an upstream, an account with money and a key.
type premises struct {
	*office
	dir, config string
	redis       *redistest.Server
	upstream    *mockai.Server
	server      *booted
	url, admin  string
	secret      string
}

func openPremises(t *testing.T) *premises {
	t.Helper()
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() { http.DefaultClient.CloseIdleConnections(); goleak.VerifyNone(t, running) })
	redis := redistest.Start(t)
	s := &premises{office: &office{t: t}, dir: t.TempDir(), redis: redis, upstream: mockai.New(mockai.Options{})}
	upstream := httptest.NewServer(s.upstream)
	t.Cleanup(func() { s.upstream.Close(); upstream.Close() })
	t.Chdir(s.dir) // where the settlement log goes
	writeFile(t, s.dir, "prices.yaml", servePrices)
	s.config = writeFile(t, s.dir, "tollgate.yaml", fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0", token: "${TOKEN}"}
ledger: {redis: "%s", log: ./settlements}
upstreams:
  - {name: mock, base_url: "%s/v1", models: ["glm-*"]}
pricing: {currency: CNY, files: [prices.yaml]}
`, redis.URL(), upstream.URL))
	s.env = []string{"TOLLGATE_CONFIG=" + s.config, "TOKEN=adm"}
	s.server = boot(t, s.env, "serve")
	s.url, s.admin = s.server.address("listening on"), s.server.address("admin on")
	s.do("account create acme")
	s.do("topup acme 10")
	s.secret = decode[struct{ Secret string }](t, s.do("key create acme --json")).Secret
	return s
}

// ask calls the proxy; the caller closes the body.
func (s *premises) ask(model, prompt string, stream bool) *http.Response {
	s.t.Helper()
	body := fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":100,"messages":[{"role":"user","content":%q}]}`, model, stream, prompt)
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func (s *premises) get(url string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// charges are the fees in the account's journal.
func (s *premises) charges() (fees []string) {
	s.t.Helper()
	for _, e := range decode[[]ledger.Entry](s.t, s.do("journal acme --type charge,abandon --json")) {
		fees = append(fees, e.Fee.String())
	}
	return fees
}

func (s *premises) edit(name, from, to string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), from) {
		s.t.Fatalf("%s lacks %q: %v", name, from, err)
	}
	writeFile(s.t, s.dir, name, strings.Replace(string(data), from, to, 1))
}

func raise(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		t.Fatal(err)
	}
}

func TestServe(t *testing.T) {
	s := openPremises(t)
	response := s.ask("glm-test", "mock:usage=100,50 hello", false)
	if response.StatusCode != http.StatusOK || response.Header.Get("x-tollgate-cost") != "0.0006" {
		t.Errorf("status %d, cost %q", response.StatusCode, response.Header.Get("x-tollgate-cost"))
	}
	if fees := s.charges(); len(fees) != 1 || fees[0] != "0.0006" {
		t.Errorf("charges = %q", fees)
	}
	for path, want := range map[string]string{
		"/healthz": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`, "/metrics": "tollgate_requests_total",
	} {
		if status, body := s.get(s.admin + path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, status, body)
		}
	}
	// The log is JSON, and holds neither prompt nor secret.
	for line := range strings.Lines(s.server.stderr.text()) {
		if !json.Valid([]byte(line)) || strings.Contains(line, s.secret) || strings.Contains(line, "hello") {
			t.Errorf("log line %s", line)
		}
	}
	s.server.stop()
	if exit := s.server.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, s.server.stderr.text())
	}
}

// Half of a reload is none: what is refused changes nothing.
func TestReload(t *testing.T) {
	s := openPremises(t)
	cost := func() string { return s.ask("glm-test", "mock:usage=100,50 x", false).Header.Get("x-tollgate-cost") }
	if got := cost(); got != "0.0006" {
		t.Fatalf("cost %q", got)
	}
	s.edit("prices.yaml", "input: 2/1M", "input: 20/1M")
	s.edit("tollgate.yaml", `"glm-*"`, `"glm-*", other`)
	s.edit("tollgate.yaml", "log: ./settlements", "log: ./elsewhere")
	raise(t, syscall.SIGHUP)
	line := s.server.stderr.line(t, `"reloaded"`, 1)
	if !strings.Contains(line, "upstream mock changed") || !strings.Contains(line, "prices ") {
		t.Errorf("reloaded says %s", line)
	}
	if line := s.server.stderr.line(t, "need a restart", 1); !strings.Contains(line, "ledger.log") {
		t.Errorf("the settings that need a restart: %s", line)
	}
	s.server.stderr.line(t, "upstream mock serves other, which has no price", 1)
	s.server.stderr.line(t, "upstream mock has no api_key", 2) // also at the start
	if got := cost(); got != "0.0024" {
		t.Errorf("cost by the new price: %q", got)
	}
	for i, fault := range []struct{ file, from, to, want string }{
		{"prices.yaml", "input: 20/1M", "input: much", "prices.yaml:4:"},
		{"tollgate.yaml", "listen: 127.0.0.1:0", "lisen: 127.0.0.1:0", "did you mean listen"},
		{"tollgate.yaml", "currency: CNY", "currency: USD", "pricing.currency is CNY and cannot become USD"},
		{"tollgate.yaml", "pricing:", "#ricing:", "pricing: is missing"},
		{"tollgate.yaml", "/v1\", models", "/older\", kind: azure, models", "there is none that can be used"},
	} {
		s.edit("prices.yaml", "output: 8/1M", "output: 80/1M") // must not get in force
		s.edit(fault.file, fault.from, fault.to)
		raise(t, syscall.SIGHUP)
		if line := s.server.stderr.line(t, "reload refused", i+1); !strings.Contains(line, fault.want) {
			t.Errorf("refusal says %s, want %q", line, fault.want)
		}
		if got := cost(); got != "0.0024" {
			t.Errorf("after a refused reload (%s) the cost is %q", fault.want, got)
		}
		s.edit(fault.file, fault.to, fault.from)
		s.edit("prices.yaml", "output: 80/1M", "output: 8/1M")
	}
}

// The first signal: not ready, no new calls, the call in flight ends whole and is charged.
func TestDrain(t *testing.T) {
	s := openPremises(t)
	response := s.ask("glm-test", "mock:usage=100,50;chunks=6;delay=150ms go on", true)
	stream := bufio.NewReader(response.Body)
	if _, err := stream.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	raise(t, syscall.SIGTERM)
	s.server.stderr.line(t, "draining: ", 1)
	if status, body := s.get(s.admin + "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("readyz while draining: %d %s", status, body)
	}
	rest, err := io.ReadAll(stream)
	if err != nil || !strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream was cut: %v\n%s", err, rest)
	}
	if exit := s.server.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, s.server.stderr.text())
	}
	if fees := s.charges(); len(fees) != 1 || fees[0] != "0.0006" {
		t.Errorf("charges = %q", fees)
	}
	s.do("audit")
	if connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		_ = connection.Close()
		t.Error("it still listens")
	}
}

// What an operator has asked for ends before the process does, and is told.
func TestDrainWaitsForTheAdminAPI(t *testing.T) {
	s := openPremises(t)
	redis := s.redis.Client()
	if err := redis.Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.admin+"/admin/v1/accounts/acme/topups", strings.NewReader(`{"amount": "5"}`))
		if err == nil {
			r.Header.Set("Authorization", "Bearer adm")
			var response *http.Response
			if response, err = http.DefaultClient.Do(r); err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}
		answered <- err
	}()
	for waits := false; !waits; { // until the booking is at Redis's door
		clients, err := redis.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(clients) {
			waits = waits || strings.Contains(line, "cmd=fcall") && strings.Contains(line, "flags=b")
		}
	}
	raise(t, syscall.SIGTERM)
	for open := true; open; { // until nobody new gets in, which is when the old would be cut off
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.admin, "http://"))
		if open = err == nil; open {
			_ = connection.Close()
		}
	}
	if err := redis.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("a topup in flight: %v", err)
	}
	if exit := s.server.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, s.server.stderr.text())
	}
}

// The second signal cuts the drain: what was delivered is charged, and no hold is left.
func TestSecondSignalCuts(t *testing.T) {
	s := openPremises(t)
	response := s.ask("glm-test", "mock:hang=mid go on", true)
	if _, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	raise(t, syscall.SIGTERM)
	s.server.stderr.line(t, "draining: ", 1)
	raise(t, syscall.SIGTERM)
	if exit := s.server.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, s.server.stderr.text())
	}
	s.server.stderr.line(t, "the drain is cut", 1)
	if fees := s.charges(); len(fees) != 1 {
		t.Errorf("charges = %q, want what was delivered, once", fees)
	}
	if a := decode[ledger.Account](t, s.do("account show acme --json")); a.Held != 0 {
		t.Errorf("held = %s", a.Held)
	}
	s.do("audit")
}

func TestServeRefusesToStart(t *testing.T) {
	redis := redistest.Start(t)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	t.Chdir(dir) // where the settlement log would go
	whole := "listen: 127.0.0.1:0\nledger: {redis: 'REDIS'}\nupstreams: [{name: a, base_url: 'http://127.0.0.1:1', models: ['*']}]\npricing: {currency: CNY, files: [bigmodel.yaml]}\n"
	for name, tt := range map[string]struct{ config, want string }{
		"no upstream":       {strings.Replace(whole, "upstreams: [{name: a, base_url: 'http://127.0.0.1:1', models: ['*']}]\n", "", 1), "upstreams: there is none that can be used"},
		"only a later kind": {strings.Replace(whole, "name: a", "name: a, kind: azure", 1), "upstreams: there is none that can be used"},
		"no prices":         {strings.Replace(whole, "files: [bigmodel.yaml]", "files: []", 1), "pricing.files: no price table is named"},
		"no pricing":        {strings.Replace(whole, "pricing: {currency: CNY, files: [bigmodel.yaml]}\n", "", 1), "pricing.files: no price table is named"},
		"no exchange":       {strings.Replace(whole, "[bigmodel.yaml]", "[openai.yaml]", 1), "exchange"},
		"port taken":        {strings.Replace(whole, "127.0.0.1:0", taken.Addr().String(), 1), "is taken by another process"},
		"admin port taken":  {whole + "admin: {listen: '" + taken.Addr().String() + "'}\n", "set admin.listen to another address"},
		"Redis away":        {strings.Replace(whole, "REDIS", "redis://127.0.0.1:1/0", 1), "is Redis running there"},
		"log not writable":  {strings.Replace(whole, "'REDIS'", "'REDIS', log: c.yaml", 1), "that ledger.log names"},
		"archive away":      {whole + "archive: {url: 'postgres://u:hunter2@127.0.0.1:1/x'}\n", "is archive.url right?"},
		"another currency":  {strings.Replace(strings.Replace(whole, "CNY", "USD", 1), "bigmodel", "openai", 1), "the currency is fixed"},
	} {
		if name == "another currency" {
			runWith(t, []string{"TOLLGATE_REDIS=" + redis.URL(), "TOLLGATE_CURRENCY=CNY"}, "account", "create", "acme")
		}
		path := writeFile(t, dir, "c.yaml", strings.ReplaceAll(tt.config, "REDIS", redis.URL()))
		r := runWith(t, nil, "serve", "-c", path)
		if r.exit != exitFailed || !strings.Contains(r.stderr, tt.want) || strings.Contains(r.stdout, "listening") {
			t.Errorf("%s: exit %d\n%s%s\nwant %q", name, r.exit, r.stdout, r.stderr, tt.want)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "damaged", "0"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "damaged", "0"), "000000000001.log", "this is no settlement log")
	path := writeFile(t, dir, "c.yaml", strings.ReplaceAll(strings.Replace(whole, "'REDIS'", "'REDIS', log: damaged", 1), "REDIS", redis.URL()))
	if r := runWith(t, nil, "serve", "-c", path); r.exit != exitFailed || !strings.Contains(r.stderr, "the log is damaged") || strings.Contains(r.stderr, "can this process write") {
		t.Errorf("a damaged log: exit %d, %s", r.exit, r.stderr)
	}
	path = writeFile(t, dir, "c.yaml", strings.ReplaceAll(whole, "REDIS", redis.URL()))
	if r := runWith(t, []string{"TOLLGATE_LOG=loud"}, "serve", "-c", path); r.exit != exitFailed || !strings.Contains(r.stderr, "TOLLGATE_LOG") {
		t.Errorf("a log level that there is not: exit %d, %s", r.exit, r.stderr)
	}
}
