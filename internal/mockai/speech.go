package mockai

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// speechBytes is how many bytes of audio a character is spoken in.
const speechBytes = 100

func readSpeech(r *request, _ string, body []byte) *problem {
	r.family = familySpeech
	p := r.readFields(body, func(name string, value gjson.Result) {
		if name == "input" {
			r.text = value.Str
		}
	})
	if p == nil && r.text == "" {
		return errMissing("input")
	}
	return p
}

// speech is silent: frames of an MP3 in which nothing is to be heard.
func (a *answer) speech() {
	frame := append([]byte{0xff, 0xfb, 0x10, 0xc4}, make([]byte, 100)...)
	n := int(a.request.reply.bytes)
	a.whole("audio/mpeg", bytes.Repeat(frame, n/len(frame)+1)[:n])
}
