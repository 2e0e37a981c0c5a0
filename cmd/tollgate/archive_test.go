package main

import (
	"bufio"
	"encoding/csv"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

// command sends Redis one inline command.
func (s *premises) command(text string) {
	s.t.Helper()
	config, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	address := regexp.MustCompile(`redis://([0-9.:]+)/`).FindSubmatch(config)
	connection, err := net.Dial("tcp", string(address[1]))
	if err != nil {
		s.t.Fatal(err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte(text + "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	if answer, err := bufio.NewReader(connection).ReadString('\n'); err != nil || strings.HasPrefix(answer, "-") {
		s.t.Fatalf("%s: %q, %v", text, answer, err)
	}
}

// restart serves anew, with the configuration as it is now.
func (s *premises) restart() {
	s.t.Helper()
	s.server.stop()
	s.server.wait()
	s.server = boot(s.t, s.env, "serve")
	s.url, s.admin = s.server.address("listening on"), s.server.address("admin on")
}

func (s *premises) awaitMetric(line string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		_, body := s.get(s.admin + "/metrics")
		if strings.Contains(body, "\n"+line+"\n") {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("no %q in the metrics; stderr:\n%s", line, s.server.stderr.text())
		}
	}
}

// awaitAnswer asks until serve has noticed that its ledger is there again.
func (s *premises) awaitAnswer(model, prompt string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		status := s.ask(model, prompt, false).StatusCode
		if status == 200 {
			return
		}
		if status != 503 || time.Now().After(deadline) {
			s.t.Fatalf("status %d; stderr:\n%s", status, s.server.stderr.text())
		}
	}
}

// The archive as an operator meets it: serve archives and trims, the verbs see
// all of it, an emptied Redis is refused, rebuilt, and served again.
func TestArchiveServeBillRebuild(t *testing.T) {
	s := openPremises(t)
	s.ask("glm-test", "mock:usage=100,50 hello", false)
	s.server.stderr.line(t, "there is no archive", 1)
	s.edit("tollgate.yaml", "upstreams:", "archive: {url: \"sqlite:./data/archive.db\", interval: 100ms, keep: 0s}\nupstreams:")
	s.restart()
	s.ask("glm-test", "mock:usage=200,50 hello", false)
	s.awaitMetric("tollgate_archive_archived_entries_total 5")
	s.awaitMetric("tollgate_archive_backlog_entries 0")
	s.awaitMetric("tollgate_archive_forked_shards 0")

	if entries := decode[[]ledger.Entry](t, s.do("journal acme --json")); len(entries) != 5 {
		t.Errorf("%d entries in the journal", len(entries))
	}
	month := time.Now().UTC().Format("2006-01")
	bill := decode[ledger.Bill](t, s.do("bill acme --month "+month+" --json"))
	if bill.Fee.String() != "0.0014" || bill.Paid.Recharge != bill.Fee || len(bill.Lines) != 1 || bill.Lines[0].Requests != 2 ||
		bill.Lines[0].Usage["input"] != 300 || bill.Lines[0].Usage["output"] != 100 {
		t.Errorf("bill %+v", bill)
	}
	rows, err := csv.NewReader(strings.NewReader(s.do("bill acme --month " + month + " --csv").stdout)).ReadAll()
	if err != nil || len(rows) != 2 || rows[1][7] != "input=300;output=100" || rows[1][8] != "0.0014" {
		t.Errorf("csv %q, %v", rows, err)
	}
	if text := s.do("bill acme").stdout; !strings.Contains(text, "0.0014 CNY") || !strings.Contains(text, "glm-test") {
		t.Errorf("bill\n%s", text)
	}
	if r := s.run("bill acme --month nonsense"); r.exit != exitUsage || !strings.Contains(r.stderr, "2026-11") {
		t.Errorf("a bad month: exit %d, %s", r.exit, r.stderr)
	}

	if r := s.run("rebuild"); r.exit != exitFailed || !strings.Contains(r.stderr, "not empty") {
		t.Errorf("rebuild of what is there: exit %d, %s", r.exit, r.stderr)
	}
	before := s.do("account show acme --json").stdout + s.do("key list acme --json").stdout
	s.command("FLUSHALL")
	if response := s.ask("glm-test", "hello", false); response.StatusCode != 503 {
		t.Errorf("emptied: status %d, want 503", response.StatusCode)
	}
	if r := s.run("account create other"); r.exit != exitFailed || !strings.Contains(r.stderr, "tollgate rebuild") {
		t.Errorf("a verb on an emptied ledger: exit %d, %s", r.exit, r.stderr)
	}
	if r := s.do("rebuild"); !strings.Contains(r.stdout, "the books balance: 1 account, 5 journal entries") || !strings.Contains(r.stdout, "log replay DIR") {
		t.Errorf("rebuild says\n%s", r.stdout)
	}
	if after := s.do("account show acme --json").stdout + s.do("key list acme --json").stdout; after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	s.awaitAnswer("glm-test", "mock:usage=100,50 hello")
	s.awaitMetric("tollgate_archive_backlog_entries 0")
	if audit := decode[ledger.AuditReport](t, s.do("audit --json")); !audit.OK || audit.Entries != 6 {
		t.Errorf("audit %+v", audit)
	}
}
