package meter

import "testing"

// TestRefusalWithStatus200: BigModel tells of some errors with a body's code and HTTP 200.
func TestRefusalWithStatus200(t *testing.T) {
	const refusal = `{"code":1001,"msg":"Header中未收到Authorization参数","success":false}`
	requests := map[string]string{
		"/chat/completions":   `{"model":"glm-4.6","messages":[{"role":"user","content":"hello there"}]}`,
		"/embeddings":         `{"model":"embedding-3","input":"hello there"}`,
		"/images/generations": `{"model":"cogview-4","prompt":"a fox","n":2}`,
	}
	for path, body := range requests {
		tap := mustRead(t, FindEndpoint(path), body).NewTap("application/json")
		tap.Pass(nil, []byte(refusal))
		tap.End()
		if u := tap.Usage(); !u.IsZero() || len(u.Anomalies) != 1 || u.Anomalies[0] != anomalyErrorWithoutUse {
			t.Errorf("%s: %v is billed for %s", path, u.Map(), refusal)
		}
	}
	for _, c := range []struct {
		answer string
		output int64
	}{
		{`{"code":0,"msg":"ok","choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":4,"completion_tokens":1}}`, 1},
		{`{"code":"200","choices":[{"message":{"content":"x"}}]}`, 1},
		{`{"code":500,"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":4,"completion_tokens":1}}`, 1},
		{`{"code":1000,"usage":{"prompt_tokens":4,"completion_tokens":1}}`, 1},
		{`{"code":null}`, 1},
		{`{"code":0,"msg":"ok"}`, 1},
		{`{"code":200,"msg":"ok"}`, 1},
		{`{"code":"ok"}`, 1},
		{`{"code":"1301","msg":"no"}`, 0},
		{`{"error":"no"}`, 0},
		{`{"error":true}`, 0},
		{`{"error":""}`, 1},
		{`{"error":false}`, 1},
	} {
		tap := mustRead(t, FindEndpoint("/chat/completions"), requests["/chat/completions"]).NewTap("application/json")
		tap.Pass(nil, []byte(c.answer))
		tap.End()
		if u := tap.Usage(); u.TotalOutput() != c.output {
			t.Errorf("%s: %v is billed, want %d of output", c.answer, u.Map(), c.output)
		}
	}
}
