package http1

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strconv"
)

// A knownHead is the head of a connection's last request, and what net/http read
// in it. Clients send the same head again and again, but for the length of the
// body. What is the same to the byte means the same, so it need not be read
// anew; every other head is net/http's to read. Nothing here knows what a head may
// look like, and so nothing can take it for something else than net/http does.
type knownHead struct {
	text    []byte
	number  span // where in the text the body's length is; empty: it says none
	request http.Request
}

// maxDigits is how many digits of a length are certain to fit in an int64.
const maxDigits = 18

// remember takes down a head that has been read. A body in chunks, and one whose
// length is not said just once and plainly, is left to net/http the next time, too.
func (k *knownHead) remember(text []byte, r *http.Request) {
	number, plain := lengthIn(text, r.ContentLength)
	if !plain || len(r.TransferEncoding) > 0 {
		k.forget()
		return
	}
	k.text, k.number, k.request = append(k.text[:0], text...), number, *r
	k.request.Body = nil
}

func (k *knownHead) forget() { *k = knownHead{text: k.text[:0]} }

// lengthIn finds the number in a head's one Content-Length. Plain are the length
// itself, without as much as a sign or a zero before it, and no length at all.
func lengthIn(head []byte, length int64) (number span, plain bool) {
	found := 0
	for number = range valuesOf(head, "content-length:") {
		found++
	}
	if found == 0 {
		return span{}, length == 0
	}
	value := head[number.from:number.to]
	number.from += len(value) - len(bytes.TrimLeft(value, " \t"))
	number.to = number.from + len(bytes.Trim(value, " \t"))
	return number, found == 1 && string(head[number.from:number.to]) == strconv.FormatInt(length, 10)
}

// in reports whether a text begins with the known head, how long the head is in
// it, and which length of the body it says.
func (k *knownHead) in(text []byte) (size int, length int64, same bool) {
	before, after := k.text[:k.number.from], k.text[k.number.to:]
	if len(k.text) == 0 || !bytes.HasPrefix(text, before) {
		return 0, 0, false
	}
	size = len(before)
	if k.number != (span{}) {
		var digits int
		if length, digits = leadingNumber(text[size:]); digits == 0 {
			return 0, 0, false
		}
		size += digits
	}
	return size + len(after), length, bytes.HasPrefix(text[size:], after)
}

// leadingNumber is the number at a text's beginning, and how many digits it has: 0,
// if there is none, or one that strconv would not have written so.
func leadingNumber(text []byte) (n int64, digits int) {
	for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
		if digits == maxDigits || digits > 0 && n == 0 {
			return 0, 0
		}
		n = n*10 + int64(text[digits]-'0')
		digits++
	}
	return n, digits
}

// again is the request that the known head says with another length. Its header is the last one's
// where that is the same: handlers do not change it.
func (k *knownHead) again(length int64, body *sizedBody) *http.Request {
	r := new(http.Request)
	*r = k.request
	if length != r.ContentLength {
		r.ContentLength = length
		r.Header = maps.Clone(r.Header)
		r.Header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	}
	r.Body = http.NoBody
	if length > 0 {
		r.Body = body
	}
	return r
}

// sizedBody is a body whose length is known.
type sizedBody struct {
	from io.Reader
	left int64
}

// Read reads on, as net/http does: the end comes together with the last bytes.
func (b *sizedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case err == io.EOF && b.left > 0: // a connection's reader returns the very value
		err = io.ErrUnexpectedEOF
	case err == nil && b.left == 0:
		err = io.EOF
	}
	return n, err
}

// Close leaves the rest of the body to the server.
func (*sizedBody) Close() error { return nil }
