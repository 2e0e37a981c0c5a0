package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// svg draws a sweep: CPU per request or stream, and beside it memory, where
// memory is what may grow.
func (g *grown) svg() string {
	panels := []panel{g.panel("µs of CPU per "+g.sweep.per, cpu, redisCPU)}
	switch g.Name {
	case "answer":
		panels = append(panels, g.panel("MiB resident", memory))
	case "streams":
		panels = append(panels, g.panel("KiB per stream", streamMemory))
	}
	const width, height = 440, 270
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="11" fill="#334155">`+"\n", width*len(panels), height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#ffffff"/>`+"\n", width*len(panels), height)
	for i, p := range panels {
		fmt.Fprintf(&b, `<g transform="translate(%d 0)">`+"\n", i*width)
		p.draw(&b, width, height)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// A panel is one system of axes.
type panel struct {
	title, about string
	xs           []int
	lines        []line
}

// A line is one figure of one target; marks are the least and the most of all rounds.
type line struct {
	name              string
	color             string
	values, low, high []float64
}

func (g *grown) panel(title string, of ...figure) panel {
	p := panel{title: title, about: g.About}
	for _, point := range g.Curves[0].Points {
		p.xs = append(p.xs, point.X)
	}
	for _, c := range g.Curves {
		for _, f := range of {
			if l := newLine(c, f); l.most() > 0 {
				p.lines = append(p.lines, l)
			}
		}
	}
	return p
}

func newLine(c *curve, f figure) line {
	l := line{name: c.Target, color: "#2563eb"}
	switch {
	case f == redisCPU:
		l.name, l.color = "Redis", "#dc2626"
	case c.Target == unit:
		l.color = "#94a3b8"
	}
	for _, p := range c.Points {
		low, high := math.Inf(1), 0.0
		for _, round := range p.Rounds {
			low, high = min(low, round[f]), max(high, round[f])
		}
		l.values, l.low, l.high = append(l.values, p.Median[f]), append(l.low, low), append(l.high, high)
	}
	return l
}

func (l *line) most() (most float64) {
	for _, v := range l.high {
		most = max(most, v)
	}
	return most
}

func (p *panel) most() (most float64) {
	for i := range p.lines {
		most = max(most, p.lines[i].most())
	}
	return most
}

// Where the axes lie in a panel.
const (
	left, right = 48, 24
	top, bottom = 58, 42
)

func (p *panel) draw(b *strings.Builder, width, height float64) {
	step := roundStep(p.most() / 4)
	ceiling := step * math.Ceil(p.most()/step)
	x := func(i int) float64 { return left + (width-left-right)*p.place(i) }
	y := func(v float64) float64 { return height - bottom - (height-top-bottom)*v/ceiling }

	fmt.Fprintf(b, `<text x="%d" y="22" font-size="13" font-weight="600" fill="#0f172a">%s</text>`+"\n", left-36, html.EscapeString(p.title))
	for v := 0.0; v <= ceiling+step/2; v += step {
		fmt.Fprintf(b, `<path d="M%d %.1fH%.0f" stroke="#e2e8f0"/><text x="%d" y="%.1f" text-anchor="end" fill="#64748b">%s</text>`+"\n",
			left, y(v), width-right, left-7, y(v)+4, axisNumber(v))
	}
	for i, n := range p.xs {
		fmt.Fprintf(b, `<text x="%.1f" y="%.0f" text-anchor="middle" fill="#64748b">%s</text>`+"\n", x(i), height-bottom+17, axisNumber(float64(n)))
	}
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" text-anchor="middle">%s</text>`+"\n", (left+width-right)/2, height-9, html.EscapeString(p.about))
	for k := range p.lines {
		l := &p.lines[k]
		fmt.Fprintf(b, `<rect x="%d" y="34" width="10" height="10" rx="2" fill="%s"/><text x="%d" y="43">%s</text>`+"\n", left+k*120, l.color, left+15+k*120, l.name)
		l.draw(b, x, y)
	}
}

func (l *line) draw(b *strings.Builder, x func(int) float64, y func(float64) float64) {
	var path []string
	for i, v := range l.values {
		path = append(path, fmt.Sprintf("%.1f %.1f", x(i), y(v)))
	}
	fmt.Fprintf(b, `<path d="M%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"/>`+"\n", strings.Join(path, "L"), l.color)
	for i, v := range l.values {
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-opacity=".4" stroke-width="4"/><circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n",
			x(i), y(l.low[i]), y(l.high[i]), l.color, x(i), y(v), l.color)
	}
}

// place is where a point lies on the axis, from 0 to 1. What grows beyond two
// decades is drawn by its logarithm, the rest as it is.
func (p *panel) place(i int) float64 {
	first, last := float64(p.xs[0]), float64(p.xs[len(p.xs)-1])
	scale := func(n float64) float64 { return n }
	if last > 50*max(first, 1) {
		scale = func(n float64) float64 { return math.Log(max(n, p.smallest()/10)) }
	}
	if last == first {
		return 0.5
	}
	return (scale(float64(p.xs[i])) - scale(first)) / (scale(last) - scale(first))
}

// smallest is the first point above 0, to which 0 is drawn a decade below.
func (p *panel) smallest() float64 {
	for _, n := range p.xs {
		if n > 0 {
			return float64(n)
		}
	}
	return 1
}

// roundStep is the next 1, 2 or 5 of a decade.
func roundStep(least float64) float64 {
	if least <= 0 {
		return 1
	}
	decade := math.Pow(10, math.Floor(math.Log10(least)))
	for _, n := range []float64{1, 2, 5} {
		if n*decade >= least {
			return n * decade
		}
	}
	return 10 * decade
}

// axisNumber prints a number short: 10k, 5M.
func axisNumber(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 10000, v >= 1000 && math.Mod(v, 1000) == 0:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
