package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A curve is what a sweep gave for one target: figures by point and round.
type curve struct {
	Target string       `json:"target"`
	Points []*growPoint `json:"points"`
}

type growPoint struct {
	X      int        `json:"x"`
	Median *figures   `json:"median"`
	Rounds []*figures `json:"rounds"`
}

// grown is what a sweep gave.
type grown struct {
	sweep  *sweep
	redis  string   // version
	Name   string   `json:"name"`
	About  string   `json:"about"`
	Curves []*curve `json:"curves"`
}

// growth is the report of all sweeps; its JSON file is this.
type growth struct {
	heading
	Sweeps []*grown `json:"sweeps"`
}

// grow runs the sweeps that were chosen.
func grow(ctx context.Context, o *options, s *setup, progress io.Writer) (*growth, error) {
	all := &growth{heading: newHeading(o)}
	for _, w := range o.growth {
		g, err := s.sweep(ctx, o, &w, progress)
		if err != nil {
			return nil, fmt.Errorf("growth with %s: %w", w.name, err)
		}
		all.Machine.Redis = g.redis
		all.Sweeps = append(all.Sweeps, g)
	}
	return all, nil
}

// sweep prepares all points, each with books of its own, and measures them in
// turn, round after round, so that a machine whose speed drifts treats all alike.
func (s *setup) sweep(ctx context.Context, o *options, w *sweep, progress io.Writer) (*grown, error) {
	h := &house{}
	defer h.stop()
	stages := make([]*stage, len(w.points))
	for i, x := range w.points {
		var err error
		if stages[i], err = w.stage(ctx, s, h, x); err != nil {
			return nil, fmt.Errorf("%d: %w", x, err)
		}
	}
	redis, err := stages[0].books.servers[0].version()
	if err != nil {
		return nil, err
	}
	g := &grown{sweep: w, redis: redis, Name: w.name, About: w.about}
	for _, t := range s.grownTargets(w) {
		c := &curve{Target: t.name}
		for _, x := range w.points {
			c.Points = append(c.Points, &growPoint{X: x})
		}
		g.Curves = append(g.Curves, c)
		for range o.rounds {
			for i, st := range stages {
				f, err := s.measureStage(ctx, o, &t, st)
				if err != nil {
					return nil, fmt.Errorf("%s at %d: %w", t.name, w.points[i], err)
				}
				c.Points[i].Rounds = append(c.Points[i].Rounds, f)
				fmt.Fprintf(progress, "growth with %-9s %-13s at %7d: %7.0f req/s, %6.0f µs of CPU, %6.0f of Redis's\n", w.name, t.name, w.points[i], f[rate], f[cpu], f[redisCPU])
			}
		}
	}
	for _, c := range g.Curves {
		for _, p := range c.Points {
			m := medians(p.Rounds)
			p.Median = &m
		}
	}
	return g, auditStages(ctx, stages)
}

func (s *setup) grownTargets(w *sweep) []target {
	chosen, _ := s.targets(&options{targets: []string{tollgate}})
	return slices.DeleteFunc(chosen, func(t target) bool { return t.name == direct || t.name == unit && !w.bare })
}

// measureStage puts the stage's load on a target, closed loop only.
func (s *setup) measureStage(ctx context.Context, o *options, t *target, st *stage) (*figures, error) {
	h := &house{}
	defer h.stop()
	r, err := t.start(ctx, h, st.books)
	if err != nil {
		return nil, err
	}
	for range st.proxies - 1 {
		more, err := t.start(ctx, h, st.books)
		if err != nil {
			return nil, err
		}
		r.bases, r.pids, r.metrics = append(r.bases, more.bases...), append(r.pids, more.pids...), append(r.metrics, more.metrics...)
	}
	shot, err := st.load.at(r.bases, r.keys(&st.load)...)
	if err != nil {
		return nil, err
	}
	f := &figures{}
	return f, r.busy(ctx, o, f, shot)
}

func auditStages(ctx context.Context, stages []*stage) error {
	var errs []error
	for _, st := range stages {
		if st.check != nil {
			errs = append(errs, st.check(ctx))
		}
		errs = append(errs, st.books.audit(ctx))
	}
	return errors.Join(errs...)
}

// print writes one table of all sweeps. (×) is against the first point.
func (g *growth) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s\n(×) is against the first point of the row's kind.\n\n", &g.heading)
	t := table{head: []string{"grows", "target", "to", "CPU µs", "Redis µs", "CPU + Redis", "RSS MiB", "KiB a stream", "allocations"}}
	for _, grown := range g.Sweeps {
		for _, c := range grown.Curves {
			for i, p := range c.Points {
				name, target := "", ""
				if i == 0 {
					name, target = grown.Name, c.Target
				}
				m := p.Median
				t.add(name, target, grouped(p.X), whole(m[cpu]), whole(m[redisCPU]), times(ratio(m[cpuAndRedis], c.Points[0].Median[cpuAndRedis])),
					whole(m[memory]), whole(m[streamMemory]), whole(m[allocated]))
			}
		}
	}
	t.print(w)
	g.printFlat(w)
}

// printFlat says how far what must not grow did, from the first point to the last.
func (g *growth) printFlat(w io.Writer) {
	t := table{head: []string{"must not grow with", "from", "to", "proxy CPU", "Redis CPU"}}
	for _, grown := range g.Sweeps {
		if !grown.sweep.flat {
			continue
		}
		points := grown.Curves[0].Points
		first, last := points[0], points[len(points)-1]
		t.add(grown.About, grouped(first.X), grouped(last.X),
			times(ratio(last.Median[cpu], first.Median[cpu])), times(ratio(last.Median[redisCPU], first.Median[redisCPU])))
	}
	if len(t.rows) > 0 {
		fmt.Fprintln(w)
		t.print(w)
	}
}

// write saves the report as JSON, and a plot of each sweep in a folder.
func (g *growth) write(file, plots string) error {
	if file != "" {
		out, err := json.MarshalIndent(g, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, append(out, '\n'), 0o644); err != nil { //nolint:gosec // a report is for everybody.
			return err
		}
	}
	if plots == "" {
		return nil
	}
	if err := os.MkdirAll(plots, 0o755); err != nil { //nolint:gosec // likewise.
		return err
	}
	for _, grown := range g.Sweeps {
		path := filepath.Join(plots, "growth-"+grown.Name+".svg")
		if err := os.WriteFile(path, []byte(grown.svg()), 0o644); err != nil { //nolint:gosec // likewise.
			return err
		}
	}
	return nil
}
