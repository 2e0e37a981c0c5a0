package main

import (
	"fmt"
	"io"
	"slices"
)

// A goal is what the project has set itself for a figure of Tollgate's.
type goal struct {
	load, what string
	most       float64
	of         figure
	ratio      bool // to the bare ReverseProxy of the same round
}

func goals() []goal {
	return []goal{
		{"small", "proxy CPU", 1.0, cpu, true},
		{"small", "proxy and Redis CPU", 1.4, cpuAndRedis, true},
		{"small", "Redis CPU, µs", 50, redisCPU, false},
		{"accounts", "Redis CPU, µs, 10,000 accounts", 50, redisCPU, false},
		{"packs20", "Redis CPU, µs, 20 packs", 50, redisCPU, false},
		{"small", "Redis round trips", 2, redisTrips, false},
		{"small", "added p50", 2.0, addedP50, true},
		{"stream50", "proxy CPU", 1.1, cpu, true},
		{"stream50", "first byte after the bare ReverseProxy's, in Redis round trips", 1.0, firstTrips, true},
		{"slow1000", "proxy CPU", 1.1, cpu, true},
		{"slow1000", "KiB a stream", 40, streamMemory, false},
		{"prompt100k", "proxy CPU", 1.2, cpu, true},
		{"image5mb", "proxy CPU", 1.2, cpu, true},
	}
}

// printGoals says which goals are met, and how far the rounds lie apart.
func (r *report) printGoals(w io.Writer) {
	t := table{head: []string{"load", "figure", "goal", "median", "least", "most", "met"}}
	for _, g := range goals() {
		row := r.find(g.load, tollgate)
		if row == nil {
			continue
		}
		rounds, unit := row.Rounds, ""
		if g.ratio {
			rounds, unit = row.Ratios, "×"
		}
		values := each(rounds, g.of)
		show := func(value float64) string {
			if g.ratio {
				return fmt.Sprintf("%.2f×", value)
			}
			return fmt.Sprintf("%.0f", value)
		}
		met := "no"
		if got := median(values); got > 0 && got <= g.most {
			met = "yes"
		}
		t.add(g.load, g.what, fmt.Sprintf("≤ %g%s", g.most, unit), show(median(values)), show(slices.Min(values)), show(slices.Max(values)), met)
	}
	if len(t.rows) == 0 {
		return
	}
	fmt.Fprint(w, "\nThe goals of Tollgate (× is against the bare ReverseProxy of the same round; least and most are of all rounds):\n\n")
	t.print(w)
}
