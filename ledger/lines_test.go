package ledger

import "testing"

func TestSummary(t *testing.T) {
	for lines, want := range map[string]string{
		"":                              "0    ",
		"token 10 2000000 1000000 20\n": "20 token 20:0 10 0:10",
		"token 10 2000000 1000000 20\ntoken 5 8000000 1000000 0\n":              "20 token 20:0,0:0 15 0:10,0:5",
		"token 1 1 1 3\nimage 2 1 1 4\ntoken 1 1 1 5\nimage 1 1 1 9000000000\n": "9000000012 token|image 3:0,4:0,5:0,9000000000:0 2|3 0:1,0:2,0:1,0:1",
		"call 1 1 1 2\ntoken 1 1 1 3\n":                                         "5 call|token 2:0,3:0 1|1 0:1,0:1",
		"token 10 2 1 20\ncall 0 1 1 0\n":                                       "20 token|call 20:0,0:0 10|0 0:10,0:0",
		"token 10 2 1 20\ntoken 0 1 1 5\n":                                      "25 token 20:0,5:0 10 -", // nothing to pay the 5 with but cash
	} {
		if got := summary(lines); got != want {
			t.Errorf("%q: %q, want %q", lines, got, want)
		}
	}
}
