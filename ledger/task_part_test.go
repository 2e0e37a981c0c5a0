package ledger

import (
	"testing"
	"time"
)

// What is told of a task before its end is what is charged if nobody asks on: the most of it, in whatever order it comes.
func TestTaskOfWhichAPartIsTold(t *testing.T) {
	f := newFixture(t, Options{TaskTTL: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	h := f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 5 1"))
	f.park(h, anyTask, charge(t, "input 1 1"))
	f.pass(30 * time.Minute)
	for _, told := range []string{"input 3 1", "input 3 1", "input 2 1"} {
		f.park(h, anyTask, charge(t, told))
		f.balances("acme", "10 0 5")
	}
	f.pass(30 * time.Minute) // its time has not begun anew
	if s := f.sweep(); s != (Swept{Abandoned: 1}) {
		t.Errorf("swept %+v", s)
	}
	f.balances("acme", "7 0 0")
	f.park(h, anyTask, charge(t, "input 4 1"))
	f.balances("acme", "7 0 0")
	f.settle(h, charge(t, "input 5 1"))
	f.balances("acme", "5 0 0")
	f.audit()
}
