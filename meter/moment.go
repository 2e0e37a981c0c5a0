package meter

import (
	"fmt"
	"time"
)

// ParseSince reads from when on: RFC 3339, or a bare date, which is the first
// instant of that day in zone. The error says what would be right, as those of
// the next three do.
func ParseSince(s string, zone *time.Location) (time.Time, error) {
	t, _, err := parseMoment(s, zone)
	return t, err
}

// ParseUntil reads before when: a bare date is in it whole, up to the next day's first instant.
func ParseUntil(s string, zone *time.Location) (time.Time, error) {
	t, isDate, err := parseMoment(s, zone)
	if isDate {
		t = NextDay(t)
	}
	return t, err
}

// ParseEnd reads when something ends: a bare date is the end of that day, to the millisecond.
func ParseEnd(s string, zone *time.Location) (time.Time, error) {
	t, isDate, err := parseMoment(s, zone)
	if isDate {
		t = NextDay(t).Add(-time.Millisecond)
	}
	return t, err
}

// ParseExpiry is ParseEnd for what is made now: it cannot be over already. Nor can
// it be in a year that no JSON can tell, as the end of 9999 is west of Greenwich.
func ParseExpiry(s string, zone *time.Location, now time.Time) (time.Time, error) {
	t, err := ParseEnd(s, zone)
	switch {
	case err != nil:
		return t, err
	case t.Before(now):
		return t, fmt.Errorf("%q is over: want a date to come", s)
	case t.UTC().Year() > 9999:
		return t, fmt.Errorf("%q is too far off: leave it out, and it never expires", s)
	}
	return t, nil
}

func parseMoment(s string, zone *time.Location) (t time.Time, isDate bool, err error) {
	t, isDate, ok := ReadMoment(s, zone)
	if !ok {
		return time.Time{}, false, fmt.Errorf("%q: want a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00+08:00", s)
	}
	if t.IsZero() { // so programs write that there is none, and so do we
		return time.Time{}, false, fmt.Errorf("%q is no time: leave it out, or want a date such as 2026-12-31", s)
	}
	return t, isDate, nil
}

// ReadMoment reads what people write for a time: RFC 3339, or a bare date, which
// is the first instant of that day in zone. False: it is neither.
func ReadMoment(s string, zone *time.Location) (t time.Time, isDate, ok bool) {
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return DayStart(t.Year(), t.Month(), t.Day(), zone), true, true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, false, err == nil
}

// DayStart is the first instant of a day in zone. Where clocks are put forward
// at midnight there is no 00:00, and time.Date may give the evening before.
// Days beyond the month's end are those of the next.
func DayStart(year int, month time.Month, day int, zone *time.Location) time.Time {
	t := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if t.Day() != time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() {
		_, t = t.ZoneBounds()
	}
	return t
}

// NextDay is the first instant of the day after t's, where t is.
func NextDay(t time.Time) time.Time {
	return DayStart(t.Year(), t.Month(), t.Day()+1, t.Location())
}
