package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// charged books a call that recharge and bonus pay, 0.6 and 0.4, and returns its request id.
func (o *office) charged(server *redistest.Server) string {
	charge := o.calls(100, "0.01", meter.NanoPerUnit)
	l, id := o.reserved(ledger.Options{URL: server.URL()}, charge)
	if _, err := l.Settle(o.t.Context(), ledger.Settlement{ID: id, Account: "acme", Model: "glm-4", Endpoint: "chat", At: time.Now(), Charge: charge}); err != nil {
		o.t.Fatal(err)
	}
	return id
}

// calls is a charge for so many calls at a rate.
func (o *office) calls(n int64, rate string, amount meter.Nano) meter.Charge {
	r, err := meter.ParseRate(rate, meter.Call)
	if err != nil {
		o.t.Fatal(err)
	}
	return meter.Charge{Fee: amount, Lines: []meter.Line{{Dimension: meter.Call, Quantity: n, Rate: r, Amount: amount}}}
}

// reserved places a hold by a new key of acme, and returns its request id, and the ledger as a proxy has it.
func (o *office) reserved(options ledger.Options, quote meter.Charge) (*ledger.Ledger, string) {
	t := o.t
	key := decode[struct {
		Secret string `json:"secret"`
	}](t, o.do("key create acme --json"))
	credential, ok := ledger.ParseCredential(key.Secret)
	if !ok {
		t.Fatalf("secret %q", key.Secret)
	}
	l, err := ledger.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	id := ledger.NewRequestID()
	if _, err := l.Reserve(t.Context(), ledger.Reservation{ID: id, Credential: credential, Model: "glm-4", Endpoint: "chat", Quote: quote}); err != nil {
		t.Fatal(err)
	}
	return l, id
}

