package mockai

import (
	"strconv"
	"strings"
)

// picture is a PNG of one transparent pixel.
const picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

// images answers images/* with one JSON object.
func (a *answer) images() {
	r := &a.request
	dst := append([]byte(nil), `{"created":`...)
	dst = strconv.AppendInt(dst, a.server.options.Now().Unix(), 10)
	dst = append(dst, `,"data":[`...)
	for i := range r.reply.images {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.image(dst, i)
	}
	dst = append(dst, ']')
	if r.bigModel {
		dst = append(dst, `,"content_filter":[{"role":"user","level":3}]`...)
	}
	if !r.used.absent {
		dst = append(dst, `,"usage":`...)
		dst = r.used.appendImages(dst)
	}
	a.json(append(dst, '}'))
}

// image appends one picture.
func (a *answer) image(dst []byte, i int64) []byte {
	if a.request.base64 {
		return append(a.appendPicture(append(dst, '{')), '}')
	}
	dst = append(dst, `{"url":"https://images.mock.invalid/`...)
	dst = strconv.AppendInt(dst, a.number, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, i, 10)
	dst = append(dst, `.png"`...)
	if strings.HasPrefix(a.request.model, "dall-e-3") {
		dst = append(dst, `,"revised_prompt":"A simulated picture."`...)
	}
	return append(dst, '}')
}

// appendPicture appends the b64_json member.
func (a *answer) appendPicture(dst []byte) []byte {
	dst = append(dst, `"b64_json":"`...)
	if a.plan.bytes >= 0 {
		for range a.plan.bytes / 4 {
			dst = append(dst, "AAAA"...)
		}
	} else {
		dst = append(dst, picture...)
	}
	return append(dst, '"')
}

// imageStream answers images/* with events: the partial images asked for,
// then one completed image with the usage. It has no [DONE].
func (a *answer) imageStream() {
	event := "image_generation"
	if a.path == "images/edits" {
		event = "image_edit"
	}
	partial := int(a.request.partialImages)
	used := &a.request.used
	a.stream(partial+1, func(dst []byte, i int) []byte {
		name := event + ".completed"
		if i < partial {
			name = event + ".partial_image"
		}
		dst = a.lineEnd(append(append(dst, "event: "...), name...))
		dst = append(append(append(a.data(dst), `{"type":"`...), name...), `",`...)
		dst = a.appendPicture(dst)
		dst = append(dst, `,"created_at":`...)
		dst = strconv.AppendInt(dst, a.server.options.Now().Unix(), 10)
		switch {
		case i < partial:
			dst = append(dst, `,"partial_image_index":`...)
			dst = strconv.AppendInt(dst, int64(i), 10)
		case !used.absent:
			dst = append(dst, `,"usage":`...)
			dst = used.appendImages(dst)
		}
		return a.lineEnd(append(dst, '}'))
	}, !used.absent && !used.null)
}
