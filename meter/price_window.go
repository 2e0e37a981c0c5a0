package meter

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const daySeconds = 24 * 60 * 60

// A priceWindow is a recurring time of the week. Where to is not after from
// it runs past midnight, and belongs to the day on which it began.
type priceWindow struct {
	days     uint8 // bit 1<<time.Weekday
	from, to int   // seconds of the day by the wall clock; to is exclusive
	zone     *time.Location
}

var weekdayNames = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const everyDay = 1<<7 - 1

// contains reports whether t lies in the window, by the wall clock of its zone.
func (w *priceWindow) contains(t time.Time) bool {
	t = t.In(w.zone)
	second := (t.Hour()*60+t.Minute())*60 + t.Second()
	today := w.days&(1<<t.Weekday()) != 0
	if w.from < w.to {
		return today && w.from <= second && second < w.to
	}
	yesterday := w.days&(1<<((t.Weekday()+6)%7)) != 0
	return today && second >= w.from || yesterday && second < w.to
}

func windowsContain(windows []priceWindow, t time.Time) bool {
	for i := range windows {
		if windows[i].contains(t) {
			return true
		}
	}
	return len(windows) == 0
}

// windowsMeet reports whether both sets of windows are open at one time
// between from and until. Windows are half-open, so if they meet at all they
// meet where one of them begins, or at the very start. A year from the start
// shows every meeting of weekly windows, changes of the clock included.
func windowsMeet(a, b []priceWindow, from, until time.Time) bool {
	const year = 371 * 24 * time.Hour
	if from.IsZero() {
		if until.IsZero() {
			until = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).Add(year)
		}
		from = until.Add(-year)
	}
	if end := from.Add(year); until.IsZero() || until.After(end) {
		until = end
	}
	if windowsContain(a, from) && windowsContain(b, from) {
		return true
	}
	return opensWithin(a, b, from, until) || opensWithin(b, a, from, until)
}

// opensWithin reports whether a window of a begins while one of b is open.
func opensWithin(a, b []priceWindow, from, until time.Time) bool {
	for _, w := range a {
		first := from.In(w.zone)
		for day := -1; ; day++ {
			start := time.Date(first.Year(), first.Month(), first.Day()+day, 0, 0, w.from, 0, w.zone)
			if !start.Before(until) {
				break
			}
			if !start.Before(from) && w.contains(start) && windowsContain(b, start) {
				return true
			}
		}
	}
	return false
}

// parseClock reads "HH:MM" or "HH:MM:SS" as seconds of the day; 24:00 is the end of it.
func parseClock(s string) (int, error) {
	bad := fmt.Errorf("%q is not a time of day; want one such as \"08:30\"", s)
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, bad
	}
	seconds, limits := 0, [3]int{24, 59, 59}
	for i := range 3 {
		n := 0
		if i < len(parts) {
			var err error
			if n, err = strconv.Atoi(parts[i]); err != nil || len(parts[i]) != 2 || !isDigits(parts[i]) || n > limits[i] {
				return 0, bad
			}
		}
		seconds = seconds*60 + n
	}
	if seconds > daySeconds {
		return 0, bad
	}
	return seconds, nil
}
