package meter

import (
	"bytes"
	"mime"
	"net/textproto"
	"slices"
	"strings"
	"unicode"
)

// maxFormParts bounds the fields and files of a form.
const maxFormParts = 256

// formBoundary returns the boundary if contentType is that of a form with files.
func formBoundary(contentType string) (string, bool) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return "", false
	}
	return params["boundary"], true
}

// readForm reads a multipart body in place: files are passed over, not copied,
// and the place of the model's name is known, so that it can be patched. It
// is stricter than most readers are, so that the upstream cannot see another
// form than we do: lines end in CRLF, and the boundary stands nowhere else.
func (r *requestReader) readForm(boundary string) {
	if boundary == "" {
		r.fail("", "The Content-Type of the form has no boundary.")
		return
	}
	// One that is said twice (boundary=a; boundary*=utf-8''b) is another for another reader.
	r.request.contentType = mime.FormatMediaType("multipart/form-data", map[string]string{"boundary": boundary})
	if strings.Trim(boundary, boundaryBytes) != "" || len(boundary) > 70 {
		r.notForm("its boundary is not one")
		return
	}
	mark := []byte("--" + boundary)
	at := bytes.Index(r.body, mark)
	if at < 0 || at > 0 && !bytes.HasSuffix(r.body[:at], []byte("\r\n")) {
		r.notForm("it does not begin with its boundary")
		return
	}
	for parts := 0; r.err == nil; parts++ {
		at += len(mark)
		if rest, last := bytes.CutPrefix(r.body[at:], []byte("--")); last {
			if len(rest) > 0 && !bytes.HasPrefix(rest, []byte("\r\n")) || bytes.Contains(rest, mark) {
				r.notForm("something follows its last boundary")
			}
			return
		}
		next := bytes.Index(r.body[at:], mark)
		if next < 0 {
			r.notForm("its last boundary is missing")
			return
		}
		if parts == maxFormParts {
			r.notForm("it has too many parts")
			return
		}
		r.formPart(at, at+next)
		at += next
	}
}

// boundaryBytes are what a boundary may be made of, by RFC 2046, but for the blank.
const boundaryBytes = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=?"

func (r *requestReader) notForm(what string) {
	r.fail("", "The request body is not a valid multipart form: %s.", what)
}

// formPart reads the part between two boundaries: body[start:end].
func (r *requestReader) formPart(start, end int) {
	part := r.body[start:end]
	header, content, ok := bytes.Cut(part, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(header, []byte("\r\n")) || !bytes.HasSuffix(part, []byte("\r\n")) {
		r.notForm("a part is malformed")
		return
	}
	if len(content) < 2 {
		r.notForm("a part has no content")
		return
	}
	content = content[:len(content)-2]
	name, file, typed, ok := r.disposition(header[2:])
	if !ok {
		r.notForm("a part has no name, or none that is plain")
		return
	}
	contentStart := end - 2 - len(content)
	p := r.parameter([]byte(name))
	switch one := strings.TrimSuffix(name, "[]"); { // a list may be said so, field by field
	case slices.Contains(otherModels, one):
		r.refuseOtherModels(one)
	case p != nil && p.value == nil && file:
		r.fail(name, "Invalid value for '%s': it is a file.", name)
	case p != nil && p.value == nil:
		if name == "model" {
			r.request.renames = append(r.request.renames, edit{start: contentStart, end: end - 2})
		}
		r.readField(p, string(content))
	case file, typed:
		r.endpoint.file(r, content)
	case p != nil && len(content) > 0:
		r.fail(name, "Invalid value for '%s': in a form it must be a file, with a file's name.", name)
	}
}

// editedImage is told of a form's file.
func editedImage(r *requestReader, image []byte) {
	r.hidden += int64(len(image))
	r.attach(InputImage, editImageTokens)
}

// disposition reads a part's header lines: whether it has a file's name, or else a type that
// makes some readers take it for a file.
func (r *requestReader) disposition(header []byte) (name string, file, typed, ok bool) {
	for line := range strings.SplitSeq(string(header), "\r\n") {
		key, value, found := strings.Cut(line, ":")
		if !found || !isHeaderName(key) || strings.ContainsFunc(value, unicode.IsControl) {
			return "", false, false, false
		}
		switch textproto.CanonicalMIMEHeaderKey(key) {
		case "Content-Disposition":
			kind, params, err := mime.ParseMediaType(value)
			if err != nil || kind != "form-data" || params["name"] == "" || name != "" || namesTwice(value) {
				return "", false, false, false
			}
			name = params["name"]
			_, file = params["filename"]
		case "Content-Type":
			kind := strings.ToLower(strings.TrimSpace(value))
			typed = !strings.HasPrefix(kind, "text/") && !strings.HasPrefix(kind, "application/json")
		case "Content-Transfer-Encoding":
			if v := strings.ToLower(strings.TrimSpace(value)); v != "7bit" && v != "8bit" && v != "binary" {
				return "", false, false, false
			}
		}
	}
	return name, file, typed, name != ""
}

// namesTwice reports whether a disposition has a name in the extended form of
// RFC 2231 (name*=…, name*0=…), which some readers take and others do not.
func namesTwice(disposition string) bool {
	quoted, escaped := false, false
	parameters := strings.FieldsFunc(disposition, func(c rune) bool {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		}
		return c == ';' && !quoted
	})
	return slices.ContainsFunc(parameters, func(p string) bool {
		return strings.HasPrefix(strings.ToLower(strings.TrimSpace(p)), "name*")
	})
}

// isHeaderName reports whether all readers take key for a header's name.
func isHeaderName(key string) bool {
	for _, b := range []byte(key) {
		if b != '-' && !(b|0x20 >= 'a' && b|0x20 <= 'z') && !(b >= '0' && b <= '9') {
			return false
		}
	}
	return key != ""
}

// readField reads a field as the parameter's kind wants it. An empty field
// is the same as none.
func (r *requestReader) readField(p *parameter, text string) {
	if text == "" {
		return
	}
	switch {
	case p.text != nil:
		r.takeText(p, text)
	case p.boolean != nil:
		switch strings.ToLower(text) {
		case "true", "1":
			p.boolean(r, true)
		case "false", "0":
			p.boolean(r, false)
		default:
			r.fail(p.name, "Invalid value for '%s': expected true or false.", p.name)
		}
	default:
		n, ok := parseInteger([]byte(text))
		if !ok {
			r.fail(p.name, "Invalid value for '%s': expected an integer.", p.name)
			return
		}
		p.integer(r, n)
	}
}
