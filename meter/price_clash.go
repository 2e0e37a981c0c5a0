package meter

import (
	"slices"
	"strings"
)

// A clashFinder gathers the pairs of rows between which nothing decides.
type clashFinder struct {
	errs []error
	told map[[2]*priceRow]bool
}

// search looks among matches in the order of their rank.
func (c *clashFinder) search(matches []priceMatch) {
	for i, a := range matches {
		for _, b := range matches[i+1:] {
			if compareMatches(a, b) != 0 {
				break // sorted: no later one ties with a
			}
			if a.row != b.row {
				c.check(a, b, matches)
			}
		}
	}
}

func (c *clashFinder) check(a, b priceMatch, among []priceMatch) {
	name, common := commonName(a.name, b.name)
	if !common || !rowsMeet(a.row, b.row) || c.told[[2]*priceRow{a.row, b.row}] {
		return
	}
	for _, third := range among {
		if (third.name == a.name || third.name == b.name) && precedesBoth(third.row, a.row, b.row) {
			return
		}
	}
	if c.told == nil {
		c.told = make(map[[2]*priceRow]bool)
	}
	c.told[[2]*priceRow{a.row, b.row}] = true
	when := ""
	if conditions := conditionsText(mergeConditions(a.row.when, b.row.when)); conditions != "" {
		when = " when " + conditions
	}
	c.errs = append(c.errs, b.row.place.errorf(
		"this row and the one at %s both price %q%s, and nothing decides between them; give one more of `when`, `upstreams`, `endpoints`, `windows`, or a later `from`",
		a.row.place, name, when))
}

// rowsMeet reports whether a call exists that both rows can price.
func rowsMeet(a, b *priceRow) bool {
	if a.classes != 0 && b.classes != 0 && a.classes&b.classes == 0 {
		return false
	}
	if len(a.upstreams) > 0 && len(b.upstreams) > 0 &&
		!slices.ContainsFunc(a.upstreams, func(u string) bool { return slices.Contains(b.upstreams, u) }) {
		return false
	}
	if contradict(a.when, b.when) {
		return false
	}
	// Rows of equal rank begin together, so that their validities meet there.
	until := a.until
	if until.IsZero() || !b.until.IsZero() && b.until.Before(until) {
		until = b.until
	}
	return windowsMeet(a.windows, b.windows, a.from, until)
}

// precedesBoth reports whether third goes before a and b whenever both match.
// The three share a name, and a and b their rank.
func precedesBoth(third, a, b *priceRow) bool {
	if third == a || third == b || third.compareRank(a) >= 0 || !implies(a.when, b.when, third.when) {
		return false
	}
	return covers(third, a) || covers(third, b)
}

// covers reports whether wide is open for every class, upstream and time that
// narrow is open for. Conditions and names are not looked at.
func covers(wide, narrow *priceRow) bool {
	if wide.classes != 0 && (narrow.classes == 0 || narrow.classes&^wide.classes != 0) {
		return false
	}
	if len(wide.upstreams) > 0 {
		if len(narrow.upstreams) == 0 {
			return false
		}
		for _, u := range narrow.upstreams {
			if !slices.Contains(wide.upstreams, u) {
				return false
			}
		}
	}
	if !wide.from.IsZero() && (narrow.from.IsZero() || wide.from.After(narrow.from)) {
		return false
	}
	if !wide.until.IsZero() && (narrow.until.IsZero() || wide.until.Before(narrow.until)) {
		return false
	}
	return len(wide.windows) == 0
}

func mergeConditions(a, b []priceCondition) []priceCondition {
	merged := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(merged, c) {
			merged = append(merged, c)
		}
	}
	return merged
}

// commonName returns a name that fits both patterns, if there is one. What
// stands before the first and after the last * must agree; anything can stand
// between, so that the two inner parts one after the other fit both.
func commonName(a, b string) (string, bool) {
	switch {
	case a == b:
		return a, true
	case !isPattern(a):
		return a, MatchModel(b, a)
	case !isPattern(b):
		return b, MatchModel(a, b)
	}
	headA, innerA, tailA := splitPattern(a)
	headB, innerB, tailB := splitPattern(b)
	head, tail := headA, tailA
	if len(headB) > len(head) {
		head = headB
	}
	if len(tailB) > len(tail) {
		tail = tailB
	}
	name := head + innerA + innerB + tail
	return name, MatchModel(a, name) && MatchModel(b, name)
}

func splitPattern(p string) (head, inner, tail string) {
	first, last := strings.Index(p, "*"), strings.LastIndex(p, "*")
	return p[:first], strings.ReplaceAll(p[first:last+1], "*", ""), p[last+1:]
}
