package meter

import (
	"bytes"
	"cmp"
	"slices"
)

// PatchCost puts members such as `"cost":0.0016,"cost_details":{…}` into the
// usage object of a whole JSON answer, keeping every other byte. Members of
// these names that the upstream had put there are replaced. An answer without
// a usage object gets one; what is not a JSON object is returned as it is.
func (r *Request) PatchCost(body, cost []byte) []byte {
	return patchCost(body, cost, cmp.Or(r.Endpoint.dialect.usage, "usage"))
}

// patchCost is PatchCost for a usage object of that name.
func patchCost(body, cost []byte, name string) []byte {
	if len(cost) == 0 {
		return body
	}
	c := cursor{body: body}
	if bytes.HasPrefix(body, byteOrderMark[:]) {
		c.pos = len(byteOrderMark) // its usage was read, too
	}
	if c.peek() != '{' {
		return body
	}
	usage, last := edit{start: -1}, 0
	for c.open('{'); c.more('}'); {
		isUsage := string(c.key()) == name
		c.peek()
		start := c.pos
		c.skip()
		if isUsage {
			usage = edit{start: start, end: c.pos}
		}
		last = c.pos
	}
	if c.end(); c.err != nil {
		return body
	}
	switch {
	case usage.start < 0 && last == 0: // An empty object.
		return patch(body, []edit{{start: bytes.IndexByte(body, '{') + 1, end: bytes.IndexByte(body, '{') + 1, text: `"` + name + `":{` + string(cost) + `}`}})
	case usage.start < 0:
		return patch(body, []edit{{start: last, end: last, text: `,"` + name + `":{` + string(cost) + `}`}})
	case body[usage.start] != '{':
		usage.text = "{" + string(cost) + "}"
		return patch(body, []edit{usage})
	}
	return replaceMembers(body, usage.start, usage.end-1, cost)
}

// replaceMembers puts members into the object between the braces, and takes
// out those of the same names that are there. What cannot be read there is
// left, and the members are added all the same.
func replaceMembers(body []byte, open, brace int, members []byte) []byte {
	object := withoutMembers(body[open:brace+1], memberNames(members))
	out := make([]byte, 0, len(body)+len(members)+1)
	out = append(out, body[:open]...)
	out = append(out, insertMembers(object, bytes.LastIndexByte(object, '}'), members)...)
	return append(out, body[brace+1:]...)
}

// memberNames lists the names of raw members.
func memberNames(members []byte) (names []string) {
	c := cursor{body: append(append([]byte{'{'}, members...), '}')}
	for c.open('{'); c.more('}'); {
		names = append(names, string(c.key()))
		c.skip()
	}
	return names
}

// withoutMembers returns the object without the members named.
func withoutMembers(object []byte, names []string) []byte {
	c := cursor{body: object}
	out, found := []byte{'{'}, false
	for c.open('{'); c.more('}'); {
		start := c.pos
		name := string(c.key())
		c.skip()
		if slices.Contains(names, name) {
			found = true
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, object[start:min(c.pos, len(object))]...)
	}
	if c.err != nil || !found {
		return object
	}
	return append(out, '}')
}
