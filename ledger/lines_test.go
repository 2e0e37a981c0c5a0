package ledger

import "testing"

func TestPlainLines(t *testing.T) {
	for lines, want := range map[string]string{
		"":                              "0  ",
		"token 10 2000000 1000000 20\n": "20 token 20:0",
		"token 10 2000000 1000000 20\ntoken 5 8000000 1000000 0\n":              "20 token 20:0,0:0",
		"token 1 1 1 3\nimage 2 1 1 4\ntoken 1 1 1 5\nimage 1 1 1 9000000000\n": "9000000012 token|image 3:0,4:0,5:0,9000000000:0",
		"call 1 1 1 2\ntoken 1 1 1 3\n":                                         "5 call|token 2:0,3:0",
	} {
		if got := plainLines(lines); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}
