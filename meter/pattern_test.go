package meter

import "testing"

func TestMatchModel(t *testing.T) {
	for _, tc := range []struct {
		pattern, model string
		want           bool
	}{
		{"glm-4.6", "glm-4.6", true},
		{"glm-4.6", "glm-4.6-air", false},
		{"glm-4*", "glm-4", true},
		{"glm-4*", "glm-4.6", true},
		{"*", "", true},
		{"*", "anything", true},
		{"*-air", "glm-air", true},
		{"*-air", "glm-airx", false},
		{"g*4*r", "glm-4-air", true},
		{"g*4*r", "glm-5-air", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"**", "x", true},
		{"a**b", "ab", true},
		{"", "", true},
		{"", "x", false},
		{"a*bc", "abcbc", true},
		{"GLM*", "glm", false},
	} {
		if got := MatchModel(tc.pattern, tc.model); got != tc.want {
			t.Errorf("MatchModel(%q, %q) = %v", tc.pattern, tc.model, got)
		}
	}
}
