package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A report holds every figure of every round; the JSON file is this.
type report struct {
	Started  time.Time `json:"started"`
	Machine  machine   `json:"machine"`
	Rounds   int       `json:"rounds"`
	Duration string    `json:"duration"`
	Clients  int       `json:"connections"`
	OpenRate int       `json:"open_loop_rate"`
	Rows     []*row    `json:"rows"`
}

type machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	Redis string `json:"redis"`
}

// A row is one target under one load.
type row struct {
	Load   string `json:"load"`
	About  string `json:"about"`
	Target string `json:"target"`
	// Median of each figure over the rounds.
	Median figures `json:"median"`
	Ratios ratios  `json:"ratios"`
	// Measured is what each round gave.
	Measured []*figures `json:"measured"`
}

// ratios are medians over rounds of a figure divided by the bare
// ReverseProxy's in the same round. Added latency is what the target adds to
// the latency of the upstream alone, in the same round.
type ratios struct {
	CPU         float64 `json:"cpu"`            // of the proxy
	CPUAndRedis float64 `json:"cpu_and_redis"`  // of the proxy and Redis
	AddedP50    float64 `json:"added_p50"`      // open loop
	AddedP99    float64 `json:"added_p99"`      //
	AddedP50US  float64 `json:"added_p50_us"`   // not a ratio: microseconds
	AddedP99US  float64 `json:"added_p99_us"`   //
	Rate        float64 `json:"rate,omitempty"` // requests per second
}

func newReport(o *options, targets []target) *report {
	r := &report{
		Started: time.Now().UTC().Truncate(time.Second), Rounds: o.rounds, Duration: o.duration.String(), Clients: o.connections, OpenRate: o.rate,
		Machine: machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version()},
	}
	for _, t := range targets {
		if t.redis != nil {
			if server, err := t.redis.info("server"); err == nil {
				r.Machine.Redis = server["redis_version"]
			}
		}
	}
	for i := range o.loads {
		for _, t := range targets {
			r.Rows = append(r.Rows, &row{Load: o.loads[i].name, About: o.loads[i].about, Target: t.name, Measured: make([]*figures, o.rounds)})
		}
	}
	return r
}

func (r *report) add(round int, l *load, t *target, f *figures) {
	r.find(l.name, t.name).Measured[round] = f
}

func (r *report) find(load, target string) *row {
	i := slices.IndexFunc(r.Rows, func(w *row) bool { return w.Load == load && w.Target == target })
	return r.Rows[i]
}

// summarize computes medians and ratios.
func (r *report) summarize() {
	for _, w := range r.Rows {
		bare, alone := r.find(w.Load, unit).Measured, r.find(w.Load, direct).Measured
		over := func(figure func(f, bare, alone *figures) float64) float64 {
			var values []float64
			for i, f := range w.Measured {
				values = append(values, figure(f, bare[i], alone[i]))
			}
			return median(values)
		}
		w.Median = figures{
			Rate:        over(func(f, _, _ *figures) float64 { return f.Rate }),
			CPU:         over(func(f, _, _ *figures) float64 { return f.CPU }),
			RedisCPU:    over(func(f, _, _ *figures) float64 { return f.RedisCPU }),
			RedisScript: over(func(f, _, _ *figures) float64 { return f.RedisScript }),
			P50:         over(func(f, _, _ *figures) float64 { return f.P50 }),
			P99:         over(func(f, _, _ *figures) float64 { return f.P99 }),
			BusyP50:     over(func(f, _, _ *figures) float64 { return f.BusyP50 }),
			BusyP99:     over(func(f, _, _ *figures) float64 { return f.BusyP99 }),
			RSS:         over(func(f, _, _ *figures) float64 { return f.RSS }),
			RedisCalls:  over(func(f, _, _ *figures) float64 { return f.RedisCalls }),
			RedisTrips:  over(func(f, _, _ *figures) float64 { return f.RedisTrips }),
			BodyBytes:   over(func(f, _, _ *figures) float64 { return f.BodyBytes }),
			OpenLoopCPU: over(func(f, _, _ *figures) float64 { return f.OpenLoopCPU }),
		}
		w.Ratios = ratios{
			CPU:         over(func(f, bare, _ *figures) float64 { return ratio(f.CPU, bare.CPU) }),
			CPUAndRedis: over(func(f, bare, _ *figures) float64 { return ratio(f.CPU+f.RedisCPU, bare.CPU) }),
			Rate:        over(func(f, bare, _ *figures) float64 { return ratio(f.Rate, bare.Rate) }),
			AddedP50:    over(func(f, bare, alone *figures) float64 { return ratio(f.P50-alone.P50, bare.P50-alone.P50) }),
			AddedP99:    over(func(f, bare, alone *figures) float64 { return ratio(f.P99-alone.P99, bare.P99-alone.P99) }),
			AddedP50US:  over(func(f, _, alone *figures) float64 { return f.P50 - alone.P50 }),
			AddedP99US:  over(func(f, _, alone *figures) float64 { return f.P99 - alone.P99 }),
		}
	}
}

