package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

const morePrices = `  - {models: [rerank], endpoints: [rerank], rates: {input: 0.8/1M}}
  - {models: [omni-moderation-latest], endpoints: [moderations], rates: {call: 0, input: 0}}
  - {models: [glm-moderation], endpoints: [moderations], rates: {call: 0.002}}
  - {models: [glm-tts], endpoints: [speech], rates: {character: 2/10K}}
  - {models: [whisper-1, glm-asr], endpoints: [transcriptions], rates: {audio_ms: 0.06/1min}}
  - {models: [gpt-4o], endpoints: [tokenizer], rates: {call: 0, input: 0}}
  - {models: [gpt-4o-transcribe], endpoints: [transcriptions], rates: {input: 6/1M, output: 10/1M}}
`

// Ranking is billed by its input, like embeddings, and paid by packs of tokens.
func TestRerank(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	const body = `{"model":"rerank","query":"mock:usage=1000,0 What is prepaid?","documents":["Prepaid is paid before.","Postpaid is paid after."],"top_n":1}`
	r := p.post("/v1/rerank", key, body)
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-usage-input", "1000", "x-tollgate-usage-output", "0", "x-tollgate-usage-source", "upstream",
		"x-tollgate-cost", "0.0008")
	equal(t, "results", r.get("results.#").Int(), 1)
	equal(t, "quoted", p.post("/v1/quote", key, body).get("lines.0.dimension").String(), "input")
	w.verb("pack", "grant", "acme", "--quantity", "5000", "--models", "rerank")
	requireHeaders(t, p.post("/api/paas/v4/rerank", key, body).header, "x-tollgate-cost", "0", "x-tollgate-paid-pack", "1000")
	w.requireSettled("acme")
}

// A moderation is one call, whatever it costs.
func TestModerations(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	for model, cost := range map[string]string{"omni-moderation-latest": "0", "glm-moderation": "0.002"} {
		body := `{"model":"` + model + `","input":["one","two"]}`
		held := map[string]string{"0": "0", "0.002": "0.004"}[cost] // each of the list may be one
		equal(t, "quoted for "+model, p.post("/v1/quote", key, body).get("fee").String(), held)
		r := p.post("/v1/moderations", key, body)
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", cost, "x-tollgate-usage-input", "0")
		equal(t, "results of "+model, len(r.get("results").Array())+len(r.get("result_list").Array()), 2)
	}
	r := p.post("/v1/moderations", key, `{"input":"one"}`) // the SDKs need not name one
	r.requireStatus(t, 200)
	equal(t, "model", r.get("model").String(), "omni-moderation-latest")
	equal(t, "sent", string(w.up.Requests()[2].Body), `{"model":"omni-moderation-latest","input":"one"}`)
	w.requireSettled("acme")
}

// Speech is billed by the characters of its text; the answer is sound, and its bytes are the upstream's.
func TestSpeech(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	const path, text = "/v1/audio/speech", `预付费 is paid before.` // 19 characters
	r := p.post(path, key, `{"model":"glm-tts","input":"`+text+`","voice":"tongtong"}`)
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "content-type", "audio/mpeg", "x-tollgate-cost", "0.0038", "x-tollgate-usage-source", "derived", "x-tollgate-usage-total", "19")
	if len(r.body) != 1900 || !strings.HasPrefix(r.body, "\xff\xfb\x10\xc4") {
		t.Errorf("%d bytes of sound", len(r.body))
	}
	for _, more := range []string{`,"voice":"tongtong"`, ""} {
		equal(t, "quoted", p.post("/v1/quote", key, `{"model":"glm-tts","input":"`+text+`"`+more+`}`).get("fee").String(), "0.0038")
	}
	w.verb("pack", "grant", "acme", "--unit", "character", "--quantity", "19", "--models", "glm-tts")
	requireHeaders(t, p.post(path, key, `{"model":"glm-tts","input":"`+text+`"}`).header, "x-tollgate-cost", "0", "x-tollgate-paid-pack", "19")

	refused := p.post(path, key, `{"model":"glm-tts","input":"mock:status=500 x"}`)
	refused.requireStatus(t, 500)
	requireHeaders(t, refused.header, "x-tollgate-cost", "0")
	for body, code := range map[string]string{
		`{"model":"glm-tts"}`: "invalid_request",
		`{"model":"glm-tts","input":"` + strings.Repeat("x", 100_000) + `"}`: "insufficient_quota",
	} {
		equal(t, "code", p.post(path, key, body).get("error.code").String(), code)
	}
	w.requireSettled("acme")
}

