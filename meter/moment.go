package meter

import "time"

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
