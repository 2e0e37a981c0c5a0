package ledger

import "testing"

// A call that had reported no quantity of anything had delivered nothing: it is given back, and not journaled as abandoned.
func TestWhatChargesSomething(t *testing.T) {
	for lines, want := range map[string]bool{
		"":                                      false,
		"token 0 2000000 1 0\n":                 false,
		"token 0 2 1 0\nimage 0 60 1 0\n":       false,
		"token 0 2 1 0\nimage 1 60 1 60\n":      true,
		"token 10 0 1 0\n":                      true, // free, and delivered
		"token\n":                               false,
		"call 1 1000000000000 1 1000000000\n\n": true,
	} {
		if is := chargesSomething(lines); is != want {
			t.Errorf("%q: %t", lines, is)
		}
	}
}
