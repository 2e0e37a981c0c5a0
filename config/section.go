package config

import (
	"slices"
	"strings"
)

// A section is a mapping whose settings are known. Each is asked for by name;
// finish reports those that nobody asked for.
type section struct {
	value
	found []entry
	known []string
}

// section reads a mapping; false after noting a problem.
func (v value) section() (*section, bool) {
	found, ok := v.entries()
	return &section{value: v, found: found}, ok
}

// get returns a setting if it is there.
func (s *section) get(name string) (entry, bool) {
	s.known = append(s.known, name)
	for _, e := range s.found {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// finish notes every setting that was not asked for.
func (s *section) finish() {
	for _, e := range s.found {
		if slices.Contains(s.known, e.name) {
			continue
		}
		if guess := nearest(e.name, s.known); guess != "" {
			e.key.fail("unknown setting: did you mean %s?", guess)
		} else {
			e.key.fail("unknown setting: known here are %s", strings.Join(s.known, ", "))
		}
	}
}

// failAt notes a problem of a setting that may have no place of its own.
func (s *section) failAt(name, format string, args ...any) {
	at := s.value
	at.path = join(s.path, name)
	at.fail(format, args...)
}

// set reads an optional scalar.
func set[T any](s *section, name string, into *T, parse func(string) (T, error)) {
	if e, ok := s.get(name); ok {
		assign(e.value, into, parse)
	}
}

// need is set for a setting that must be there.
func need[T any](s *section, name string, into *T, parse func(string) (T, error), example string) {
	if e, ok := s.get(name); ok {
		assign(e.value, into, parse)
		return
	}
	s.failAt(name, "is missing: want %s", example)
}

// assign reads a scalar and reports whether it was right.
func assign[T any](v value, into *T, parse func(string) (T, error)) bool {
	text, ok := v.text()
	if !ok {
		return false
	}
	parsed, err := parse(text)
	if err != nil {
		v.fail("%s", err)
		return false
	}
	*into = parsed
	return true
}

// secret is set for a value that nobody but the operator should see.
func secret(s *section, name string, into *string, parse func(string) (string, error)) {
	e, ok := s.get(name)
	if !ok || !assign(e.value, into, parse) {
		return
	}
	e.noteSecret(*into)
}

// noteSecret remembers a secret that stands in the file itself.
func (v value) noteSecret(secret string) {
	if raw, ok := v.raw(); ok && secret != "" && !strings.Contains(raw, "${") {
		v.doc.secrets = append(v.doc.secrets, v.path)
	}
}
