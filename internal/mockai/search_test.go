package mockai_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/mockai"
)

func TestWebSearchShowsUnlessToldNotTo(t *testing.T) {
	s := mockai.New(mockai.Options{})
	for tool, want := range map[string]struct{ searched, shown bool }{
		`{"enable":false}`:                      {false, false},
		`{"enable":true}`:                       {true, true},
		`{"enable":true,"search_result":false}`: {true, false},
		`{"enable":true,"search_result":true}`:  {true, true},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/api/paas/v4/chat/completions", strings.NewReader(
			`{"model":"glm-4.6","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search","web_search":`+tool+`}]}`)))
		body := w.Body.String()
		if searched := strings.Contains(body, `"prompt_tokens":15`); searched != want.searched || strings.Contains(body, `"web_search":[`) != want.shown {
			t.Errorf("%s: %s, want %+v", tool, body, want)
		}
	}
}
