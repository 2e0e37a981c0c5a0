// Package yamlfile parses a file that is to be one YAML document, and says
// where things stand in it. Price tables and the configuration are such files;
// both walk the syntax tree themselves, because a decoder stops at the first
// fault, and makes a float of 0.06.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// An Error is why a file is not one YAML document, and where. Line and Column
// count from 1; 0 where the parser does not say.
type Error struct {
	Line, Column int
	Message      string
}

// Error is the message alone: whoever knows the file's name puts the place before it.
func (e *Error) Error() string { return e.Message }

// Parse returns the body of the file's document; nil for a file that has
// nothing in it. Keys that come twice are left to the caller. An error is an
// *Error; of two documents the first is returned beside it.
func Parse(data []byte) (body ast.Node, err error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors of Windows begin a file so; the first key would have it in its name
	file, err := parse(data)
	if err != nil {
		return nil, syntaxError(data, err)
	}
	if line := emptyDocument(data); line > 0 {
		return nil, &Error{line, 1, "an empty YAML document begins here: want one document, without ---"}
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			line, column := Place(doc.Body)
			return body, &Error{line, column, "a second YAML document begins here: want one, without ---"}
		default:
			body = doc.Body
		}
	}
	return body, nil
}

// parse turns a panic of the parser into an error: a reload must not be able to
// take a running proxy down.
func parse(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser failed: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

// bareStar finds a value that is a * alone, which YAML takes for an alias without a name.
var bareStar = regexp.MustCompile(`[:,\[{-]\s*\*\s*([,\]}#]|$)`)

func syntaxError(data []byte, err error) *Error {
	e := &Error{Message: "not YAML: " + err.Error()}
	var syntax yaml.Error
	if !errors.As(err, &syntax) {
		return e
	}
	e.Message = "not YAML: " + syntax.GetMessage()
	if t := syntax.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	if lines := bytes.Split(data, []byte("\n")); e.Line > 0 && e.Line <= len(lines) && bareStar.Match(lines[e.Line-1]) {
		e.Message += ` (a * must be quoted: "*")`
	}
	return e
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

// Place is where a reader of the file would point at for a node, counted from
// 1; 0, 0 for nothing. A block mapping's own token is its first colon, so its
// first key is taken instead.
func Place(n ast.Node) (line, column int) {
	var t *token.Token
	switch n := n.(type) {
	case nil:
		return 0, 0
	case *ast.MappingNode:
		t = n.GetToken()
		if len(n.Values) > 0 && !n.IsFlowStyle {
			t = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = n.Key.GetToken()
	default:
		t = n.GetToken()
	}
	if t == nil || t.Position == nil {
		return 0, 0
	}
	return t.Position.Line, t.Position.Column
}
