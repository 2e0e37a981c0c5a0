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

// momentOf reads the moment that a flag gives, as parse does; zero without the flag.
func momentOf(flag, s string, zone *time.Location, parse func(string, *time.Location) (time.Time, error)) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := parse(s, zone)
	if err != nil {
		return t, usagef("--%s %w", flag, err)
	}
	return t, nil
}

// expiryOf reads --expires: a date, which means its end, or RFC 3339, to come.
func expiryOf(s string, zone *time.Location) (*time.Time, error) {
	t, err := momentOf("expires", s, zone, func(s string, zone *time.Location) (time.Time, error) {
		return meter.ParseExpiry(s, zone, time.Now())
	})
	if err != nil || t.IsZero() {
		return nil, err
	}
	return &t, nil
}

// spanOf reads --since and --until; a date is in it whole. What is not given is zero.
func spanOf(since, until string, zone *time.Location) (from, to time.Time, err error) {
	if from, err = momentOf("since", since, zone, meter.ParseSince); err != nil {
		return from, to, err
	}
	if to, err = momentOf("until", until, zone, meter.ParseUntil); err != nil {
		return from, to, err
	}
	if !to.IsZero() && !to.After(from) {
		return from, to, usagef("--until %s is not after --since %s: nothing lies between them", until, since)
	}
	return from, to, nil
}

// needReason refuses a correction that nobody will understand later.
func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return usagef("--reason is needed: say why, for the journal")
	}
	return nil
}
