package meter

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
)

// An edit replaces the bytes [start, end) of a body.
type edit struct {
	start, end int
	text       string
	// quoted says that the place is that of a JSON string, quotes included; prefix
	// stands in it before the text.
	quoted bool
	prefix string
	// added says that there is nothing yet, and the text becomes the first member of an object, by this name.
	added string
}

// UpstreamBody returns the body to be sent upstream, and its content type: the
// client's own bytes, but for the model's name, if that is another than the body has, and, if
// askUsage, stream_options.include_usage where the answer is a stream that can
// carry it. When nothing changes it is the client's slice itself.
func (r *Request) UpstreamBody(model string, askUsage bool) ([]byte, string, error) {
	var edits []edit
	if model != r.Model || r.otherwise {
		for _, rename := range r.renames {
			rename.text = rename.prefix + model
			if rename.quoted {
				quoted, err := json.Marshal(rename.text)
				if err != nil {
					return nil, "", fmt.Errorf("model name %q: %w", model, err)
				}
				rename.text = string(quoted)
			}
			if rename.added != "" {
				rename.text = `"` + rename.added + `":` + rename.text + ","
			}
			edits = append(edits, rename)
		}
	}
	if askUsage && r.CanAskUsage() {
		edits = append(edits, r.ask)
	}
	return patch(r.body, edits), r.contentType, nil
}

// CanAskUsage reports whether asking for usage makes a difference: there are streams that tell it unasked.
func (r *Request) CanAskUsage() bool {
	return r.Stream && r.Endpoint.streamOptions && !r.AskedUsage
}

// patch applies edits, which do not overlap.
func patch(body []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return body
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	size := len(body)
	for _, e := range edits {
		size += len(e.text) - (e.end - e.start)
	}
	out, at := make([]byte, 0, size), 0
	for _, e := range edits {
		out = append(out, body[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	return append(out, body[at:]...)
}
