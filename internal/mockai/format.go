package mockai

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// inFormat is the reply in the format that the request asks for; empty: text.
func inFormat(format gjson.Result) string {
	switch format.Get("type").Str {
	case "json_object":
		return toolArguments
	case "json_schema":
		schema := format.Get("json_schema.schema")
		return string(appendFitting(nil, schema, schema, 0))
	}
	return ""
}

// inSchema is the format of an answer that fits the schema.
func inSchema(schema gjson.Result) gjson.Result {
	if !schema.Exists() {
		return gjson.Result{}
	}
	return gjson.Parse(`{"type":"json_schema","json_schema":{"schema":` + schema.Raw + `}}`)
}

// maxDepth is where a schema that names itself is no longer followed.
const maxDepth = 8

// appendFitting appends a value that fits a JSON schema, as far as that is told
// by types, enumerations and a minimum. References are looked up in root.
func appendFitting(dst []byte, root, schema gjson.Result, depth int) []byte {
	if depth > maxDepth {
		return append(dst, "null"...)
	}
	for _, value := range [...]string{"const", "enum.0"} {
		if v := schema.Get(value); v.Exists() {
			return append(dst, v.Raw...)
		}
	}
	if ref := schema.Get("$ref"); ref.Exists() {
		return appendFitting(dst, root, referred(root, ref.Str), depth+1)
	}
	for _, choice := range [...]string{"anyOf.0", "oneOf.0", "allOf.0"} {
		if s := schema.Get(choice); s.Exists() {
			return appendFitting(dst, root, s, depth+1)
		}
	}
	return appendOfType(dst, root, schema, depth)
}

// referred is the part of a schema that a reference such as #/$defs/City names.
func referred(root gjson.Result, ref string) gjson.Result {
	at := root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#"), "/") {
		if name != "" {
			at = at.Get(gjson.Escape(name))
		}
	}
	return at
}

func appendOfType(dst []byte, root, schema gjson.Result, depth int) []byte {
	kind := schema.Get("type")
	if kind.IsArray() {
		kind = kind.Get("0")
	}
	switch strings.ToLower(kind.Str) { // Gemini's are in capitals
	case "object":
		return appendObject(dst, root, schema.Get("properties"), depth)
	case "array":
		return append(appendFitting(append(dst, '['), root, schema.Get("items"), depth+1), ']')
	case "integer", "number":
		if least := schema.Get("minimum"); least.Num > 1 {
			return append(dst, least.Raw...)
		}
		return append(dst, '1')
	case "boolean":
		return append(dst, "true"...)
	case "null":
		return append(dst, "null"...)
	}
	return append(dst, `"Hello"`...)
}

// appendObject appends an object that has all its properties, as strict schemas demand.
func appendObject(dst []byte, root, properties gjson.Result, depth int) []byte {
	dst = append(dst, '{')
	first := true
	properties.ForEach(func(name, schema gjson.Result) bool {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, name.Raw...), ':')
		dst = appendFitting(dst, root, schema, depth+1)
		return true
	})
	return append(dst, '}')
}

// appendContent appends the bytes [from, to) of the reply, quoted; none of its
// characters is torn apart.
func (r *reply) appendContent(dst []byte, from, to int64) []byte {
	if r.formatted == "" {
		return append(appendSaid(append(dst, '"'), from, to), '"')
	}
	return appendJSON(dst, r.formattedUpTo(to)[runeStart(r.formatted, from):])
}

// formattedUpTo is the part of a reply in a format that ends before the byte to; none is torn apart.
func (r *reply) formattedUpTo(to int64) string {
	return r.formatted[:runeStart(r.formatted, min(to, int64(len(r.formatted))))]
}

// runeStart is where the character begins that the byte i is in.
func runeStart(s string, i int64) int64 {
	for i > 0 && i < int64(len(s)) && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}
