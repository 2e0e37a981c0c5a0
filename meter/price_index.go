package meter

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxRemembered bounds how many names that only patterns match are remembered:
// clients choose the names.
const maxRemembered = 1024

// A priceIndex finds the rows of a model, or of a tool, best rank first. Rank
// does not depend on the call, so that it is sorted out once: for exact names
// at load, for names that only patterns match at first sight.
type priceIndex struct {
	exact    map[string][]*priceRow
	patterns []priceMatch // by rank
	seen     atomic.Pointer[map[string][]*priceRow]
	writing  sync.Mutex // of seen, which is copied on write
}

// A priceMatch is a row by one of the names that it lists.
type priceMatch struct {
	row  *priceRow
	name string
}

// compareMatches puts the better rank first: the exact name, the longer
// pattern, then the row's own rank. Zero is a tie.
func compareMatches(a, b priceMatch) int {
	exactA, exactB := !isPattern(a.name), !isPattern(b.name)
	if c := preferTrue(exactA, exactB); c != 0 {
		return c
	}
	if !exactA {
		if c := cmp.Compare(len(b.name), len(a.name)); c != 0 {
			return c
		}
	}
	return a.row.compareRank(b.row)
}

// newPriceIndex also reports every two rows of equal rank that can price the
// same call, unless a third row always goes before both.
//
// Two patterns of the same length clash if some name fits both, such as
// "glm-4*" and "*flash": the name is told.
func newPriceIndex(rows []*priceRow) (*priceIndex, []error) {
	x := &priceIndex{exact: make(map[string][]*priceRow)}
	byName := make(map[string][]priceMatch)
	var names []string
	var clashes clashFinder
	for _, row := range rows {
		for _, name := range row.names() {
			if m := (priceMatch{row, name}); isPattern(name) {
				x.patterns = append(x.patterns, m)
			} else {
				if byName[name] == nil {
					names = append(names, name)
				}
				byName[name] = append(byName[name], m)
			}
		}
	}
	slices.SortStableFunc(x.patterns, compareMatches)
	for _, name := range names {
		matches := byName[name]
		slices.SortStableFunc(matches, compareMatches)
		clashes.search(matches)
		for _, m := range x.patterns {
			if MatchModel(m.name, name) {
				matches = append(matches, m)
			}
		}
		x.exact[name] = bestRows(matches)
	}
	clashes.search(x.patterns)
	x.seen.Store(&map[string][]*priceRow{})
	return x, clashes.errs
}

// bestRows drops a row's further names after its best.
func bestRows(sorted []priceMatch) []*priceRow {
	rows := make([]*priceRow, 0, len(sorted))
	for _, m := range sorted {
		if !slices.Contains(rows, m.row) {
			rows = append(rows, m.row)
		}
	}
	return rows
}

// find returns the rows that match a name, best rank first.
func (x *priceIndex) find(name string) []*priceRow {
	if rows, ok := x.exact[name]; ok {
		return rows
	}
	if rows, ok := (*x.seen.Load())[name]; ok {
		return rows
	}
	var matches []priceMatch
	for _, m := range x.patterns {
		if MatchModel(m.name, name) {
			matches = append(matches, m)
		}
	}
	rows := bestRows(matches)
	if len(rows) > 0 {
		x.remember(name, rows)
	}
	return rows
}

func (x *priceIndex) remember(name string, rows []*priceRow) {
	x.writing.Lock()
	defer x.writing.Unlock()
	seen := *x.seen.Load()
	if len(seen) >= maxRemembered {
		return
	}
	// The name may be a part of a request's body: do not keep all of that alive.
	next := maps.Clone(seen)
	next[strings.Clone(name)] = rows
	x.seen.Store(&next)
}
