package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tollgate/tollgate/meter"
)

// amountValue is a flag that holds money.
type amountValue struct{ amount *meter.Nano }

func (v amountValue) String() string {
	if v.amount == nil || *v.amount == 0 {
		return ""
	}
	return v.amount.String()
}

func (v amountValue) Set(s string) (err error) {
	amount, err := meter.ParseNano(s)
	if err != nil {
		return err
	}
	if amount < 0 {
		return fmt.Errorf("%s is negative: want an amount such as 10 or 0.25", s)
	}
	*v.amount = amount
	return nil
}

func (amountValue) Type() string { return "amount" }

// onceValue is a flag of pairs, name=value,…, that takes each name once: of two
// values the flag alone would keep the last, without a word.
type onceValue struct {
	pflag.Value
	named map[string]bool
}

func (v onceValue) Set(s string) error {
	for pair := range strings.SplitSeq(s, ",") {
		name, _, _ := strings.Cut(pair, "=")
		if v.named[name] {
			return fmt.Errorf("%s is given twice: want one value for it", name)
		}
		v.named[name] = true
	}
	return v.Value.Set(s)
}

// endOf reads a moment: RFC 3339, or a date, which means the end of that day
// in zone, to the millisecond. Empty is no moment.
func endOf(flag, s string, zone *time.Location) (*time.Time, error) {
	t, isDate, err := readMoment(flag, s, zone)
	if err != nil || t.IsZero() {
		return nil, err
	}
	if isDate {
		t = meter.NextDay(t).Add(-time.Millisecond)
	}
	return &t, nil
}

// expiryOf is endOf for what is made now: it cannot be over already. Nor can it
// be in a year that no JSON can tell, as the end of 9999 is west of Greenwich.
func expiryOf(s string, zone *time.Location) (*time.Time, error) {
	t, err := endOf("expires", s, zone)
	switch {
	case err != nil || t == nil:
		return nil, err
	case t.Before(time.Now()):
		return nil, usagef("--expires %s is over: want a date to come", s)
	case t.UTC().Year() > 9999:
		return nil, usagef("--expires %s is too far off: leave it out, and it never expires", s)
	}
	return t, nil
}

// sinceStartOf reads --since: RFC 3339, or a date, which means the start of that day.
func sinceStartOf(s string, zone *time.Location) (time.Time, error) {
	t, _, err := readMoment("since", s, zone)
	return t, err
}

func readMoment(flag, s string, zone *time.Location) (t time.Time, isDate bool, err error) {
	if s == "" {
		return time.Time{}, false, nil
	}
	t, isDate, ok := meter.ReadMoment(s, zone)
	if !ok {
		return time.Time{}, false, usagef("--%s %q: want a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00+08:00", flag, s)
	}
	if t.IsZero() { // so programs write that there is none, and so do we
		return time.Time{}, false, usagef("--%s %q is no time: leave it out, or want a date such as 2026-12-31", flag, s)
	}
	return t, isDate, nil
}
