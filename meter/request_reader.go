package meter

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// How the members of a request are read, of whichever endpoint: what a parameter's value may be,
// and what is refused since upstreams may read it otherwise. The cursor below it reads JSON.

// A requestReader is a cursor that fills a Request.
type requestReader struct {
	cursor
	options  ReadOptions
	endpoint *Endpoint
	request  *Request
	// seen has a bit for each parameter of the endpoint that was met.
	seen uint64
	// bestOf and prompts multiply the outputs of a completion.
	bestOf, prompts int64
	// maxTokens is the larger of the client's limits; -1: none.
	maxTokens int64
	// everyoneLimits says that one of them is known to all upstreams.
	everyoneLimits bool
	// hidden counts the bytes of the body that are not text, tools the tool
	// definitions, images those in messages.
	hidden, tools, images int64
	// query is the length of what documents are ranked by; documents are those, or the texts to be moderated.
	query, documents int64
	// spoken says that the answer may be audio, drawn that it may have images.
	spoken, drawn bool
	// toolCalls is the client's limit of the calls of hosted tools; 0: none.
	toolCalls int64
	// hasDocument says that attachTogether has counted one. budget is how many tokens may be thought.
	hasDocument bool
	budget      int64
	// noModel is where in a JSON body a model can be put: in place of null, or at the beginning.
	noModel edit
}

// A parameter is a member of a request, or a field of a form, that decides
// about money. One of the functions reads it: text, integer and boolean from
// both, value from JSON only.
type parameter struct {
	name    string
	text    func(*requestReader, string)
	integer func(*requestReader, int64)
	boolean func(*requestReader, bool)
	value   func(*requestReader)
	// attribute says that it is noted for the price rows, by its name.
	attribute bool
}

// readJSON reads the body as one JSON object.
func (r *requestReader) readJSON() {
	switch first := r.peek(); {
	case first == 0 && r.pos == len(r.body):
		r.fail("", "The request body is empty; it must be a JSON object.")
		return
	case first != '{':
		if r.skip(); r.err == nil {
			r.fail("", "The request body must be a JSON object, but is %s.", kindOf(first))
		}
		return
	}
	r.request.ask = edit{start: r.pos + 1, end: r.pos + 1, text: `"stream_options":{"include_usage":true},`}
	r.noModel = edit{start: r.pos + 1, end: r.pos + 1, quoted: true, added: r.endpoint.modelName()}
	for r.open('{'); r.more('}'); {
		key := r.key()
		if p := r.parameter(key); p != nil {
			r.read(p)
		} else {
			r.skip()
		}
	}
	r.end()
}

// parameter looks a key up. A second one of the same name is refused, because
// upstreams differ in which of the two they take; so is one that differs only
// in case, because some upstreams do not mind the case.
func (r *requestReader) parameter(key []byte) *parameter {
	for i := range r.endpoint.parameters {
		if p := &r.endpoint.parameters[i]; p.name == string(key) {
			r.once(&r.seen, i, p.name)
			return p
		}
	}
	if r.mayDiffer(key) { // once for all of them
		for i := range r.endpoint.parameters {
			r.refuseOddCase(key, "", r.endpoint.parameters[i].name)
		}
	}
	return nil
}

// read reads the value of a parameter. A null is the same as none.
func (r *requestReader) read(p *parameter) {
	first := r.peek()
	if p.value != nil {
		p.value(r)
		return
	}
	start := r.pos
	value := r.raw()
	if r.err != nil {
		return
	}
	switch {
	case first == 'n':
		if p.name == r.endpoint.modelName() {
			r.noModel = edit{start: start, end: r.pos, quoted: true}
		}
	case p.text != nil && first == '"':
		if p.name == r.endpoint.modelName() {
			r.request.renames = append(r.request.renames, edit{start: start, end: r.pos, quoted: true})
		}
		r.takeText(p, unescape(value[1:len(value)-1]))
	case p.text != nil:
		r.wrongType(p.name, "a string", first)
	case p.boolean != nil && (first == 't' || first == 'f'):
		p.boolean(r, first == 't')
	case p.boolean != nil:
		r.wrongType(p.name, "a boolean", first)
	default:
		r.readInteger(p, first, value)
	}
}

// takeText hands a text over, if all parsers will read it the same.
func (r *requestReader) takeText(p *parameter, text string) {
	if !utf8.ValidString(text) {
		r.fail(p.name, "Invalid value for '%s': it is not UTF-8.", p.name)
		return
	}
	p.text(r, text)
}

// readInteger takes 12 and 12.0 alike.
func (r *requestReader) readInteger(p *parameter, first byte, value []byte) {
	if first != '-' && (first < '0' || first > '9') {
		r.wrongType(p.name, "an integer", first)
		return
	}
	n, ok := parseInteger(value)
	if !ok {
		r.fail(p.name, "Invalid value for '%s': %s is not an integer within bounds.", p.name, value[:min(len(value), 32)])
		return
	}
	p.integer(r, n)
}

// A member is one that matters of an object, and what reads its value.
type member struct {
	name string
	read func()
}

