package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A document is one YAML file while it is being read. It walks the syntax tree
// itself, because a decoder stops at the first error and ours must not.
type document struct {
	file     string
	getenv   func(string) string
	problems Problems
	// secrets are the settings that hold a secret in plain text.
	secrets []string
}

// A value is a node of the tree and the setting that it stands for.
type value struct {
	doc  *document
	path string
	node ast.Node
}

// parse returns the root of the tree; false when the file is empty or not YAML.
func (d *document) parse(data []byte) (root value, ok bool) {
	file, err := parseYAML(data)
	if err != nil {
		d.problems = append(d.problems, d.syntaxProblem(data, err))
		return value{}, false
	}
	if line := emptyDocument(data); line > 0 {
		d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: 1, Message: "an empty YAML document begins here: want one document, without ---"})
		return value{}, false
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case ok:
			value{d, "", doc.Body}.fail("a second YAML document begins here: want one, without ---")
		default:
			root, ok = value{d, "", doc.Body}, true
		}
	}
	return root, ok
}

// emptyDocument is the line of a --- with nothing up to the next; 0 if there is
// none. The parser passes over whatever follows such a document.
func emptyDocument(data []byte) int {
	var marker *token.Token
	for _, t := range lexer.Tokenize(string(data)) {
		switch t.Type {
		case token.DocumentHeaderType:
			if marker != nil {
				return marker.Position.Line
			}
			marker = t
		case token.CommentType:
		default:
			marker = nil
		}
	}
	return 0
}

// parseYAML turns a panic of the parser into an error: a reload must not be
// able to take a running proxy down.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("not YAML: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (d *document) syntaxProblem(data []byte, err error) Problem {
	p := Problem{File: d.file, Message: "not YAML: " + err.Error()}
	var syntax yaml.Error
	if !as(err, &syntax) {
		return p
	}
	p.Message = "not YAML: " + syntax.GetMessage()
	if t := syntax.GetToken(); t != nil && t.Position != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
		lines := strings.Split(string(data), "\n")
		if p.Line <= len(lines) && strings.Contains(lines[p.Line-1], "${") {
			p.Message += ` (inside {} and [] a variable must be quoted: "${VAR}")`
		}
	}
	return p
}

// fail notes a problem at the value's place.
func (v value) fail(format string, args ...any) {
	v.doc.problems = append(v.doc.problems, v.origin().problem(fmt.Errorf(format, args...)))
}

func (v value) origin() origin {
	o := origin{file: v.doc.file, path: v.path}
	if v.node == nil {
		return o
	}
	node := v.node
	// A mapping's own token is its colon; its place is its first key.
	if m, ok := node.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	if t := node.GetToken(); t != nil && t.Position != nil {
		o.line, o.column = t.Position.Line, t.Position.Column
	}
	return o
}

// text returns a scalar with its variables replaced; false after noting a problem.
func (v value) text() (string, bool) {
	raw, ok := v.raw()
	if !ok {
		return "", false
	}
	text, err := expand(raw, v.doc.getenv)
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			v.fail("%s", line)
		}
		return "", false
	}
	return text, true
}

// raw returns a scalar as it is written.
func (v value) raw() (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.NullNode, nil:
		v.fail("has no value")
	default:
		v.fail("want a single value, found %s", kind(n))
	}
	return "", false
}

// items returns the elements of a list; none after noting a problem.
func (v value) items() []value {
	list, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.fail("want a list, such as [a, b], found %s", kind(v.node))
		return nil
	}
	values := make([]value, len(list.Values))
	for i, node := range list.Values {
		values[i] = value{v.doc, fmt.Sprintf("%s[%d]", v.path, i), node}
	}
	return values
}

// An entry is a key of a mapping and what it holds.
type entry struct {
	name string
	key  value
	value
}

// entries returns the pairs of a mapping in order; false after noting a problem.
func (v value) entries() ([]entry, bool) {
	var pairs []*ast.MappingValueNode
	switch n := v.node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		v.fail("want settings, such as {name: value}, found %s", kind(v.node))
		return nil, false
	}
	entries := make([]entry, 0, len(pairs))
	seen := map[string]bool{}
	for _, pair := range pairs {
		key := value{v.doc, v.path, pair.Key}
		if pair.Key.IsMergeKey() {
			key.fail("merge keys (<<) are not supported: write the settings out")
			continue
		}
		name, ok := key.raw()
		if !ok {
			continue
		}
		path := join(v.path, name)
		key.path = path
		if seen[name] {
			key.fail("is set twice: remove one of the two")
			continue
		}
		seen[name] = true
		entries = append(entries, entry{name: name, key: key, value: value{v.doc, path, pair.Value}})
	}
	return entries, true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func isList(v value) bool {
	_, ok := v.node.(*ast.SequenceNode)
	return ok
}

func isMapping(v value) bool {
	switch v.node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// kind names a node for an operator.
func kind(node ast.Node) string {
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "settings ({…})"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias (they are not supported: write the value out)"
	case *ast.TagNode:
		return "a tag (they are not supported: leave it out)"
	case ast.ScalarNode:
		return fmt.Sprintf("the value %q", n.GetToken().Value)
	default:
		return "something else (" + n.Type().String() + ")"
	}
}
