package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func TestHoldVerbs(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	o.do("topup acme 10")
	if r := o.do("hold list"); r.stdout != "no hold is past its time\n" {
		t.Errorf("none overdue: %s", r.stdout)
	}
	if r := o.do("hold list acme"); r.stdout != "nothing is held for acme\n" {
		t.Errorf("none: %s", r.stdout)
	}
	if r := o.do("hold list --json"); strings.TrimSpace(r.stdout) != "[]" {
		t.Errorf("none, as JSON: %s", r.stdout)
	}
	ended, kept, alive := o.abandoned(server, time.Millisecond, meter.NanoPerUnit/4), o.abandoned(server, time.Millisecond, 0), o.abandoned(server, time.Hour, 0)
	for deadline := time.Now().Add(10 * time.Second); strings.Count(o.do("hold list").stdout, "yes") < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("overdue are\n%s", o.do("hold list").stdout)
		}
	}
	holds := decode[[]ledger.OpenHold](t, o.do("hold list acme --json"))
	if len(holds) != 3 || holds[0].RequestID != ended || !holds[0].Overdue || holds[0].Cash != meter.NanoPerUnit || holds[0].Delivered == nil || holds[2].Overdue {
		t.Errorf("holds %+v", holds)
	}
	if r := o.do("hold list acme"); !strings.Contains(r.stdout, ended) || !strings.Contains(r.stdout, "cash 1 CNY") || !strings.Contains(r.stdout, "0.25 CNY") {
		t.Errorf("holds\n%s", r.stdout)
	}
	for range 2 { // what it printed may have been lost
		if r := o.do("hold end acme " + ended + " --charge"); !strings.Contains(r.stdout, "0.25 CNY charged for what was delivered, from recharge 0.25 CNY") {
			t.Errorf("ended: %s", r.stdout)
		}
	}
	if r := o.do("hold end acme " + kept + " --release"); !strings.Contains(r.stdout, "all of it is given back") {
		t.Errorf("released: %s", r.stdout)
	}
	for args, want := range map[string]string{
		"hold end acme " + ended + " --release":                "a refund gives it back",
		"hold end acme " + kept + " --release":                 "tollgate hold list acme",
		"hold end acme " + alive + " --release":                "its proxy may be at work",
		"hold end nobody " + alive + " --release":              "not found",
		"hold end acme " + ledger.NewRequestID() + " --charge": "holds nothing",
		"hold list nobody":                                     "tollgate account create nobody",
	} {
		if r := o.run(args); r.exit != exitFailed || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
	if r := o.run("hold end acme req_x --release"); r.exit != exitUsage || !strings.Contains(r.stderr, `request id "req_x": want one such as req_`) {
		t.Errorf("no request's id: exit %d, %s", r.exit, r.stderr)
	}
	for _, args := range []string{"hold end acme " + alive, "hold end acme " + alive + " --charge --release", "hold end acme"} {
		if r := o.run(args); r.exit != exitUsage {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
	if r := o.do("account show acme"); !strings.Contains(r.stdout, "9.75") {
		t.Errorf("account\n%s", r.stdout)
	}
	if r := o.run("audit"); r.exit != 0 {
		t.Errorf("audit:\n%s", r.stdout)
	}
}

// abandoned places a hold of 1 that nobody ends, with that much delivered, and returns its request id.
func (o *office) abandoned(server *redistest.Server, ttl time.Duration, delivered meter.Nano) string {
	l, id := o.reserved(ledger.Options{URL: server.URL(), HoldTTL: ttl}, o.calls(1, "1", meter.NanoPerUnit))
	if delivered > 0 {
		checkpoint := ledger.Checkpoint{Settlement: ledger.Settlement{
			ID: id, Account: "acme", Model: "glm-4", Endpoint: "chat", At: time.Now(), Charge: o.calls(1, delivered.String(), delivered),
		}}
		if err := l.Extend(o.t.Context(), checkpoint); err != nil {
			o.t.Fatal(err)
		}
	}
	return id
}
