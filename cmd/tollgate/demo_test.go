package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tollgate/tollgate/internal/mockai"
)

// Every line to paste works, and each call's receipt is shown as it happens.
func TestDemo(t *testing.T) {
	b := boot(t, nil, "demo", "--listen", "127.0.0.1:0", "--json")
	var intro struct {
		BaseURL string `json:"base_url"`
		Key     string
		Console string
		Token   string `json:"admin_token"`
		Curl    []curlLine
	}
	if err := json.Unmarshal([]byte(b.stdout.line(t, `"type":"demo"`, 1)), &intro); err != nil {
		t.Fatal(err)
	}
	if len(intro.Curl) != 6 {
		t.Fatalf("lines to paste: %+v", intro.Curl)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is missing: sudo apt-get install -y curl (or: brew install curl)")
	}
	for _, line := range intro.Curl {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", line.Line+" --fail").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", line.What, err, out)
		}
	}
	for path, secret := range map[string]string{"": "", "v1/key": intro.Key, "../admin/v1/accounts/demo": intro.Token} {
		if out, err := exec.CommandContext(t.Context(), "curl", "-sf", intro.Console+path, "-H", "Authorization: Bearer "+secret).CombinedOutput(); err != nil {
			t.Errorf("the console's %s: %v\n%s", path, err, out)
		}
	}
	endpoints := []string{"chat", "chat", "messages", "embeddings", "images"}
	for i, endpoint := range endpoints {
		var receipt struct {
			Endpoint, Fee string
			Paid          []struct{ From string }
		}
		if err := json.Unmarshal([]byte(b.stdout.line(t, `"type":"charge"`, i+1)), &receipt); err != nil {
			t.Fatal(err)
		}
		if receipt.Endpoint != endpoint || len(receipt.Paid) == 0 {
			t.Errorf("receipt %d = %+v, want one of %s", i, receipt, endpoint)
		}
	}
	b.stop()
	if exit := b.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, b.stderr.text())
	}
	var summary struct {
		Requests, Refused int
		Audit             struct{ OK bool }
	}
	if err := json.Unmarshal([]byte(b.stdout.line(t, `"type":"summary"`, 1)), &summary); err != nil {
		t.Fatal(err)
	}
	if summary.Requests != 5 || summary.Refused != 0 || !summary.Audit.OK {
		t.Errorf("summary = %+v", summary)
	}
}

func TestDemoText(t *testing.T) {
	b := boot(t, nil, "demo", "--listen", ":0")
	url := b.address("listening on")
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Errorf("a bare port must be the loopback: %s", url)
	}
	_, secret, _ := strings.Cut(b.stdout.line(t, "key ", 1), "tg-demo-")
	chat(t, url, "tg-demo-"+secret, "glm-4.5")
	chat(t, url, "tg-demo-"+secret, "no-such-model")
	if line := b.stdout.line(t, "paid by pack p1", 1); !strings.Contains(line, "chat") || !strings.Contains(line, "left: recharge 50, bonus 50, pack ") {
		t.Errorf("receipt line %q", line)
	}
	b.stdout.line(t, "404 model_not_found", 1)
	response, err := http.Post(url+"/v1/threads", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	b.stdout.line(t, "404 unknown_url", 1)
	b.stop()
	if exit := b.wait(); exit != exitOK {
		t.Errorf("exit %d\n%s", exit, b.stderr.text())
	}
	if line := b.stdout.line(t, "the books balance", 1); !strings.HasPrefix(line, "3 requests, 2 refused, 0 CNY charged in cash") {
		t.Errorf("summary %q", line)
	}
}

// With an upstream of one's own, calls and the key go there, in its currency.
func TestDemoWithARealUpstream(t *testing.T) {
	upstream := mockai.New(mockai.Options{RequireKey: "sk-real"})
	server := httptest.NewServer(upstream)
	defer server.Close()
	b := boot(t, []string{"OPENAI_API_KEY=sk-real", "TOLLGATE_UPSTREAM=" + server.URL + "/v1"}, "demo", "--listen", "127.0.0.1:0")
	url := b.address("listening on")
	_, secret, _ := strings.Cut(b.stdout.line(t, "key ", 1), "tg-demo-")
	if status := chat(t, url, "tg-demo-"+secret, "gpt-4o-mini"); status != http.StatusOK {
		t.Errorf("status %d\n%s", status, b.stdout.text())
	}
	if text := b.stdout.text(); strings.Contains(text, "sk-real") || !strings.Contains(text, "real money") || !strings.Contains(text, "50 USD recharge") {
		t.Errorf("intro:\n%s", text)
	}
}

// A port that is taken is no obstacle, unless it was asked for by name.
func TestDemoPort(t *testing.T) {
	// Whether this takes the usual port or finds it taken, nobody else can have it.
	if usual, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:8080"); err == nil {
		defer usual.Close()
	}
	first := boot(t, nil, "demo")
	taken := strings.TrimPrefix(first.address("listening on"), "http://")
	if taken == "127.0.0.1:8080" {
		t.Error("it listens on a port that is taken")
	}
	if r := runWith(t, nil, "demo", "--listen", taken); r.exit != exitFailed || !strings.Contains(r.stderr, "is taken by another process") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// A terminal that is closed ends what was begun in it: a demo that goes on unseen may
// spend real money, and keeps the port.
func TestHangupEndsDemoAndMock(t *testing.T) {
	for _, args := range [][]string{{"demo", "--listen", "127.0.0.1:0"}, {"mock", "--listen", "127.0.0.1:0"}} {
		b := boot(t, nil, args...)
		b.address("listening on")
		raise(t, syscall.SIGHUP)
		if exit := b.wait(); exit != exitOK {
			t.Errorf("%s: exit %d\n%s", args[0], exit, b.stderr.text())
		}
	}
}

func chat(t *testing.T, url, key, model string) int {
	t.Helper()
	body := strings.NewReader(`{"model":"` + model + `","messages":[{"role":"user","content":"hi"}],"max_tokens":10}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