// Sound that is still being made goes out as it comes, but for its end, and its cost in trailers. Who leaves in the midst of it
// has had it spoken.
func TestSpeechIsHeardWhileItIsMade(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices; s.policy = "on_disconnect: cancel" })
	speak := func(directives string) string {
		return `{"model":"glm-tts","input":"mock:bytes=100000;chunks=20;` + directives + ` is paid before."}`
	}
	whole := p.post("/v1/audio/speech", key, speak("delay=1ms"))
	whole.requireStatus(t, 200)
	equal(t, "bytes", len(whole.body), 100_000)
	requireHeaders(t, whole.trailer, "x-tollgate-cost", "0.0106", "x-tollgate-usage-total", "53")
	w.onlyCharge("acme")

	r, err := p.call(t.Context(), http.MethodPost, "/v1/audio/speech", key, speak("hang=mid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r.Body, make([]byte, 50_000-4<<10)); err != nil || r.Header.Get("x-tollgate-hold") == "" {
		t.Errorf("%v; hold %q", err, r.Header.Get("x-tollgate-hold"))
	}
	r.Body.Close()
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), 2)
	equal(t, "fee", charges[1].Get("fee").String(), "0.0104")
}

// A recording is billed by the time that the upstream says, by its tokens, or where it says nothing by how long it plays.
func TestTranscriptions(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	for model, want := range map[string][]string{
		"whisper-1":         {"x-tollgate-cost", "0.003", "x-tollgate-usage-source", "upstream", "x-tollgate-usage-total", "3000"},
		"glm-asr":           {"x-tollgate-cost", "0.0025", "x-tollgate-usage-source", "derived", "x-tollgate-usage-total", "2500"},
		"gpt-4o-transcribe": {"x-tollgate-cost", "0.00034", "x-tollgate-usage-input", "30", "x-tollgate-usage-output", "16"},
	} {
		body, contentType := recording(t, model, 40_000) // 2.5 s
		r := p.post("/v1/audio/transcriptions", key, body, "Content-Type", contentType)
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, want...)
		if !strings.HasPrefix(r.get("text").String(), "Hello from") {
			t.Errorf("%s: %s", model, r.body)
		}
	}
	w.requireSettled("acme")
	sent := len(w.up.Requests())
	for code, body := range map[string]string{"invalid_request": `{"model":"whisper-1","file":"a.wav"}`, "model_not_found": ""} {
		contentType := "application/json"
		if body == "" {
			body, contentType = recording(t, "no-such", 100)
		}
		equal(t, "code", p.post("/v1/audio/translations", key, body, "Content-Type", contentType).get("error.code").String(), code)
	}
	narrow, _ := w.key("acme", "--spend-total", "0.01")
	body, contentType := recording(t, "gpt-4o-transcribe", 6_000_000)
	dear := p.post("/v1/audio/transcriptions", narrow, body, "Content-Type", contentType)
	equal(t, "code", dear.get("error.code").String(), "key_quota_exceeded")
	equal(t, "tokens that would fit", dear.get("error.metadata.affordable_output_tokens").Raw, "null")
	equal(t, "requests that reached the upstream", len(w.up.Requests()), sent)
}

// recording is a form with a WAV of so many bytes of samples, 16,000 a second.
func recording(t *testing.T, model string, size uint32) (body, contentType string) {
	t.Helper()
	var sound bytes.Buffer
	for _, part := range []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(8000), uint32(16_000), uint16(2), uint16(16),
		[]byte("data"), size, make([]byte, size),
	} {
		if err := binary.Write(&sound, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	file, err := writer.CreateFormFile("file", "a.wav")
	if err == nil {
		_, err = file.Write(sound.Bytes())
	}
	if err == nil {
		err = writer.WriteField("model", model)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return form.String(), writer.FormDataContentType()
}
