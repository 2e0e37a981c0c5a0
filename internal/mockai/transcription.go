package mockai

import (
	"strconv"
	"strings"
)

// soundRate is how many bytes a second of a recording has.
const soundRate = 16_000

func readTranscription(r *request, contentType string, body []byte) *problem {
	r.family = familyTranscriptions
	p := r.readForm(contentType, body)
	if p == nil && r.soundSent == 0 {
		return errMissing("file")
	}
	return p
}

func (r *request) soundSeconds() int64 { return (r.soundSent + soundRate - 1) / soundRate }

// transcription hears the sentence that chat says, whatever the recording.
func (a *answer) transcription() {
	r := &a.request
	dst := append([]byte(nil), '{')
	if r.bigModel {
		dst = append(dst, `"id":`...)
		dst = appendJSON(dst, a.id())
		dst = append(dst, `,"model":`...)
		dst = appendJSON(dst, r.model)
		dst = append(dst, ',')
	}
	dst = append(dst, `"text":`...)
	dst = appendJSON(dst, sentence[:replyBytes])
	switch used := &r.used; {
	case used.absent:
	case strings.HasPrefix(r.model, "gpt-"):
		dst = used.appendCount(append(dst, `,"usage":{"type":"tokens","input_tokens":`...), used.prompt)
		dst = used.appendCount(append(dst, `,"input_token_details":{"text_tokens":0,"audio_tokens":`...), used.prompt)
		dst = used.appendCount(append(dst, `},"output_tokens":`...), used.completion)
		dst = append(used.appendCount(append(dst, `,"total_tokens":`...), used.total), '}')
	default:
		dst = strconv.AppendInt(append(dst, `,"usage":{"type":"duration","seconds":`...), r.soundSeconds(), 10)
		dst = append(dst, '}')
	}
	a.json(append(dst, '}'))
}
