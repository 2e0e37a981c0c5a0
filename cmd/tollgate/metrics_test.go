package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/proxy"
)

var metricName = regexp.MustCompile(`\btollgate_[a-z_]+\b`)

// described is what a registry's collectors say they are, before anything is counted.
type described struct {
	prometheus.Registerer
	names map[string]bool
}

var descriptionName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (d *described) MustRegister(list ...prometheus.Collector) {
	d.Registerer.MustRegister(list...)
	for _, c := range list {
		all := make(chan *prometheus.Desc, 64)
		c.Describe(all)
		close(all)
		for desc := range all {
			d.names[descriptionName.FindStringSubmatch(desc.String())[1]] = true
			if _, histogram := c.(prometheus.Histogram); !histogram {
				if _, histogram = c.(*prometheus.HistogramVec); !histogram {
					continue
				}
			}
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				d.names[descriptionName.FindStringSubmatch(desc.String())[1]+suffix] = true
			}
		}
	}
}

// registered are the metrics of a server with all its parts.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	d := &described{Registerer: prometheus.NewRegistry(), names: make(map[string]bool)}
	metrics := proxy.NewMetrics(d)
	newArchiveMetrics(d)
	l, err := ledger.Open(t.Context(), ledger.Options{
		URL: redistest.Start(t).URL(), Currency: "CNY", Shards: 1, Log: t.TempDir(), Observe: metrics.ObserveLedger,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	watchReady(d, l)
	watchLog(d, l)
	watchTally(d, l)
	return d.names
}

func TestDeployedMetricsExist(t *testing.T) {
	names := registered(t)
	for _, file := range []string{"grafana/tollgate.json", "prometheus/alerts.yml"} {
		used := 0
		for _, expression := range expressions(t, file) {
			for _, name := range metricName.FindAllString(expression, -1) {
				used++
				if !names[name] {
					t.Errorf("%s: %s: there is no metric %s", file, expression, name)
				}
			}
		}
		if used < 12 {
			t.Errorf("%s: %d metrics found", file, used)
		}
	}
}

func readDeploy(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// expressions are the queries of a dashboard or of alert rules.
func expressions(t *testing.T, file string) (list []string) {
	t.Helper()
	if strings.HasSuffix(file, ".yml") {
		for _, r := range alerts(t) {
			list = append(list, r.Expr)
		}
		return list
	}
	var board struct {
		Templating struct {
			List []struct{ Definition string }
		}
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(readDeploy(t, file), &board); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	ids := make(map[int]bool)
	for _, p := range board.Panels {
		if p.Title == "" || p.Type == "" || len(p.Targets) == 0 || ids[p.ID] {
			t.Errorf("%s: panel %+v", file, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			list = append(list, target.Expr)
		}
	}
	for _, v := range board.Templating.List {
		list = append(list, v.Definition)
	}
	return list
}

type alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) (list []alert) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal(readDeploy(t, "prometheus/alerts.yml"), &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		list = append(list, g.Rules...)
	}
	return list
}

// Whoever is woken up is told what it is and what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range alerts(t) {
		if a.Alert == "" || seen[a.Alert] || a.Expr == "" || a.Labels["severity"] == "" ||
			len(a.Annotations["summary"]) < 20 || len(a.Annotations["runbook"]) < 60 {
			t.Errorf("alert %+v", a)
		}
		seen[a.Alert] = true
	}
	if len(seen) < 9 {
		t.Errorf("%d alerts", len(seen))
	}
}

// A series that begins with its first event, or with what a start has met, has no increase().
func TestAlertsSeeTheBeginningOfASeries(t *testing.T) {
	for _, name := range []string{"tollgate_losses_total", "tollgate_unpriced_total"} {
		seen := false
		for _, a := range alerts(t) {
			if !strings.Contains(a.Expr, "increase("+name) {
				continue
			}
			seen = true
			if !strings.Contains(a.Expr, " unless "+name+" offset") {
				t.Errorf("%s does not see a %s that begins above 0: %s", a.Alert, name, a.Expr)
			}
		}
		if !seen {
			t.Errorf("no alert goes by %s", name)
		}
	}
}

// Every metric is explained, and no other is spoken of.
func TestMetricsAreDocumented(t *testing.T) {
	names := registered(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, name := range metricName.FindAllString(string(text), -1) {
		documented[name] = true
		if !names[name] {
			t.Errorf("docs/operations.md speaks of %s, which is not there", name)
		}
	}
	for name := range names {
		base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
		if !documented[name] && !documented[base] {
			t.Errorf("docs/operations.md does not speak of %s", name)
		}
	}
}
