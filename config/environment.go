package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces ${VAR} and ${VAR:-default} by the environment's values and
// $${ by a literal ${. All faults of the text are reported at once. One is a text that
// is $VAR alone, as a shell would have it: taken as it is, it would pass for a credential.
func expand(text string, getenv func(string) string) (string, error) {
	if name, is := strings.CutPrefix(text, "$"); is && isVariable(name) && name == strings.ToUpper(name) {
		return "", fmt.Errorf("$%s is no variable here: write ${%s}", name, name)
	}
	var out strings.Builder
	var faults []error
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			out.WriteString(text)
			return out.String(), errors.Join(faults...)
		}
		if i > 0 && text[i-1] == '$' {
			out.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		out.WriteString(text[:i])
		inner, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed {
			faults = append(faults, errors.New("${ has no closing }: write ${VAR}, or $${ for a literal ${"))
			return out.String(), errors.Join(faults...)
		}
		value, err := lookup(inner, getenv)
		if err != nil {
			faults = append(faults, err)
		}
		out.WriteString(value)
		text = rest
	}
}

func lookup(inner string, getenv func(string) string) (string, error) {
	name, fallback, optional := strings.Cut(inner, ":-")
	if !isVariable(name) {
		return "", fmt.Errorf("${%s} is not a variable: want ${NAME} or ${NAME:-default}, with NAME of letters, digits and _", inner)
	}
	if value := getenv(name); value != "" {
		return value, nil
	}
	if optional {
		return fallback, nil
	}
	return "", fmt.Errorf("environment variable %s is not set: set it, or write ${%s:-} if it may be empty", name, name)
}

func isVariable(name string) bool {
	for i, c := range name {
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
