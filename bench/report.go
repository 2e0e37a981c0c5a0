package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A report holds every figure of every round; the JSON file is this.
type report struct {
	heading
	OpenRate int      `json:"open_loop_rate"`
	Accounts int      `json:"accounts"`
	Skipped  []string `json:"skipped,omitempty"`
	Rows     []*row   `json:"rows"`
}

// heading says where and how figures were taken.
type heading struct {
	Started  time.Time `json:"started"`
	Machine  machine   `json:"machine"`
	Rounds   int       `json:"rounds"`
	Duration string    `json:"duration"`
	Clients  int       `json:"connections"`
}

func newHeading(o *options) heading {
	return heading{
		Started: time.Now().UTC().Truncate(time.Second), Rounds: o.rounds, Duration: o.duration.String(), Clients: o.connections,
		Machine: machine{CPU: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version()},
	}
}

func (h *heading) String() string {
	redis := ""
	if h.Machine.Redis != "" {
		redis = ", Redis " + h.Machine.Redis
	}
	return fmt.Sprintf("%s, %d cores, %s%s, %s. %s of %s, medians; closed loop of %d connections.",
		h.Machine.CPU, h.Machine.Cores, h.Machine.Go, redis, h.Started.Format(time.DateOnly), plural(h.Rounds, "round"), h.Duration, h.Clients)
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
	// Median is over the rounds; Ratio is the median of each figure divided by
	// the bare ReverseProxy's of the same round.
	Median *figures `json:"median"`
	Ratio  *figures `json:"ratio"`
	// Rounds are what each round gave, and Ratios what that is in the unit.
	Rounds []*figures `json:"rounds"`
	Ratios []*figures `json:"ratios"`

	like string // the load in which the unit was measured
}

func newReport(o *options, targets []target, skipped []string) *report {
	r := &report{heading: newHeading(o), OpenRate: o.rate, Accounts: o.accounts, Skipped: skipped}
	for _, l := range o.loads {
		for _, t := range targets {
			if l.measured(&t) {
				r.Rows = append(r.Rows, &row{Load: l.name, About: l.about, Target: t.name, Rounds: make([]*figures, o.rounds), like: l.like})
			}
		}
	}
	return r
}

func (r *report) add(round int, l *load, t *target, f *figures) {
	r.find(l.name, t.name).Rounds[round] = f
}

// find returns nil where a target was not measured under a load.
func (r *report) find(load, target string) *row {
	i := slices.IndexFunc(r.Rows, func(w *row) bool { return w.Load == load && w.Target == target })
	if i < 0 {
		return nil
	}
	return r.Rows[i]
}

// summarize computes what lies above the upstream alone, the ratios, and the medians.
func (r *report) summarize() {
	base := func(w *row, target string) *row {
		if w.like != "" {
			return r.find(w.like, target)
		}
		return r.find(w.Load, target)
	}
	for _, w := range r.Rows {
		if alone := base(w, direct); alone != nil {
			for i, f := range w.Rounds {
				f.above(alone.Rounds[i])
			}
		}
	}
	for _, w := range r.Rows {
		for i, f := range w.Rounds {
			w.Ratios = append(w.Ratios, f.over(base(w, unit).Rounds[i]))
		}
		m, x := medians(w.Rounds), medians(w.Ratios)
		w.Median, w.Ratio = &m, &x
	}
}

// write saves the report as JSON.
func (r *report) write(path string) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(out, '\n'), 0o644) //nolint:gosec // a report is for everybody.
}

// print writes the table, as Markdown that reads well in a terminal.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s Open loop of %d requests a second.\n", &r.heading, r.OpenRate)
	fmt.Fprint(w, "CPU is user and system time per request. (×) is against the bare ReverseProxy of the same round. +p50, +p99 and +first byte lie above the upstream alone, open loop.\n\n")
	t := table{head: append([]string{"load", "target"}, heads(columns)...)}
	last := ""
	for _, row := range r.Rows {
		name := row.Load
		if name == last {
			name = ""
		}
		last = row.Load
		t.add(append([]string{name, row.Target}, row.cells()...)...)
	}
	t.print(w)
	for _, why := range r.Skipped {
		fmt.Fprintf(w, "\nLeft out: %s.\n", why)
	}
}

// A column shows a figure and, if it has one, its ratio.
type column struct {
	head  string
	of    figure
	ratio bool
}

var columns = []column{
	{"req/s", rate, true},
	{"CPU µs", cpu, true},
	{"Redis µs", redisCPU, false},
	{"CPU + Redis µs", cpuAndRedis, true},
	{"+p50 µs", addedP50, true},
	{"+p99 µs", addedP99, true},
	{"+first byte µs", addedFirst, true},
	{"RSS MiB", memory, true},
	{"KiB a stream", streamMemory, true},
	{"allocations", allocated, true},
	{"Redis calls", redisCalls, false},
}

func heads(columns []column) (heads []string) {
	for _, c := range columns {
		heads = append(heads, c.head)
	}
	return heads
}

func (w *row) cells() (cells []string) {
	for _, c := range columns {
		value, x := w.Median[c.of], w.Ratio[c.of]
		text := whole(value)
		switch {
		case c.of == cpuAndRedis && w.Median[redisCPU] == 0, w.Target == direct && c.of != rate:
			text = "" // No Redis; and the upstream's own CPU is no proxy's, and adds nothing to itself.
		case c.ratio && x != 0 && w.Target != direct:
			text += " (" + times(x) + ")"
		}
		cells = append(cells, text)
	}
	return cells
}

// whole prints a figure, or nothing for one that was not measured.
func whole(value float64) string {
	if value == 0 {
		return ""
	}
	return strconv.FormatInt(int64(math.Round(value)), 10)
}

// times prints a ratio, likewise.
func times(ratio float64) string {
	if ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f×", ratio)
}

// grouped prints a number with its thousands apart.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// A table is printed as Markdown with aligned columns, numbers to the right.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// print leaves out columns in which there is nothing.
func (t *table) print(w io.Writer) {
	widths := make([]int, len(t.head))
	for i, head := range t.head {
		for _, row := range t.rows {
			if row[i] != "" {
				widths[i] = max(widths[i], len([]rune(row[i])), len([]rune(head)))
			}
		}
	}
	line := func(cells []string, fill string) {
		var b strings.Builder
		for i, cell := range cells {
			if widths[i] == 0 {
				continue
			}
			pad := strings.Repeat(fill, widths[i]-len([]rune(cell)))
			switch {
			case fill == "-" && isText(t.rows, i):
				cell = "-" + pad + "-"
			case fill == "-":
				cell = "-" + pad + ":"
			case isText(t.rows, i):
				cell = " " + cell + pad + " "
			default:
				cell = " " + pad + cell + " "
			}
			b.WriteString("|" + cell)
		}
		fmt.Fprintln(w, b.String()+"|")
	}
	line(t.head, " ")
	line(make([]string, len(t.head)), "-")
	for _, row := range t.rows {
		line(row, " ")
	}
}

// isText says whether a column's cells begin with something else than a number.
func isText(rows [][]string, column int) bool {
	for _, row := range rows {
		if cell := row[column]; cell != "" && !strings.ContainsAny(cell[:1], "-0123456789") {
			return true
		}
	}
	return false
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