// print writes the table.
func (r *report) print(w io.Writer) {
	r.summarize()
	fmt.Fprintf(w, "\n%s, %d cores, %s, Redis %s. %d rounds of %s, medians. Closed loop: %d connections; open loop: %d requests a second.\n",
		r.Machine.CPU, r.Machine.Cores, r.Machine.Go, r.Machine.Redis, r.Rounds, r.Duration, r.Clients, r.OpenRate)
	fmt.Fprintf(w, "CPU is user and system time per request. × is against the bare ReverseProxy in the same round. Added is what lies above the upstream alone, open loop.\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "load\ttarget\treq/s\tCPU µs\t×\tRedis µs\twith Redis ×\tadded p50 µs\t×\tadded p99 µs\t×\tRSS MiB\tRedis calls\t")
	for _, row := range r.Rows {
		m, x := &row.Median, &row.Ratios
		redis, calls := "", ""
		if m.RedisCalls > 0 {
			redis, calls = fmt.Sprintf("%.0f", m.RedisCPU), fmt.Sprintf("%.2f", m.RedisCalls)
		}
		if row.Target == direct {
			fmt.Fprintf(table, "%s\t%s\t%.0f\t%.0f\t\t\t\t(p50 %.0f)\t\t(p99 %.0f)\t\t%.0f\t\t\n", row.Load, row.Target, m.Rate, m.CPU, m.P50, m.P99, m.RSS)
			continue
		}
		cpu, rss := fmt.Sprintf("%.0f", m.CPU), fmt.Sprintf("%.0f", m.RSS)
		if m.CPU == 0 { // a peer whose processes were not named
			cpu, rss = "?", "?"
		}
		fmt.Fprintf(table, "%s\t%s\t%.0f\t%s\t%s\t%s\t%s\t%.0f\t%s\t%.0f\t%s\t%s\t%s\t\n",
			row.Load, row.Target, m.Rate, cpu, times(x.CPU), redis, times(x.CPUAndRedis), x.AddedP50US, times(x.AddedP50), x.AddedP99US, times(x.AddedP99), rss, calls)
	}
	_ = table.Flush() // A terminal that went away is no failure of the benchmark.
}

// write saves the report as JSON.
func (r *report) write(path string) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o644) //nolint:gosec // a report is for everybody.
}

// verdict fails the run where what must be exact is not: a metered request
// costs one call of Redis to admit and one to settle.
func (r *report) verdict() error {
	var errs []error
	for _, w := range r.Rows {
		if w.Target != tollgate {
			continue
		}
		if w.Median.RedisCalls != 2 || w.Median.RedisTrips != 2 {
			errs = append(errs, fmt.Errorf("load %s: %.2f script calls and %.2f round trips to Redis per request, not 2", w.Load, w.Median.RedisCalls, w.Median.RedisTrips))
		}
	}
	return errors.Join(errs...)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// ratio is a/b, and 0 where that says nothing: latency that was added can
// come out below zero on a noisy machine.
func ratio(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

// times prints a ratio.
func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ratio)
}

// cpuModel names the processor, as Linux calls it.
func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
