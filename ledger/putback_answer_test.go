package ledger

import (
	"errors"
	"testing"

	"github.com/tollgate/tollgate/ledger/archive"
)

// What Redis says to an entry that is put back: one that it has already is no error, unless its server has fallen meanwhile and has less.
func TestAnswersToWhatIsPutBack(t *testing.T) {
	for name, c := range map[string]struct {
		answer []any
		want   error // nil: it is there
	}{
		"booked":                         {[]any{"OK", "5"}, nil},
		"another recovery has begun":     {[]any{"LATE", "5"}, errLate},
		"it is the last that Redis has":  {[]any{"PAST", "5"}, nil},
		"Redis has that, and more":       {[]any{"PAST", "9"}, nil},
		"Redis has fallen, and lacks it": {[]any{"PAST", "4"}, errLate},
		"the balance would be another":   {[]any{"DIFFERS", "recharge", "5", "6"}, errDisagree},
	} {
		if err := putBackAnswer(replyOf(c.answer), &archive.Entry{Seq: 5}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, strange := range [][]any{{"PAST", "x"}, {"WHAT"}} {
		if err := putBackAnswer(replyOf(strange), &archive.Entry{Seq: 5}); err == nil || errors.Is(err, errLate) {
			t.Errorf("%v: %v", strange, err)
		}
	}
}
