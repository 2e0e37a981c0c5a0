package yamlfile

import (
	"errors"
	"strings"
	"testing"
)

func TestOneDocument(t *testing.T) {
	for _, c := range []struct {
		name, text   string
		line, column int // of the error; 0: there is none
		empty        bool
	}{
		{"one", "a: 1\n", 0, 0, false},
		{"one behind a marker", "---\na: 1\n", 0, 0, false},
		{"one behind a byte order mark", "\ufeffa: 1\n", 0, 0, false},
		{"nothing", "", 0, 0, true},
		{"a comment", "# nothing\n", 0, 0, true},
		{"a marker", "---\n", 0, 0, true},
		{"two", "a: 1\n---\nb: 2\n", 3, 1, false},
		{"an empty one before", "---\n---\na: 1\n", 1, 1, true},
		{"an empty one with a comment before", "---\n# no\n---\na: 1\n", 1, 1, true},
		{"an empty one behind", "a: 1\n--- # two\n---\nb: 2\n", 2, 1, true},
		{"no YAML", "a: b: c\n", 1, 4, true},
	} {
		body, err := Parse([]byte(c.text))
		var at Error
		if failure := (*Error)(nil); errors.As(err, &failure) {
			at = *failure
		}
		if at.Line != c.line || at.Column != c.column || (err != nil) != (c.line > 0) || (body == nil) != c.empty {
			t.Errorf("%s: body %v, error %v at %d:%d; want it at %d:%d", c.name, body, err, at.Line, at.Column, c.line, c.column)
		}
		if body != nil && strings.Contains(body.String(), "\ufeff") {
			t.Errorf("%s: the mark is in %q", c.name, body)
		}
	}
}
