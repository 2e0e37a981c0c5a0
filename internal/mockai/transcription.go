package mockai

import (
	"strconv"
	"strings"
	"time"
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

// captioned is the transcript in a format that is no JSON; empty: it is to be JSON.
func (r *request) captioned() string {
	end := time.Time{}.Add(time.Duration(r.soundSeconds()) * time.Second).Format("15:04:05")
	switch {
	case r.bigModel: // it has JSON alone
	case r.captions == "text":
		return sentence[:replyBytes] + "\n"
	case r.captions == "srt":
		return "1\n00:00:00,000 --> " + end + ",000\n" + sentence[:replyBytes] + "\n\n"
	case r.captions == "vtt":
		return "WEBVTT\n\n00:00:00.000 --> " + end + ".000\n" + sentence[:replyBytes] + "\n\n"
	}
	return ""
}

func (r *request) soundSeconds() int64 { return (r.soundSent + soundRate - 1) / soundRate }

// transcription hears the sentence that chat says, whatever the recording.
func (a *answer) transcription() {
	if text := a.request.captioned(); text != "" {
		a.request.used.absent = true
		a.whole("text/plain", []byte(text))
		return
	}
	r := &a.request
	dst := append([]byte(nil), '{')
	if r.bigModel {
		dst = append(dst, `"id":`...)
		dst = appendJSON(dst, a.id())
		dst = append(dst, `,"model":`...)
		dst = appendJSON(dst, r.model)
		dst = append(dst, ',')
	}
	verbose := r.captions == "verbose_json" && !r.bigModel
	if verbose {
		dst = strconv.AppendInt(append(dst, `"task":"transcribe","language":"english","duration":`...), r.soundSeconds(), 10)
		dst = append(dst, ',')
	}
	dst = append(dst, `"text":`...)
	dst = appendJSON(dst, sentence[:replyBytes])
	if verbose {
		dst = strconv.AppendInt(append(dst, `,"segments":[{"id":0,"seek":0,"start":0,"end":`...), r.soundSeconds(), 10)
		dst = appendJSON(append(dst, `,"text":`...), sentence[:replyBytes])
		dst = append(dst, `,"tokens":[],"temperature":0,"avg_logprob":-0.2,"compression_ratio":1,"no_speech_prob":0}]`...)
	}
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
