package proxy

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// The paths of Azure's older API are those of OpenAI's, with the model in them.
func TestDeploymentInThePath(t *testing.T) {
	p := routed(t)
	for path, want := range map[string][2]string{ // the row, and the model
		"/openai/deployments/gpt-4o/chat/completions": {"/chat/completions", "gpt-4o"},
		"/openai/deployments/my gpt/embeddings":       {"/embeddings", "my gpt"},
		"/openai/deployments/a.b/images/generations":  {"/images/generations", "a.b"},
		"/openai/deployments/m/responses":             {},
		"/openai/deployments/m/messages":              {},
		"/openai/deployments/m/models":                {},
		"/openai/deployments/m/":                      {},
		"/openai/deployments/m":                       {},
		"/openai/deployments//embeddings":             {},
		"/openai/deployments/embeddings":              {},
		"/openai/embeddings":                          {},
		"/v1/openai/deployments/m/embeddings":         {},
	} {
		var got [2]string
		if e, model := p.endpoint(path); e != nil {
			got = [2]string{e.Path, model}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	for method, status := range map[string]int{http.MethodPost: http.StatusUnauthorized, http.MethodGet: http.StatusMethodNotAllowed} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/openai/deployments/m/embeddings?api-version=2024-10-21", http.NoBody))
		if w.Code != status {
			t.Errorf("%s: %d, want %d: %s", method, w.Code, status, w.Body)
		}
	}
	for asked, want := range map[string]string{
		"/openai/deployments/m/embeddings?api-version=2024-10-21&a=b": "a=b",
		"/v1/embeddings?api-version=preview":                          "api-version=preview",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, asked, http.NoBody)
		if got := upstreamQuery(r, meter.FindEndpoint("/embeddings")); got != want {
			t.Errorf("of %s goes on %q, want %q", asked, got, want)
		}
	}
}