// members reads an object that stands inside of another: those that matter, each
// given once and in this case alone. Any other value is passed over.
func (r *requestReader) members(inside string, those ...member) {
	switch first := r.peek(); {
	case first == '[' && r.endpoint.protobuf: // some of its readers take a list of one for the one
		r.elements(func() { r.members(inside, those...) })
		return
	case first != '{':
		r.skip()
		return
	}
	var seen uint64
	for r.open('{'); r.more('}'); {
		key := r.key()
		i := slices.IndexFunc(those, func(m member) bool { return m.name == string(key) })
		if i >= 0 {
			if seen&(1<<i) != 0 { // else the whole name is put together for nothing
				r.once(&seen, i, inside+those[i].name)
			}
			seen |= 1 << i
			those[i].read()
			continue
		}
		if r.mayDiffer(key) {
			for _, m := range those {
				r.refuseOddCase(key, inside, m.name)
			}
		}
		r.skip()
	}
}

// once notes the i-th name of an object in seen and refuses a repetition.
func (r *requestReader) once(seen *uint64, i int, param string) {
	if *seen&(1<<i) != 0 {
		r.fail(param, "Duplicate parameter: '%s' is given more than once.", param)
	}
	*seen |= 1 << i
}

// key is the cursor's, in the spelling that the parameters have: of protobuf's two that is camel case.
func (r *requestReader) key() []byte {
	key := r.cursor.key()
	if r.endpoint.protobuf {
		return inCamelCase(key)
	}
	return key
}

// mayDiffer reports whether a key that is none of the names looked for may be one in another spelling.
func (r *requestReader) mayDiffer(key []byte) bool { return r.endpoint.protobuf || oddCase(key) }

// spelled is a key without what may differ in its spelling, but for case.
func (r *requestReader) spelled(key []byte) string {
	if r.endpoint.protobuf {
		key = bytes.ReplaceAll(key, []byte{'_'}, nil)
	}
	return string(key)
}

// refuseOddCase refuses a key that is one of names but for its case. inside is
// where it stands, for the message.
func (r *requestReader) refuseOddCase(key []byte, inside string, names ...string) {
	if !r.mayDiffer(key) {
		return
	}
	for _, name := range names {
		if strings.EqualFold(r.spelled(key), name) {
			r.fail(inside+name, "Unknown parameter: '%s%s'. Did you mean '%s'?", inside, key, name)
		}
	}
}

// oddCase reports whether a key has letters that another case could match.
func oddCase(key []byte) bool {
	for _, b := range key {
		if b >= 'A' && b <= 'Z' || b >= 0x80 {
			return true
		}
	}
	return false
}

// inCamelCase spells a name of snake case anew. What is neither is left as it is.
func inCamelCase(key []byte) []byte {
	if bytes.IndexByte(key, '_') < 0 {
		return key
	}
	camel := make([]byte, 0, len(key))
	for i := 0; i < len(key); i++ {
		switch b := key[i]; {
		case b >= 'a' && b <= 'z' || b >= '0' && b <= '9':
			camel = append(camel, b)
		case b == '_' && i > 0 && i+1 < len(key) && key[i+1] >= 'a' && key[i+1] <= 'z':
			i++
			camel = append(camel, key[i]-'a'+'A')
		default:
			return key
		}
	}
	return camel
}

// given passes over a value, and reports whether there is one: null is as good as none.
func (r *requestReader) given() bool {
	given := r.peek() != 'n'
	r.skip()
	return given
}

// word reads a short string with its escapes resolved, as the upstream will; ""
// for any other value.
func (r *requestReader) word() string {
	if r.peek() != '"' {
		r.skip()
		return ""
	}
	raw, escaped := r.text()
	if escaped {
		return unescape(raw)
	}
	return string(raw)
}

// limit reads an integer up to most. Null is as good as none, and so is 0, as in limitParameter.
func (r *requestReader) limit(param string, most, none int64) int64 {
	first := r.peek()
	value := r.raw()
	if r.err != nil || first == 'n' {
		return none
	}
	n, ok := parseInteger(value)
	if !ok {
		r.wrongType(param, "an integer", first)
		return none
	}
	if r.between(param, n, 0, most); n == 0 {
		return none
	}
	return n
}

// peekRaw is the next value as it stands. It is still to be read.
func (r *requestReader) peekRaw() []byte {
	ahead := r.cursor
	return ahead.raw()
}

// each visits the elements of a list, or what stands in its place.
func (r *requestReader) each(visit func()) {
	switch r.peek() {
	case '[':
		r.elements(func() { r.each(visit) })
	case 'n':
		r.skip()
	default:
		visit()
	}
}

func (r *requestReader) wrongType(param, want string, first byte) {
	r.fail(param, "Invalid type for '%s': expected %s, but got %s instead.", param, want, kindOf(first))
}

// between refuses an integer outside of its bounds.
func (r *requestReader) between(param string, n, least, most int64) bool {
	if n < least || n > most {
		r.fail(param, "Invalid value for '%s': %d is not between %d and %d.", param, n, least, most)
		return false
	}
	return true
}

// parseInteger reads a JSON number without a fraction: 12, 12.0, 1.2e1, -1.
func parseInteger(text []byte) (int64, bool) {
	if n, ok := parseDigits(text); ok {
		return n, true
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}
