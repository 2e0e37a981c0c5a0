package meter

import "strings"

// MatchModel reports whether a model's name fits a pattern: an exact name, or
// one with * for any run of characters, at any place and as often as needed.
func MatchModel(pattern, model string) bool {
	head, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == model
	}
	if !strings.HasPrefix(model, head) {
		return false
	}
	model = model[len(head):]
	for {
		var part string
		part, rest, found = strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(model, part)
		}
		// The leftmost fit is enough: it leaves the most for what follows.
		i := strings.Index(model, part)
		if i < 0 {
			return false
		}
		model = model[i+len(part):]
	}
}

// MatchAnyModel reports whether a model fits one of the patterns; no patterns fit all.
func MatchAnyModel(patterns []string, model string) bool {
	for _, p := range patterns {
		if MatchModel(p, model) {
			return true
		}
	}
	return len(patterns) == 0
}
