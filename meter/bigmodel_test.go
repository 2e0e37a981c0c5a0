package meter

import "testing"

// A tokenizer's count is the total, or the prompt where no total is told; images and videos are in it.
func TestTokenizersCount(t *testing.T) {
	for usage, want := range map[string]Quantities{
		`{"prompt_tokens":7}`: {Input: 7},
		`{"total_tokens":7}`:  {Input: 7},
		`{"prompt_tokens":7,"total_tokens":100,"image_tokens":30,"video_tokens":60}`: {Input: 10, InputImage: 30, InputVideo: 60},
	} {
		tap := mustRead(t, FindEndpoint("/tokenizer"), `{"model":"glm-4.6","messages":[]}`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"id":"1","usage":`+usage+`}`))
		if got := tap.Usage().Quantities; got != want {
			t.Errorf("%s: %v, want %v", usage, got.Map(), want.Map())
		}
	}
}
