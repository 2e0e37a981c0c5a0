package proxy

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// Every route that docs/api.md names is there, by the method it names, and every
// row of the endpoint table is named there.
func TestDocumentedRoutes(t *testing.T) {
	p := routed(t)
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{} // method by path
	method := ""
	for _, m := range regexp.MustCompile("`(?:(GET|POST) )?(/v1(?:beta)?/[^`]+)`").FindAllStringSubmatch(string(page), -1) {
		if m[1] != "" {
			method = m[1] // of those that follow it in a list, too
		}
		if known := documented[m[2]]; known != "" && known != method {
			t.Errorf("docs/api.md: %s is %s, and %s elsewhere", m[2], method, known)
		}
		documented[m[2]] = method
	}
	for path, method := range documented {
		w := httptest.NewRecorder()
		asked := strings.NewReplacer("{id}", "x", "{month}", "2026-11", "{model}", "m").Replace(path)
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, asked, http.NoBody)) // without a key
		is := http.MethodGet
		if w.Code != http.StatusUnauthorized {
			is = w.Header().Get("Allow")
		}
		if is != method {
			t.Errorf("docs/api.md: %s %s: %d, and its method is %q", method, path, w.Code, is)
		}
	}
	for _, e := range meter.Endpoints() {
		if documented[prefixesOf(e.API)[0]+e.Path] == "" {
			t.Errorf("docs/api.md does not name %s", e.Path)
		}
	}
	for _, path := range []string{"/models", "/models/{id}", "/key", "/credits", "/receipts/{id}", "/bills/{month}", "/quote", "/async-result/{id}"} {
		if documented[prefixes[0]+path] == "" {
			t.Errorf("docs/api.md does not name %s", path)
		}
	}
}
