package meter

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A recording is billed by what the upstream says of it, time or tokens; else by how long it plays.
func TestTranscriptionIsBilledByItsLength(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "prices.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [time], endpoints: [transcriptions], rates: {audio_ms: 0.6/1min}}
  - {models: [tokens], endpoints: [transcriptions], rates: {input: 1/1K, input_audio: 2/1K, output: 3/1K}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	const (
		seconds = `{"text":"a","usage":{"type":"duration","seconds":1}}`
		counted = `{"text":"a","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}}`
		silent  = `{"text":"a"}`
		subs    = "1\n00:00:00,000 --> 00:00:00,500\na\n"
		half    = `{"text":"a","usage":{"type":"duration","seconds":0.52}}`
		huge    = `{"text":"a","usage":{"type":"duration","seconds":1e300}}`
		less    = `{"text":"a","usage":{"type":"duration","seconds":-2}}`
		failed  = `{"error":{"code":"1214"}}`
	)
	wav, webm := string(readFile(t, "testdata/sounds/wav-pcm.wav")), string(readFile(t, "testdata/sounds/webm-opus.webm"))
	for _, c := range []struct {
		model, sound, answer, fee string
		source                    Source
		estimated                 bool
	}{
		{"time", wav, seconds, "0.01", FromUpstream, false},
		{"time", wav, half, "0.0052", FromUpstream, false},
		{"time", wav, huge, "0.005", Derived, false},
		{"time", wav, less, "0.005", Derived, false},
		{"time", wav, silent, "0.005", Derived, false},
		{"time", wav, subs, "0.005", Derived, false},
		{"time", wav, failed, "0", Estimated, false},
		{"time", webm, silent, "0.00366", Estimated, false}, // 2193 bytes at 48 kbit/s
		{"tokens", wav, counted, "0.039", FromUpstream, false},
		{"tokens", wav, silent, "0.032", Derived, true}, // of one second
		{"tokens", wav, seconds, "0.032", FromUpstream, true},
	} {
		r := mustRead(t, FindEndpoint("/audio/transcriptions"), string(testForm(t, "model", c.model, "@file", c.sound)))
		query := PriceQuery{Model: c.model, Class: "transcriptions", At: time.Now()}
		quote, err := book.Quote(query, &r.Ceiling, nil)
		if err != nil {
			t.Fatal(err)
		}
		u := answered(r, "application/json", c.answer)
		charge, err := book.Charge(query, &u)
		if err != nil || charge.Fee.String() != c.fee || u.Source != c.source || charge.TokensEstimated != c.estimated || charge.Fee > quote.Fee {
			t.Errorf("%s, %.40s: fee %s by %s, tokens estimated %t, %v; want %s by %s, %t, within %s",
				c.model, c.answer, charge.Fee, u.Source, charge.TokensEstimated, err, c.fee, c.source, c.estimated, quote.Fee)
		}
		if unseen := r.Unseen(); unseen.Quantities[AudioMS] != r.units || unseen.Quantities[Input] != 0 {
			t.Errorf("%s: unseen %v", c.model, unseen.Map())
		}
	}
}

// What is held is bounded by the recording's bytes, of which its text takes none.
func TestTranscriptionCeiling(t *testing.T) {
	e := FindEndpoint("/audio/translations")
	unknown := strings.Repeat("?", 100_000)
	one := mustRead(t, e, string(testForm(t, "model", "m", "@file", unknown))).Ceiling
	if one[AudioMS] != 100_000+1+1000 || one[Input] > 1000 || one[InputAudio] < one[AudioMS]/1000*soundTokensMost || one[Output] < one[AudioMS]/1000*textTokensMost {
		t.Errorf("one: %v", one.Map())
	}
	if two := mustRead(t, e, string(testForm(t, "model", "m", "@file", unknown, "@more", unknown))).Ceiling; two[AudioMS] != 2*one[AudioMS] {
		t.Errorf("two: %v", two.Map())
	}
}

// Of two recordings, one of which the length is not known makes an estimate of both.
func TestRecordingsOfAnyLength(t *testing.T) {
	wav, unknown := string(readFile(t, "testdata/sounds/wav-pcm.wav")), strings.Repeat("?", 6000)
	for _, files := range [][2]string{{wav, unknown}, {unknown, wav}} {
		r := mustRead(t, FindEndpoint("/audio/transcriptions"), string(testForm(t, "model", "m", "@file", files[0], "@more", files[1])))
		if u := answered(r, "application/json", `{"text":"a"}`); u.Quantities[AudioMS] != 500+1001 || u.Source != Estimated {
			t.Errorf("used %v, %s", u.Map(), u.Source)
		}
	}
}

// What some servers take for the file counts as one, though it has no file's name.
func TestRecordingsByAnotherName(t *testing.T) {
	wav := string(readFile(t, "testdata/sounds/wav-pcm.wav"))
	form := string(testForm(t, "model", "m", "@file", wav))
	const last = "\r\n--" + testBoundary + "--"
	for header, ms := range map[string]int64{
		"Content-Type: application/octet-stream":  1000,
		"content-type: Audio/WAV":                 1000,
		"Content-Type: text/plain; charset=UTF-8": 500,
		"Content-Type: application/json":          500,
		"X-Nothing: 1":                            500,
	} {
		part := "\r\n--" + testBoundary + "\r\nContent-Disposition: form-data; name=\"more\"\r\n" + header + "\r\n\r\n" + wav
		if r := mustRead(t, FindEndpoint("/audio/transcriptions"), strings.Replace(form, last, part+last, 1)); r.units != ms {
			t.Errorf("%s: it plays for %d ms, want %d", header, r.units, ms)
		}
	}
}

func TestBadTranscriptionRequests(t *testing.T) {
	sound := "RIFF"
	for want, body := range map[string]string{
		"You must provide a recording":         string(testForm(t, "model", "m")),
		"You must provide a recording: a file": `{"model":"m","file":"AAAA"}`,
		"Unsupported parameter: 'file_base64'": string(testForm(t, "model", "m", "@file", sound, "file_base64", "AAAA")),
		"Unsupported parameter: 'url'":         string(testForm(t, "model", "m", "@file", sound, "url", "https://a/b")),
		"Unsupported parameter: 'file_url'":    string(testForm(t, "model", "m", "@file", sound, "file_url", "https://a/b")),
		"Unsupported parameter: 'file_id'":     string(testForm(t, "model", "m", "@file", sound, "file_id", "file-1")),
		"Invalid value for 'file': in a form":  string(testForm(t, "model", "m", "@sound", sound, "file", "AAAA")),
		"given more than once":                 string(testForm(t, "model", "m", "file", "", "@file", sound)),
		"Did you mean 'file'":                  string(testForm(t, "model", "m", "@file", sound, "File", "AAAA")),
		"Unsupported value for 'stream'":       string(testForm(t, "model", "m", "@file", sound, "stream", "true")),
		"You must provide a model":             string(testForm(t, "@file", sound)),
	} {
		contentType := "application/json"
		if body[0] == '-' {
			contentType = formType
		}
		_, err := FindEndpoint("/audio/transcriptions").ReadRequest(contentType, []byte(body), ReadOptions{})
		var bad *RequestError
		if !errors.As(err, &bad) || !strings.Contains(bad.Message, want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
