package ledger

import (
	"errors"
	"testing"

	"github.com/tollgate/tollgate/ledger/archive"
)

// What Redis says to entries that are put back: those that it has already are no error, unless its server has fallen meanwhile and has less.
func TestAnswersToWhatIsPutBack(t *testing.T) {
	entries := []*archive.Entry{{Seq: 4}, {Seq: 5}}
	for name, c := range map[string]struct {
		answer []any
		want   error // nil: they are there
	}{
		"booked":                              {[]any{"OK", "5"}, nil},
		"another recovery has begun":          {[]any{"LATE", "5"}, errLate},
		"the last is the last that Redis has": {[]any{"PAST", "5"}, nil},
		"Redis has them, and more":            {[]any{"PAST", "9"}, nil},
		"Redis has fallen, and lacks one":     {[]any{"PAST", "4"}, errLate},
		"Redis has fallen, and lacks both":    {[]any{"PAST", "2"}, errLate},
		"a balance would be another":          {[]any{"DIFFERS", "recharge", "5", "6", "4"}, errDisagree},
	} {
		if err := putBackAnswer(replyOf(c.answer), entries); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, strange := range [][]any{{"PAST", "x"}, {"WHAT"}} {
		if err := putBackAnswer(replyOf(strange), entries); err == nil || errors.Is(err, errLate) {
			t.Errorf("%v: %v", strange, err)
		}
	}
}
