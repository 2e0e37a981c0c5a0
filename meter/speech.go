package meter

import "unicode/utf8"

// Speech is billed by the characters of its input, or by tokens: text in, audio
// out. The answer is audio, and says nothing of either.

const (
	// spokenTokensMost is the most tokens that a character comes to when it is spoken: at
	// a quarter of the usual speed, which is the slowest that can be asked for. Nothing is
	// spoken in less than leastSpokenTokens.
	spokenTokensMost, leastSpokenTokens = 6, 256
	// Of what is spoken as usual, 20 tokens a second, a character takes four thirds of one.
	spokenNumerator, spokenDenominator = 4, 3
)

// speechTextParameter is the text that is to be spoken.
func speechTextParameter() parameter {
	return parameter{name: "input", text: func(r *requestReader, text string) {
		r.request.prompt = text
		r.request.units = int64(utf8.RuneCountInString(text))
		r.request.Ceiling[Character] = r.request.units
	}}
}

// speechFormatParameter refuses speech in events: the token counts in these are not read.
func speechFormatParameter() parameter {
	return parameter{name: "stream_format", text: func(r *requestReader, format string) {
		if format != "audio" {
			r.fail("stream_format", "Unsupported value for 'stream_format': want 'audio', which is sent as it is spoken, too.")
		}
	}}
}

// speechCeiling holds what a price by the character needs, and what one by the token does.
func speechCeiling(r *requestReader) {
	q := r.request
	if q.units == 0 {
		r.fail("input", "You must provide an input: the text that is to be spoken.")
	}
	q.Ceiling[Input] += r.inputBytes()
	q.Ceiling[OutputAudio] = spokenTokensMost*q.units + leastSpokenTokens
}

// speechSchema covers errors, and sound in events: what came before an error is not undone by it.
func speechSchema() *answerSchema {
	return compileSchema([]schemaPath{
		{path: "error", fact: factError},
		{path: "code", fact: factCode},
		{path: "choices.#.delta.content", fact: factText},
		{path: "choices.#.finish_reason", fact: factFinish},
		{path: "audio", fact: factText},
	})
}

// deriveSpeech goes by the text that was asked for: whoever gets an answer gets all of it spoken.
func deriveSpeech(t *Tap) (Quantities, Source) {
	return Quantities{Character: t.request.units}, Derived
}

// spokenInTokens estimates what speech comes to in tokens.
func (r *Request) spokenInTokens(Quantities, Attributes) Quantities {
	spoken := (r.units*spokenNumerator + spokenDenominator - 1) / spokenDenominator
	return Quantities{Input: r.estimateInput(), OutputAudio: spoken}
}
