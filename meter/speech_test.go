package meter

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func speechBook(t *testing.T) *Book {
	t.Helper()
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "prices.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [characters], endpoints: [speech], rates: {character: 15/1M}}
  - {models: [tokens], endpoints: [speech], rates: {input: 0.6/1M, output_audio: 12/1M}}
  - {models: [calls], endpoints: [speech], rates: {call: 0.5}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// Speech is billed by the characters of its text, each once however many bytes it has, or by
// tokens that are estimated, since no answer tells them.
func TestSpeechIsBilledByItsText(t *testing.T) {
	book, at := speechBook(t), time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	const audio = "\xff\xfb\x10\xc4\x00 {\"error\":1}\x00"
	for model, c := range map[string]struct {
		fee       string
		estimated bool
	}{
		"characters": {"0.0003", false}, // 20 characters
		"tokens":     {"0.0003288", true},
		"calls":      {"0.5", false},
	} {
		r := mustRead(t, FindEndpoint("/audio/speech"), `{"model":"`+model+`","input":"\u9884\u4ed8\u8d39\ud83d\ude00 is paid before.","speed":0.25}`)
		query := PriceQuery{Model: model, Class: "speech", At: at, Attributes: r.Attributes}
		quote, err := book.Quote(query, &r.Ceiling, nil)
		if err != nil {
			t.Fatalf("%s: %v", model, err)
		}
		for source, u := range map[string]Usage{"answer": answered(r, "audio/mpeg", audio), "unseen": r.Unseen()} {
			charge, err := book.Charge(query, &u)
			if err != nil || charge.Fee.String() != c.fee || charge.TokensEstimated != c.estimated || charge.Fee > quote.Fee {
				t.Errorf("%s, %s: fee %s, estimated %t, %v; quote %s", model, source, charge.Fee, charge.TokensEstimated, err, quote.Fee)
			}
		}
	}
}

func answered(r *Request, contentType, body string) Usage {
	tap := r.NewTap(contentType)
	tap.Look([]byte(body))
	tap.Adopt([]byte(body))
	tap.End()
	return tap.Usage()
}

// Sound goes out as it comes, whatever the pieces, but for its end; nothing in it is taken for words.
func TestSoundPasses(t *testing.T) {
	r := mustRead(t, FindEndpoint("/audio/speech"), `{"model":"characters","input":"hello"}`)
	sound := bytes.Repeat([]byte("\xff\xfb \n{\"error\":{}}\n\n"), 1000)
	for _, piece := range []int{1, 100, soundWithheld, soundWithheld + 1, len(sound)} {
		tap := r.NewTap("Audio/MPEG")
		var out []byte
		for p := range slices.Chunk(sound, piece) {
			out = tap.Pass(out, p)
		}
		if len(out) != len(sound)-soundWithheld || !tap.IsSound() || tap.IsStream() {
			t.Errorf("in pieces of %d: %d of %d are out, sound %t", piece, len(out), len(sound), tap.IsSound())
		}
		if out = append(out, tap.End()...); !bytes.Equal(out, sound) {
			t.Errorf("in pieces of %d: it has changed", piece)
		}
		if u := tap.Usage(); u.Quantities != (Quantities{Character: 5}) || u.Source != Derived {
			t.Errorf("in pieces of %d: used %v, %s", piece, u.Map(), u.Source)
		}
	}
}

// An answer that is an error and no sound costs nothing.
func TestSpeechThatFailed(t *testing.T) {
	r := mustRead(t, FindEndpoint("/audio/speech"), `{"model":"characters","input":"hello"}`)
	if u := answered(r, "application/json", `{"error":{"code":"1301"}}`); !u.IsZero() {
		t.Errorf("used %v", u.Map())
	}
}

// Sound may come in events, as BigModel sends it: whoever has had some of it has had it spoken, though it failed
// then. Its last event is kept back.
func TestSpeechInEvents(t *testing.T) {
	const (
		sound  = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"UklGRg==\"}}]}\n\n"
		last   = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n"
		plain  = "data: {\"audio\":\"UklGRg==\"}\n\n"
		failed = "data: {\"error\":{\"code\":\"1301\"}}\n\n"
	)
	for _, c := range []struct {
		stream, out string
		characters  int64
	}{
		{sound + sound + last, sound + sound, 5},
		{sound + failed, sound, 5},
		{plain + failed, plain, 5},
		{failed, "", 0},
	} {
		tap := mustRead(t, FindEndpoint("/audio/speech"), `{"model":"m","input":"hello","stream":true}`).NewTap("text/event-stream")
		out := string(tap.Pass(nil, []byte(c.stream)))
		if all := out + string(tap.End()); out != c.out || all != c.stream {
			t.Errorf("%s: %q went out, and then %q", c.stream, out, all[len(out):])
		}
		if u := tap.UsageAtEnd(); u.Quantities != (Quantities{Character: c.characters}) || tap.Failed() != (c.characters == 0) {
			t.Errorf("%s: used %v, failed %t", c.stream, u.Map(), tap.Failed())
		}
	}
}

func TestBadSpeechRequests(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"m"}`:                                   "You must provide an input",
		`{"model":"m","input":""}`:                        "You must provide an input",
		`{"model":"m","input":["a"]}`:                     "expected a string",
		`{"model":"m","input":"a","stream_format":"sse"}`: "want 'audio'",
		`{"model":"m","input":"a","input":"b"}`:           "given more than once",
		`{"model":"m","Input":"a"}`:                       "Did you mean 'input'?",
	} {
		_, err := FindEndpoint("/audio/speech").ReadRequest("application/json", []byte(body), ReadOptions{})
		var bad *RequestError
		if !errors.As(err, &bad) || !strings.Contains(bad.Message, want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
