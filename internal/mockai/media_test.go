package mockai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
)

func TestEmbeddingsWithAClient(t *testing.T) {
	_, url := start(t, Options{})
	plain, err := client(url).CreateEmbeddings(t.Context(), openai.EmbeddingRequest{
		Model: "text-embedding-3-small", Input: []string{"one two", "three"}, Dimensions: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(plain.Data) != 2 || len(plain.Data[1].Embedding) != 8 || plain.Usage.PromptTokens != 4 || plain.Usage.TotalTokens != 4 {
		t.Errorf("got %d vectors, usage %+v", len(plain.Data), plain.Usage)
	}
	encoded, err := client(url).CreateEmbeddings(t.Context(), openai.EmbeddingRequest{
		Model: "text-embedding-3-small", Input: []string{"one two", "three"}, Dimensions: 8, EncodingFormat: openai.EmbeddingEncodingFormatBase64,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range plain.Data[1].Embedding {
		if plain.Data[1].Embedding[i] != encoded.Data[1].Embedding[i] {
			t.Fatalf("the encodings differ: %v and %v", plain.Data[1].Embedding, encoded.Data[1].Embedding)
		}
	}
	_, body, err := post(t, url+"/api/paas/v4/embeddings", `{"model":"embedding-3","input":[[1,2,3],[4]],"dimensions":1}`)
	const want = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[-0.033333335]},{"object":"embedding","index":1,"embedding":[0.030633334]}],` +
		`"model":"embedding-3","usage":{"prompt_tokens":4,"completion_tokens":0,"total_tokens":4}}`
	if err != nil || body != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, body, want)
	}
}

func TestImagesWithAClient(t *testing.T) {
	s, url := start(t, Options{})
	for model, n := range map[string]int{"cogview-4": 1, "dall-e-2": 3} {
		images, err := client(url).CreateImage(t.Context(), openai.ImageRequest{Model: model, Prompt: "a cat", N: n})
		if err != nil || len(images.Data) != n || !strings.HasPrefix(images.Data[0].URL, "https://images.mock.invalid/") {
			t.Errorf("%s: %v %+v", model, err, images)
		}
	}
	fewer, err := client(url).CreateImage(t.Context(), openai.ImageRequest{Model: "dall-e-2", Prompt: "a cat", N: 3, User: "mock:images=1"})
	if err != nil || len(fewer.Data) != 1 {
		t.Errorf("%v %+v", err, fewer)
	}
	tokens, err := client(url).CreateImage(t.Context(), openai.ImageRequest{Model: "gpt-image-1", Prompt: "a cat", N: 2, Quality: "low"})
	if err != nil || tokens.Usage.OutputTokens != 544 || tokens.Usage.InputTokens != 2 || tokens.Data[0].B64JSON != picture {
		t.Errorf("%v %+v", err, tokens)
	}
	if got := s.Stats().Usage.Images; got != 7 {
		t.Errorf("%d images counted, want 7", got)
	}
}

func TestImageShapes(t *testing.T) {
	_, url := start(t, Options{})
	_, body, err := post(t, url+"/api/paas/v4/images/generations", `{"model":"cogview-4","prompt":"a cat"}`)
	const want = `{"created":1767225600,"data":[{"url":"https://images.mock.invalid/1-0.png"}],"content_filter":[{"role":"user","level":3}]}`
	if err != nil || body != want {
		t.Errorf("%v got %s", err, body)
	}
	_, body, err = post(t, url+"/v1/images/generations", `{"model":"gpt-image-1","prompt":"a cat","stream":true,"partial_images":1}`)
	const events = `event: image_generation.partial_image` + "\n" +
		`data: {"type":"image_generation.partial_image","b64_json":"` + picture + `","created_at":1767225600,"partial_image_index":0}` + "\n\n" +
		`event: image_generation.completed` + "\n" +
		`data: {"type":"image_generation.completed","b64_json":"` + picture + `","created_at":1767225600,` +
		`"usage":{"total_tokens":1158,"input_tokens":2,"output_tokens":1156,"input_tokens_details":{"text_tokens":2,"image_tokens":0}}}` + "\n\n"
	if err != nil || body != events {
		t.Errorf("%v got\n%s\nwant\n%s", err, body, events)
	}
}

func TestImageEditsAreMultipart(t *testing.T) {
	_, url := start(t, Options{})
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"model": "gpt-image-1", "prompt": "a cat!", "n": "2", "quality": "high"} {
		if err := form.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		file, err := form.CreateFormFile("image[]", "cat.png")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	form.Close()
	response, err := http.Post(url+"/v1/images/edits", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got openai.ImageResponse
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 2 || got.Usage.InputTokens != 2+80 || got.Usage.OutputTokens != 8320 || got.Usage.InputTokensDetails.ImageTokens != 80 {
		t.Errorf("got %+v", got)
	}
}

// Each format of a transcript is that of OpenAI's: text, and captions, are no JSON and tell no usage.
func TestTranscriptFormats(t *testing.T) {
	_, url := start(t, Options{})
	for format, c := range map[string]struct{ contentType, want string }{
		"":     {"application/json", `{"text":"` + sentence + `","usage":{"type":"duration","seconds":2}}`},
		"json": {"application/json", `{"text":"` + sentence + `","usage":{"type":"duration","seconds":2}}`},
		"text": {"text/plain; charset=utf-8", sentence + "\n"},
		"srt":  {"text/plain; charset=utf-8", "1\n00:00:00,000 --> 00:00:02,000\n" + sentence + "\n\n"},
		"vtt":  {"text/plain; charset=utf-8", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n" + sentence + "\n\n"},
		"verbose_json": {"application/json", `{"task":"transcribe","language":"english","duration":2,"text":"` + sentence +
			`","segments":[{"id":0,"seek":0,"start":0,"end":2,"text":"` + sentence + `","tokens":[],"temperature":0,"avg_logprob":-0.2,"compression_ratio":1,"no_speech_prob":0}],` +
			`"usage":{"type":"duration","seconds":2}}`},
	} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for name, value := range map[string]string{"model": "whisper-1", "response_format": format} {
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		file, err := w.CreateFormFile("file", "a.mp3")
		if err == nil {
			_, err = file.Write(make([]byte, 2*soundRate))
		}
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/audio/transcriptions", &form)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer x")
		request.Header.Set("Content-Type", w.FormDataContentType())
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if string(body) != c.want || response.Header.Get("Content-Type") != c.contentType {
			t.Errorf("%q: %s, %s; want %s", format, response.Header.Get("Content-Type"), body, c.want)
		}
	}
}
