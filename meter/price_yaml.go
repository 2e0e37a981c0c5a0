package meter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
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
	file, err := parseYAML(data)
	if err != nil {
		r.failSyntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil && len(file.Docs) > 1: // the parser passes over whatever follows it
			r.errs = append(r.errs, pricePlace{file: r.file}.errorf("a YAML document is empty; a price file is one document, without ---"))
			return nil
		case doc.Body == nil || doc.Body.Type() == ast.NullType:
		case body != nil:
			r.fail(doc.Body, "a price file is one document; join the two, or make them two files")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		r.errs = append(r.errs, pricePlace{file: r.file}.errorf("the file is empty; want `currency:` and `prices:`"))
	}
	return body
}

// parseYAML turns a panic of the parser into an error: tables are reloaded
// while serving, and a file that is no YAML must not end that.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser failed: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (r *yamlReader) failSyntax(err error) {
	place, message := pricePlace{file: r.file}, err.Error()
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		message = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			place.line, place.column = t.Position.Line, t.Position.Column
		}
	}
	r.errs = append(r.errs, place.errorf("not YAML: %s", message))
}

func (r *yamlReader) place(n ast.Node) pricePlace {
	p := pricePlace{file: r.file}
	if t := firstToken(n); t != nil && t.Position != nil {
		p.line, p.column = t.Position.Line, t.Position.Column
	}
	return p
}

// firstToken is where a reader of the file would point at: a block mapping's
// own token is its first colon, so its first key is taken instead.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if len(n.Values) > 0 && !n.IsFlowStyle {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
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
		return fmt.Sprintf("there is %q", n.Value)
	}
	return fmt.Sprintf("there is %q", n.GetToken().Value)
}
