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
	documented := map[string]string{} // methods by path
	method := ""
	for _, m := range regexp.MustCompile("`(?:(GET|POST|DELETE) )?(/v1(?:beta)?/[^`]+)`").FindAllStringSubmatch(string(page), -1) {
		if m[1] != "" {
			method = m[1] // of those that follow it in a list, too
		}
		if known := documented[m[2]]; known == "" {
			documented[m[2]] = method
		} else if !strings.Contains(known, method) {
			documented[m[2]] = known + ", " + method
		}
	}
	for path, methods := range documented {
		asked := strings.NewReplacer("{id}", "x", "{month}", "2026-11", "{model}", "m").Replace(path)
		var taken []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, asked, http.NoBody))
			if w.Code == http.StatusUnauthorized { // for want of a key
				taken = append(taken, method)
			}
		}
		if is := strings.Join(taken, ", "); is != methods {
			t.Errorf("docs/api.md: %s %s, and what is taken there is %q", methods, path, is)
		}
	}
	for _, e := range meter.Endpoints() {
		if documented[prefixesOf(e.API)[0]+e.Path] == "" {
			t.Errorf("docs/api.md does not name %s", e.Path)
		}
	}
	for _, path := range []string{"/models", "/models/{id}", "/key", "/credits", "/receipts/{id}", "/bills/{month}", "/quote", "/async-result/{id}", "/responses/{id}", "/responses/{id}/input_items", "/responses/{id}/cancel"} {
		if documented[prefixes[0]+path] == "" {
			t.Errorf("docs/api.md does not name %s", path)
		}
	}
}
