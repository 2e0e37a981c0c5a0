package meter

// A transcription is billed by how long the recording plays, or by tokens: sound in, text
// out. OpenAI reports either, but not with answers in text, SRT or VTT; BigModel reports
// nothing.

const (
	// soundTokensMost and textTokensMost are how many tokens a second of sound, and of
	// what is said in it, comes to at most; leastTextTokens are for what is short.
	soundTokensMost, textTokensMost, leastTextTokens = 25, 12, 256
	// As an estimate it is 10 of sound and 4 of text.
	soundTokensUsual, textTokensUsual = 10, 4
)

// recordingParameters refuses parameters that would have another recording transcribed
// than the one that is measured, and answers in events, whose usage is not read.
func recordingParameters() []parameter {
	refuse := func(name string) parameter {
		return parameter{name: name, text: func(r *requestReader, _ string) {
			r.fail(name, "Unsupported parameter: '%s': send the recording itself, as 'file'.", name)
		}}
	}
	return []parameter{
		modelParameter(),
		{name: "file", value: func(r *requestReader) { r.skip() }}, // see recording
		refuse("url"),
		refuse("file_url"),
		refuse("file_id"),
		refuse("file_base64"),
		{name: "stream", boolean: func(r *requestReader, on bool) {
			if on {
				r.fail("stream", "Unsupported value for 'stream': transcripts come whole here.")
			}
		}},
	}
}

// recording is told of a form's file.
func recording(r *requestReader, sound []byte) {
	q := r.request
	ms, most, exact := soundLength(sound)
	r.hidden += int64(len(sound))
	q.recordings, q.units, q.playsAbout = q.recordings+1, q.units+ms, q.playsAbout || !exact
	q.Ceiling[AudioMS] += most + 1000 // who bills whole seconds rounds up
}

func transcriptionCeiling(r *requestReader) {
	q := r.request
	if q.recordings == 0 {
		r.fail("file", "You must provide a recording: a file, in a multipart form.")
	}
	seconds := q.Ceiling[AudioMS]/1000 + 1
	q.Ceiling[Input] += r.inputBytes()
	q.Ceiling[InputAudio] += seconds * soundTokensMost
	q.Ceiling[Output] = seconds*textTokensMost + leastTextTokens
}

func transcriptionSchema() *answerSchema {
	return compileSchema(
		[]schemaPath{{path: "text", fact: factText}, {path: "model", fact: factModel}, {path: "error", fact: factError}, {path: "code", fact: factCode}},
		usageObject("usage", []usageCount{
			{"seconds", usageMS},
			{"input_tokens", usagePrompt},
			{"output_tokens", usageCompletion},
			{"total_tokens", usageTotal},
			{"input_token_details.audio_tokens", usagePromptAudio},
		}),
	)
}

func transcriptionQuantities(c *usageCounts) (d usageDraft) {
	if d.Quantities[AudioMS] = c.value[usageMS]; d.Quantities[AudioMS] > 0 {
		return d
	}
	return tokenQuantities(c)
}

// measureRecording goes by the recording: what came back is what was said in it.
func measureRecording(t *Tap) (Quantities, Source) {
	source := Derived
	if t.request.playsAbout {
		source = Estimated
	}
	return Quantities{AudioMS: t.request.units}, source
}

// recordingInTokens estimates what a recording comes to in tokens.
func (r *Request) recordingInTokens(used Quantities, _ Attributes) Quantities {
	seconds := (used[AudioMS] + 999) / 1000
	return Quantities{InputAudio: seconds * soundTokensUsual, Output: seconds * textTokensUsual}
}
