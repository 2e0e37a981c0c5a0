package e2e

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// The admin listener: health, readiness and metrics are open, the rest needs its token.
func TestAdminListener(t *testing.T) {
	_, p, key := acme(t)
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50;cached=40")).requireStatus(t, 200)
	p.post(chatPath, wrongKey(key), chat("gpt-4o", "usage=1,1")).requireStatus(t, 401)
	equal(t, "healthz", p.adminStatus("/healthz"), 200)
	equal(t, "readyz", p.adminStatus("/readyz"), 200)
	for _, path := range []string{"/", "/admin/v1/accounts", "/v1/models"} {
		if status := p.adminStatus(path); status != 401 && status != 404 {
			t.Errorf("%s on the admin listener: %d", path, status)
		}
	}
	metrics := p.metrics()
	for _, want := range []string{"tollgate_", `model="gpt-4o"`, `dimension="cached_input"`, "invalid_api_key"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(metrics, key) {
		t.Error("a key is in the metrics")
	}
	if r := p.send("GET", "/metrics", key, ""); r.status != 404 {
		t.Errorf("the data plane serves /metrics: %d", r.status)
	}
}

// One log line a request, from the receipt; never a prompt, never a secret.
func TestLogs(t *testing.T) {
	_, p, key := acme(t)
	const prompt = "The treasure is buried under the old oak."
	body := `{"model":"gpt-4o","user":"mock:usage=100,50","messages":[{"role":"user","content":"` + prompt + `"}]}`
	id := p.post(chatPath, key, body).header.Get("x-request-id")
	p.stop()
	log, lines := p.stderr.String(), 0
	requireJSONLog(t, p)
	for line := range strings.Lines(log) {
		if strings.Contains(line, id) {
			lines++
			if !strings.Contains(line, "0.0025") || !strings.Contains(line, "acme") {
				t.Errorf("the request's line lacks its cost or its account: %s", line)
			}
		}
	}
	equal(t, "log lines of the request", lines, 1)
	for _, secret := range []string{key, strings.TrimPrefix(key, "tg-acme-"), upstreamKey, prompt, "treasure", "Hello from the simulated"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// A key that its client has put into the path or the model does not get into the log by that.
func TestLogsHaveNoMisplacedKey(t *testing.T) {
	_, p, key := acme(t)
	for _, r := range []reply{
		p.post("/v1/"+key+"/chat/completions", key, `{}`),
		p.post("/"+strings.Repeat("x/", 80)+key, key, `{}`), // its end is beyond what is logged of a path
		p.post(chatPath, key, chat(key, "usage=1,1")),
		p.post(chatPath, wrongKey(key), chat(key, "usage=1,1")),
	} {
		if line := p.logLine(r.header.Get("x-request-id")); strings.Contains(line, strings.TrimPrefix(key, "tg-acme-")[:20]) || !strings.Contains(line, "tg-acme-***") {
			t.Errorf("the log holds the key: %s", line)
		}
	}
}

// Of a request that came to nothing the log says why: what was refused by which
// limit of which key, and what an upstream did that the client is not told.
func TestLogSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.withUpstreams(w.upstreamItem("first", deadURL(t), ", priority: 1"), w.upstreamItem("second", w.up.url, ", priority: 2"))
	w.account("acme", "10")
	key, id := w.key("acme", "--spend-daily", "0.1", "--models", "gpt-4o,glm-4.6")
	p := w.serve()
	for _, c := range []struct {
		what   string
		answer reply
		status int
		want   []string
	}{
		{"a limit of the key", p.post(chatPath, key, chat("gpt-4o", "usage=1,1", `"max_tokens":10000`)), 429, []string{id, "key.spend_daily", "available 0.1"}},
		{"a model of the key", p.post(embeddingPath, key, `{"model":"embedding-3","input":"x"}`), 403, []string{id, "key.models"}},
		{"a wrong body", p.post(chatPath, key, `{"model":`), 400, []string{id, "not valid JSON"}},
		{"a wrong key", p.post(chatPath, wrongKey(key), `{"model":`), 401, []string{`"account":"acme"`, "key_invalid"}},
		{"a route that is not there", p.post("/v1/threads", key, `{}`), 404, []string{`"method":"POST"`, `"path":"/v1/threads"`, "unknown_url", id}},
		{"a wrong key for a list", p.get("/v1/models", wrongKey(key)), 401, []string{`"path":"/v1/models"`, "key_invalid"}},
		{"the upstream that failed first", p.post(chatPath, key, chat("gpt-4o", "usage=1,1", `"max_tokens":10`)), 200, []string{`"attempts":2`, "first: dial tcp", "connection refused"}},
		{"an upstream's refusal in between", p.post(chatPath, key, chat("gpt-4o", "status=503", `"max_tokens":10`)), 503, []string{"first: dial tcp", `"upstream":"second"`}},
		{"our own credential", p.post(chatPath, key, chat("gpt-4o", "status=401", `"max_tokens":10`)), 401, []string{`"level":"warn"`, "upstream_error", `"upstream":"second"`}},
		{"a stream that broke off", p.send("POST", chatPath, key, chat("gpt-4o", "usage=1,1;cut=mid-frame", streamed, `"max_tokens":10`)), 200, []string{"second: "}},
	} {
		c.answer.requireStatus(t, c.status)
		line := p.logLine(c.answer.header.Get("x-request-id"))
		for _, want := range c.want {
			if !strings.Contains(line, want) {
				t.Errorf("%s: the log does not say %s: %s", c.what, want, line)
			}
		}
	}
}

// logLine is what the log says of a request, once it does.
func (p *process) logLine(requestID string) (line string) {
	p.t.Helper()
	eventually(p.t, "a log line of "+requestID, func() bool {
		for l := range strings.Lines(p.stderr.String()) {
			if strings.Contains(l, requestID) {
				line = l
			}
		}
		return line != ""
	})
	return line
}

// requireJSONLog demands that every line of the log is a JSON object.
func requireJSONLog(t *testing.T, p *process) {
	t.Helper()
	for line := range strings.Lines(p.stderr.String()) {
		if !gjson.Valid(line) {
			t.Errorf("a log line is not JSON: %s", line)
		}
	}
}
