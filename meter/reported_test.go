package meter

import "testing"

// An upstream's error costs what its usage says, and nothing if it says nothing.
func TestReportedIsWhatTheUpstreamSays(t *testing.T) {
	for body, want := range map[string]bool{
		`{"error":{"message":"x"},"usage":{"prompt_tokens":3,"completion_tokens":5}}`: true,
		`{"error":{"message":"x"},"usage":{"completion_tokens":5,"total_tokens":5}}`:  true,
		`{"error":{"message":"x"},"usage":{"prompt_tokens":0,"completion_tokens":0}}`: false,
		`{"error":{"message":"x"},"usage":null}`:                                      false,
		`{"error":{"message":"x"}}`:                                                   false,
		`{"detail":"not found"}`:                                                      false,
		`<html>bad gateway</html>`:                                                    false,
		``:                                                                            false,
	} {
		tap := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[{"role":"user","content":"hello"}]}`).NewTap("application/json")
		tap.Pass(nil, []byte(body))
		if got := tap.Reported(); got != want {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}
