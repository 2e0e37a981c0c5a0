package meter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/tollgate/tollgate/meter/yamlfile"
)

// A PriceError is one fault of a price table, and where it is. Line and
// Column count from 1; Line is 0 where the fault is of the file as a whole.
type PriceError struct {
	File         string
	Line, Column int
	Message      string
}

// Error prints file:line:column: message.
func (e *PriceError) Error() string {
	return e.at() + ": " + e.Message
}

func (e *PriceError) at() string {
	if e.Line == 0 {
		return e.File
	}
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// pricePlace is where something stands in a price table.
type pricePlace struct {
	file         string
	line, column int
}

func (p pricePlace) String() string { return (&PriceError{p.file, p.line, p.column, ""}).at() }

func (p pricePlace) errorf(format string, args ...any) *PriceError {
	return &PriceError{p.file, p.line, p.column, fmt.Sprintf(format, args...)}
}

// A yamlReader walks the syntax tree of one YAML file. Walking the tree, and
// not decoding into structs, is what lets every fault be told at once with
// its place, and keeps a number's own digits: no float is ever made of 0.06.
type yamlReader struct {
	file string
	errs []error
}

// yamlField is one key of a mapping with its value.
type yamlField struct {
	key   ast.Node
	name  string
	value ast.Node
}

// parse returns the file's one document, nil if there is none to read.
func (r *yamlReader) parse(data []byte) ast.Node {
	body, err := yamlfile.Parse(data)
	switch {
	case err != nil:
		r.errs = append(r.errs, r.syntaxError(err))
		return nil
	case body == nil || body.Type() == ast.NullType:
		r.errs = append(r.errs, pricePlace{file: r.file}.errorf("the file is empty; want `currency:` and `prices:`"))
		return nil
	}
	return body
}

func (r *yamlReader) syntaxError(err error) *PriceError {
	place := pricePlace{file: r.file}
	var syntax *yamlfile.Error
	if errors.As(err, &syntax) {
		place.line, place.column = syntax.Line, syntax.Column
	}
	return place.errorf("%v", err)
}

func (r *yamlReader) place(n ast.Node) pricePlace {
	line, column := yamlfile.Place(n)
	return pricePlace{r.file, line, column}
}

func (r *yamlReader) fail(n ast.Node, format string, args ...any) {
	r.errs = append(r.errs, r.place(n).errorf(format, args...))
}

// mapping returns the fields of a mapping. Keys that are not allowed and keys
// that come twice are reported and left out. With no allowed keys given, any
// will do.
func (r *yamlReader) mapping(n ast.Node, want string, allowed ...string) []yamlField {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.fail(n, "%s here; want %s", describeNode(n), want)
		return nil
	}
	fields := make([]yamlField, 0, len(values))
	for _, v := range values {
		name, ok := nodeText(v.Key)
		switch {
		case !ok:
			r.fail(v.Key, "this key is no plain text; want %s", want)
		case len(allowed) > 0 && !slices.Contains(allowed, name):
			r.fail(v.Key, "unknown key %q; want one of %s", name, strings.Join(allowed, ", "))
		case slices.ContainsFunc(fields, func(f yamlField) bool { return f.name == name }):
			r.fail(v.Key, "%q is given twice; keep one", name)
		default:
			fields = append(fields, yamlField{v.Key, name, v.Value})
		}
	}
	return fields
}

// list returns the values of a sequence.
func (r *yamlReader) list(n ast.Node, want string) []ast.Node {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fail(n, "%s here; want a list: %s", describeNode(n), want)
		return nil
	}
	if len(seq.Values) == 0 {
		r.fail(n, "this list is empty; want %s", want)
	}
	return seq.Values
}

// text returns a scalar as it is written.
func (r *yamlReader) text(n ast.Node, want string) (string, bool) {
	s, ok := nodeText(n)
	if !ok || s == "" {
		r.fail(n, "%s here; want %s", describeNode(n), want)
		return "", false
	}
	return s, true
}

// texts returns the scalars of a list, without those that come twice.
func (r *yamlReader) texts(n ast.Node, want string) []string {
	var out []string
	for _, v := range r.list(n, want) {
		s, ok := r.text(v, want)
		switch {
		case !ok:
		case slices.Contains(out, s):
			r.fail(v, "%q is listed twice; keep one", s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// nodeText is the text of a scalar: of numbers and booleans the very
// characters of the file.
func nodeText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	case *ast.BoolNode:
		return strings.ToLower(n.GetToken().Value), true
	}
	return "", false
}

func describeNode(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "there is nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "there is a mapping"
	case *ast.SequenceNode:
		return "there is a list"
	case *ast.AliasNode:
		return "there is an alias (quote a name that begins with *)"
	case *ast.AnchorNode:
		return "there is an anchor"
	case *ast.TagNode:
		return "there is a tag"
	case *ast.StringNode:
		return fmt.Sprintf("there is %.60q", n.Value) // any text is YAML: a whole file of another kind is one value
	}
	return fmt.Sprintf("there is %.60q", n.GetToken().Value)
}