func TestRefundVerb(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	o.do("topup acme 6 --ref t6")
	o.do("topup acme 4 --wallet bonus")
	id := o.charged(server)

	part := decode[ledger.Entry](t, o.do("refund acme "+id+" --amount 0.25 --reason goodwill --ref t7 --json"))
	again := decode[ledger.Entry](t, o.do("refund acme "+id+" --amount 0.25 --reason goodwill --ref t7 --json"))
	if part.Type != "refund" || part.FeeDue() != 250_000_000 || part.RequestID != id || part.Ref != "t7" || part.ID != again.ID || len(part.Paid) != 2 {
		t.Errorf("entry %+v, again %s", part, again.ID)
	}
	if r := o.run("refund acme " + id + " --amount 0.76 --reason x"); r.exit != exitFailed || !strings.Contains(r.stderr, "at most 0.75 is left") {
		t.Errorf("too much: exit %d, %s", r.exit, r.stderr)
	}
	if r := o.do("refund acme " + id + " --reason 'the answer was cut'"); !strings.Contains(r.stdout, "0.75 CNY of request "+id+" refunded, to ") ||
		!strings.Contains(r.stdout, "balance: recharge 6 CNY, bonus 4 CNY") {
		t.Errorf("refund says %s", r.stdout)
	}
	if r := o.do("journal acme --type refund"); !strings.Contains(r.stdout, "0.75 CNY given back to bonus 0.3 CNY + recharge 0.45 CNY  reason: the answer was cut") ||
		strings.Contains(r.stdout, "paid by") {
		t.Errorf("the journal says\n%s", r.stdout)
	}
	for args, want := range map[string]string{
		"refund acme " + id + " --reason x":                            "nothing left to refund",
		"refund acme " + ledger.NewRequestID() + " --reason x":         "tollgate journal acme --type charge",
		"refund nobody " + id + " --reason x":                          "not found",
		"refund acme " + id + " --amount 0.2 --reason x --ref t7":      "use another",
		"refund acme " + id + " --amount 0.1 --reason x --ref t8":      "nothing left to refund of request",
		"refund acme " + id + " --amount 0.25 --reason other --ref t7": "conflict",
		"refund acme " + id + " --amount 0.25 --reason x --ref t6":     "`tollgate journal acme` shows", // a topup has it, which no refund would show
	} {
		if r := o.run(args); r.exit != exitFailed || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
	o.do("audit")
}

func TestAdjustVerb(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	o.do("topup acme 1")
	entry := decode[ledger.Entry](t, o.do("adjust acme -0.25 --reason 'booked twice' --json"))
	if entry.Type != "adjust" || *entry.Amount != -250_000_000 || entry.Wallet != ledger.Recharge || entry.Reason != "booked twice" {
		t.Errorf("entry %+v", entry)
	}
	if r := o.do("adjust acme -.25 --wallet recharge --reason x"); !strings.Contains(r.stdout, "0.25 CNY taken from the recharge wallet") ||
		!strings.Contains(r.stdout, "balance: recharge 0.5 CNY") {
		t.Errorf("adjust says %s", r.stdout)
	}
	if r := o.do("adjust --reason apology --wallet bonus acme 5"); !strings.Contains(r.stdout, "5 CNY added to the bonus wallet") {
		t.Errorf("adjust says %s", r.stdout)
	}
	if r := o.run("adjust acme -0.6 --reason x"); r.exit != exitFailed || !strings.Contains(r.stderr, "at most 0.5 can be taken from the recharge wallet") {
		t.Errorf("too much: exit %d, %s", r.exit, r.stderr)
	}
	first := decode[ledger.Entry](t, o.do("adjust acme 1 --reason x --ref n3 --json"))
	if again := decode[ledger.Entry](t, o.do("adjust acme 1 --reason x --ref n3 --json")); again.ID != first.ID {
		t.Errorf("booked twice: %s, %s", first.ID, again.ID)
	}
	for args, want := range map[string]string{
		"adjust acme 2 --reason x --ref n3": "use another --ref", "adjust nobody 2 --reason x": "tollgate account create nobody",
	} {
		if r := o.run(args); r.exit != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
	r := o.do("audit acme")
	if !strings.Contains(r.stdout, "WITHDRAWN") || !strings.Contains(r.stdout, "cash") {
		t.Errorf("audit says\n%s", r.stdout)
	}
	report := decode[ledger.AuditReport](t, o.do("audit acme --json"))
	if c := report.Conservation[0]; c != (ledger.Conserved{What: "cash", Granted: "7", Free: "6.5", Held: "0", Charged: "0", Expired: "0", Withdrawn: "0.5"}) {
		t.Errorf("cash %+v", c)
	}
}

func TestAccountSetVerb(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	a := decode[ledger.Account](t, o.do("account set acme --overdraft 12.5 --json"))
	if a.Overdraft != 12_500_000_000 || a.Split != ledger.Proportional {
		t.Errorf("account %+v", a)
	}
	if r := o.do("account set acme --split equal --overdraft 12.5"); r.stdout != "account acme: overdraft 12.5 CNY, split equal\n" {
		t.Errorf("account set says %s", r.stdout)
	}
	if a = decode[ledger.Account](t, o.do("account set acme --overdraft 0 --json")); a.Overdraft != 0 || a.Split != ledger.Equal {
		t.Errorf("account %+v", a)
	}
	o.do("account set acme --overdraft 0")
	if entries := decode[[]ledger.Entry](t, o.do("journal acme --type account --json")); len(entries) != 4 {
		t.Errorf("%d entries", len(entries))
	}
	if r := o.run("account set nobody --overdraft 0"); r.exit != exitFailed || !strings.Contains(r.stderr, "tollgate account create nobody") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
	if r := o.run("account set acme --split thirds"); r.exit != exitUsage || !strings.Contains(r.stderr, "bonus_first") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

func TestCorrectionsInTheWrongWay(t *testing.T) {
	for args, want := range map[string]string{
		"refund acme":       "needs ACCOUNT REQUEST_ID",
		"refund acme req_1": "--reason is needed",
		"refund acme req_1 --amount 0 --reason x":  "--amount 0 is nothing",
		"refund acme req_1 --amount -1 --reason x": "is negative",
		"adjust acme":                            "needs ACCOUNT AMOUNT",
		"adjust acme -0.25":                      "--reason is needed",
		"adjust acme 0 --reason x":               "0 is nothing",
		"adjust acme much --reason x":            "want a decimal number",
		"adjust acme 1 --reason x --wallet cash": "want recharge or bonus",
		"account set acme":                       "nothing is to change",
		"account set acme --overdraft -1":        "is negative",
	} {
		r := runWith(t, nil, strings.Fields(args)...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}
