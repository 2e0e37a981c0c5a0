package mockai

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestTasks(t *testing.T) {
	s, url := start(t, Options{})
	for _, c := range []struct{ path, body, want string }{
		{"videos/generations", `{"model":"cogvideox-3","prompt":"mock:polls=1 a cat"}`, `"task_status":"SUCCESS","video_result":[{"url":"https://videos.mock.invalid/1.mp4"`},
		{"videos/generations", `{"model":"cogvideox-3","prompt":"mock:task=fail;polls=1 a cat"}`, `"task_status":"FAIL"}`},
		{"async/chat/completions", chatBody("glm-4.6", "mock:usage=10,5;polls=1"), `"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15`},
		{"async/images/generations", `{"model":"cogview-4","prompt":"mock:polls=1 a cat"}`, `"image_result":[{"url":"https://images.mock.invalid/`},
	} {
		_, body, err := post(t, url+"/api/paas/v4/"+c.path, c.body)
		id := gjson.Get(body, "id").String()
		if err != nil || id == "" || gjson.Get(body, "task_status").String() != "PROCESSING" {
			t.Fatalf("%s: %v, %s", c.path, err, body)
		}
		if _, body = ask(t, "GET", url+"/api/paas/v4/async-result/"+id); gjson.Get(body, "task_status").String() != "PROCESSING" || gjson.Get(body, "id").String() != id {
			t.Errorf("%s: first %s", c.path, body)
		}
		for range 2 {
			if status, body := ask(t, "GET", url+"/v1/async-result/"+id); status != 200 || !strings.Contains(body, c.want) || !gjson.Valid(body) {
				t.Errorf("%s: then %d %s", c.path, status, body)
			}
		}
	}
	if status, body := ask(t, "GET", url+"/v1/async-result/nobodys"); status != 400 || gjson.Get(body, "error.code").String() != "1214" {
		t.Errorf("an unknown task: %d %s", status, body)
	}
	if n := s.Stats().ByRoute["async-result"]; n != 13 {
		t.Errorf("%d polls counted", n)
	}
	if response, _, _ := post(t, url+"/v1/async-result/x", "{}"); response.StatusCode != 405 {
		t.Errorf("POST: %d", response.StatusCode)
	}
	if err := s.SetFault("status=503", 1); err != nil {
		t.Fatal(err)
	}
	if status, _ := ask(t, "GET", url+"/v1/async-result/x"); status != 503 {
		t.Errorf("with a fault: %d", status)
	}
}
