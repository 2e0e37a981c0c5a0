package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
)

// withCalls is the handler with a data plane that says what it was asked.
func withCalls(t *testing.T, calls http.Handler) http.Handler {
	t.Helper()
	h, err := New(Options{Ready: ready, Gatherer: prometheus.NewRegistry(), Calls: calls})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The pages are open to whoever reaches the listener; they may load the console's own files and nothing else.
func TestConsoleIsServed(t *testing.T) {
	h := withCalls(t, nil)
	page := get(h, "/console/", "")
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "<title>Tollgate</title>") {
		t.Fatalf("%d %s", page.Code, page.Body)
	}
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; script-src 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for name, want := range map[string]string{"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"} {
		if got := page.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, reference := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1) {
		if file := get(h, "/console/"+reference[1], ""); file.Code != http.StatusOK || file.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d, %v", reference[1], file.Code, file.Header())
		}
	}
	if file := get(h, "/console/nothing.js", ""); file.Code != http.StatusNotFound {
		t.Errorf("a file that there is not: %d", file.Code)
	}
}

// Scripts import each other by names that there are: nothing builds them, so nothing else would tell.
func TestConsoleScriptsAreThere(t *testing.T) {
	h := withCalls(t, nil)
	seen, waiting := map[string]bool{}, []string{"app.js"}
	for len(waiting) > 0 {
		name := waiting[0]
		waiting = waiting[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		file := get(h, "/console/"+name, "")
		if file.Code != http.StatusOK || !strings.HasPrefix(file.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: %d, %s", name, file.Code, file.Header().Get("Content-Type"))
		}
		for _, imported := range regexp.MustCompile(`from "\./([^"]+)"`).FindAllStringSubmatch(file.Body.String(), -1) {
			waiting = append(waiting, imported[1])
		}
	}
	files, err := consoleFiles.ReadDir("console")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file.Name(), ".js") && !seen[file.Name()] {
			t.Errorf("%s is used by nobody", file.Name())
		}
	}
}

// Under the console's prefix the data plane gets what key holders ask, as it would at its own address, and nothing else.
func TestConsoleCallsTheDataPlane(t *testing.T) {
	h := withCalls(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization")+" "+string(body))
	}))
	r := httptest.NewRequest(http.MethodPost, "/console/v1/chat/completions?x=1", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer tg-acme-x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Body.String(); got != "POST /v1/chat/completions?x=1 Bearer tg-acme-x {}" {
		t.Errorf("the data plane was asked %q", got)
	}
	if policy := w.Header().Get("Content-Security-Policy"); policy != consolePolicy || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("what an upstream answers may run as a page of the console's: %q", policy)
	}
	for _, path := range []string{"/v1/models", "/console/metrics", "/console/../v1/models"} {
		if got := get(h, path, "Bearer tg-acme-x"); strings.Contains(got.Body.String(), "tg-acme-x") || got.Code == http.StatusOK {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	if got := get(withCalls(t, nil), "/console/v1/models", ""); got.Code != http.StatusNotFound {
		t.Errorf("without a data plane: %d", got.Code)
	}
}

// Days and months are the ledger's, wherever the browser is; that is known to whoever asks, also while Redis is away.
func TestConsoleKnowsTheLedgersDays(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY", Timezone: zone})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := New(Options{Ready: ready, Gatherer: prometheus.NewRegistry(), Ledger: l})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(h, "/console/about", "").Body.String(); got != `{"timezone":"Asia/Shanghai","currency":"CNY"}`+"\n" {
		t.Error(got)
	}
}

// A browser that was given the listener's address alone finds the console; a tool is told what is here.
func TestBrowsersFindTheConsole(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	w := httptest.NewRecorder()
	withCalls(t, nil).ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console/" {
		t.Errorf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	r.URL.Path, w = prefix+"/accounts", httptest.NewRecorder()
	if withCalls(t, nil).ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("a call from a browser: %d", w.Code)
	}
	if got := get(withCalls(t, nil), "/", ""); got.Code != http.StatusUnauthorized || !strings.Contains(got.Body.String(), "/console/") {
		t.Errorf("a tool: %d %s", got.Code, got.Body)
	}
}
