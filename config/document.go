package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/tollgate/tollgate/meter/yamlfile"
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
	body, err := yamlfile.Parse(data)
	if err != nil {
		d.problems = append(d.problems, d.syntaxProblem(data, err))
	}
	return value{d, "", body}, body != nil
}

func (d *document) syntaxProblem(data []byte, err error) Problem {
	p := Problem{File: d.file, Message: err.Error()}
	var syntax *yamlfile.Error
	if !errors.As(err, &syntax) {
		return p
	}
	p.Line, p.Column = syntax.Line, syntax.Column
	lines := strings.Split(string(data), "\n")
	if p.Line > 0 && p.Line <= len(lines) && strings.Contains(lines[p.Line-1], "${") {
		p.Message += ` (inside {} and [] a variable must be quoted: "${VAR}")`
	}
	return p
}

// fail notes a problem at the value's place.
func (v value) fail(format string, args ...any) {
	v.doc.problems = append(v.doc.problems, v.origin().problem(fmt.Errorf(format, args...)))
}

func (v value) origin() origin {
	o := origin{file: v.doc.file, path: v.path}
	o.line, o.column = yamlfile.Place(v.node)
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
	case *ast.AliasNode:
		return "an alias (quote a name that begins with *)"
	case *ast.AnchorNode:
		return "an anchor (they are not supported: write the value out)"
	case *ast.TagNode:
		return "a tag (they are not supported: leave it out)"
	case ast.ScalarNode:
		return fmt.Sprintf("the value %.60q", n.GetToken().Value) // any text is YAML: a whole file of another kind is one value
	default:
		return "something else (" + n.Type().String() + ")"
	}
}
