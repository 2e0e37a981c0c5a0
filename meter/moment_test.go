package meter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

func TestMoments(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text              string
		zone              *time.Location
		since, end, until string
	}{
		{"2026-12-31", shanghai, "2026-12-31T00:00:00+08:00", "2026-12-31T23:59:59.999+08:00", "2027-01-01T00:00:00+08:00"}, // the day must be in it whole
		{"2026-12-31T18:00:00Z", shanghai, "2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z"},
		{"2026-12-31T18:00:00-05:00", shanghai, "2026-12-31T18:00:00-05:00", "2026-12-31T18:00:00-05:00", "2026-12-31T18:00:00-05:00"},
		// A day whose midnight does not exist, because clocks are put forward then, and the day before it.
		{"2026-09-05", santiago, "2026-09-05T00:00:00-04:00", "2026-09-05T23:59:59.999-04:00", "2026-09-06T01:00:00-03:00"},
		{"2026-09-06", santiago, "2026-09-06T01:00:00-03:00", "2026-09-06T23:59:59.999-03:00", "2026-09-07T00:00:00-03:00"},
	} {
		for _, as := range []struct {
			name  string
			parse func(string, *time.Location) (time.Time, error)
			want  string
		}{{"since", meter.ParseSince, tt.since}, {"end", meter.ParseEnd, tt.end}, {"until", meter.ParseUntil, tt.until}} {
			got, err := as.parse(tt.text, tt.zone)
			if err != nil || got.Format(time.RFC3339Nano) != as.want {
				t.Errorf("%s %s = %v, %v, want %s", as.name, tt.text, got, err, as.want)
			}
		}
	}
}

// The last two are what programs write for no time at all.
func TestMomentsThatAreNone(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for _, bad := range []string{"", "tomorrow", "720h", "31.12.2026", "2026-13-01", "2026-12-31 18:00:00", "0001-01-01T00:00:00Z", "0001-01-01T08:00:00+08:00"} {
		for _, parse := range []func(string, *time.Location) (time.Time, error){meter.ParseSince, meter.ParseUntil, meter.ParseEnd} {
			if got, err := parse(bad, shanghai); err == nil || !strings.Contains(err.Error(), "want a date such as") {
				t.Errorf("%q is %v, %v, want an error that says what would be right", bad, got, err)
			}
		}
	}
}

// What is over cannot be made, nor what JSON cannot tell: in New York the year 9999 ends in UTC's 10000.
func TestParseExpiry(t *testing.T) {
	newYork := time.FixedZone("EST", -5*3600)
	now := time.Date(2026, 12, 31, 12, 0, 0, 0, newYork)
	for text, want := range map[string]string{
		"2026-12-30": "is over: want a date to come", "2026-12-31T11:59:59-05:00": "is over", "9999-12-31": "is too far off: leave it out", "soon": "want a date such as",
	} {
		if at, err := meter.ParseExpiry(text, newYork, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", text, at, err, want)
		}
	}
	for _, text := range []string{"2026-12-31", "9999-12-30"} {
		if at, err := meter.ParseExpiry(text, newYork, now); err != nil || !at.After(now) {
			t.Errorf("%s: %v, %v", text, at, err)
		}
	}
}
