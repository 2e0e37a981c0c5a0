package ledger

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// The journal carries all that a charge was, in the words of the contract.
func TestJournalOfACharge(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 300})
		key := f.key("acme", KeyLimits{})
		used := charge(f, "input 1000 2/1M", "output 500 8/1M", "search 2 0.01")
		used.Lines[1].BilledAs, used.Lines[2].Tool = "output", "web_search"
		hold := f.reserve(key, used)
		s := settlement(hold, used)
		s.AnswerModel, s.Anomalies = "glm-4-0520", []string{"odd \"quotes\", commas"}
		_, err := f.ledger.Settle(f.ctx(), s)
		f.must(err)

		list := f.entries("acme", TypeCharge)
		if len(list) != 1 {
			f.Fatalf("%d charges", len(list))
		}
		text, err := json.Marshal(list[0])
		f.must(err)
		var got map[string]any
		f.must(json.Unmarshal(text, &got))
		for _, volatile := range []string{"id", "shard", "time"} {
			delete(got, volatile)
		}
		want := `{"account":"acme","anomalies":["odd \"quotes\", commas"],"answer_model":"glm-4-0520","at":"2026-09-21T14:13:20Z",` +
			`"balances_after":{"pack:p1":0,"recharge":"0.9752"},"endpoint":"chat","fee":"0.0248","hold":"0.0248","key":"` + hold.Key + `",` +
			`"lines":[{"amount":"0.0016","dimension":"input","pack_quantity":200,"quantity":1000,"rate":"2/1M"},` +
			`{"amount":"0.0032","billed_as":"output","dimension":"output","pack_quantity":100,"quantity":500,"rate":"8/1M"},` +
			`{"amount":"0.02","dimension":"search","quantity":2,"rate":"0.01","tool":"web_search"}],"model":"glm-4",` +
			`"paid":[{"from":"pack:p1","quantity":300},{"amount":"0.0248","from":"recharge"}],"price_version":"test",` +
			`"request_id":"` + hold.ID + `","type":"charge","upstream":"test","usage":{"input":1000,"output":500,"search":2},"usage_source":"upstream"}`
		again, err := json.Marshal(got)
		f.must(err)
		if string(again) != want {
			f.Errorf("entry\n%s\nwant\n%s", again, want)
		}
	})
}

func TestJournalOfTheRest(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{Split: BonusFirst, Overdraft: 5})
	_, err := f.ledger.TopUp(f.ctx(), Topup{Account: "acme", Amount: f.nano("2.5"), Wallet: Bonus, Ref: "r1"})
	f.must(err)
	f.grant(Grant{Account: "acme", Unit: "image", Quantity: 5, Models: []string{"cogview*"}, Ref: "r2"})
	f.must(f.ledger.SuspendAccount(f.ctx(), "acme", "why"))
	list := f.entries("acme")
	if len(list) != 4 {
		t.Fatalf("%d entries", len(list))
	}
	if e := list[0]; e.Type != TypeAccount || e.Detail["split"] != "bonus_first" || e.Detail["overdraft"] != "0.000000005" {
		t.Errorf("account %+v", e)
	}
	if e := list[1]; e.Type != TypeTopup || *e.Amount != f.nano("2.5") || e.Wallet != Bonus || e.Ref != "r1" || after(e, "bonus") != "2.5" {
		t.Errorf("topup %+v", e)
	}
	if e := list[2]; e.Type != TypeGrant || *e.Quantity != 5 || e.Pack != "p1" || e.Ref != "r2" || e.Detail["unit"] != "image" {
		t.Errorf("grant %+v", e)
	}
	if e := list[3]; e.Type != TypeSuspend || e.Reason != "why" {
		t.Errorf("suspend %+v", e)
	}
}

// A secret is never in Redis: neither in the journal nor anywhere else.
func TestSecretIsNotKept(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key, secret, err := f.ledger.CreateKey(f.ctx(), "acme", NewKey{Name: "ci"})
	f.must(err)
	chance := secret[strings.LastIndexByte(secret, '-')+1:]
	if len(chance) < secretMinimum || strings.Contains(key.ID, chance[:8]) {
		t.Errorf("id %s of secret %s", key.ID, secret)
	}
	client := f.server.Client()
	for _, name := range client.Keys(f.ctx(), "*").Val() {
		dump, err := client.Dump(f.ctx(), name).Result()
		f.must(err)
		if strings.Contains(dump, chance) || strings.Contains(name, chance) {
			t.Errorf("the secret is in %s", name)
		}
	}
}

func TestJournalQuery(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "0", "0", AccountOptions{})
	f.account("other", "0", "0", AccountOptions{})
	var times []time.Time
	for range 8 {
		f.pass(time.Minute)
		e, err := f.ledger.TopUp(f.ctx(), Topup{Account: "acme", Amount: 1})
		f.must(err)
		times = append(times, e.Time)
		f.topup("other", Bonus, "1")
	}
	count := func(q JournalQuery, account string) (n int) {
		f.Helper()
		f.must(f.ledger.Journal(f.ctx(), account, q, func(*Entry) error { n++; return nil }))
		return n
	}
	for name, c := range map[string]struct {
		q       JournalQuery
		account string
		want    int
	}{
		"all of one":     {JournalQuery{}, "acme", 9},
		"all of all":     {JournalQuery{}, "", 18},
		"by type":        {JournalQuery{Types: []string{TypeTopup}}, "acme", 8},
		"since":          {JournalQuery{Since: times[3]}, "acme", 5},
		"until":          {JournalQuery{Until: times[3]}, "acme", 4},
		"since and till": {JournalQuery{Since: times[2], Until: times[5]}, "acme", 3},
		"limit":          {JournalQuery{Limit: 2}, "acme", 2},
		"after the end":  {JournalQuery{Since: times[7].Add(time.Second)}, "acme", 0},
	} {
		if n := count(c.q, c.account); n != c.want {
			t.Errorf("%s: %d entries, want %d", name, n, c.want)
		}
	}
	enough := errors.New("stop")
	wants(t, f.ledger.Journal(f.ctx(), "acme", JournalQuery{}, func(*Entry) error { return enough }), enough)
	wants(t, f.ledger.Journal(f.ctx(), "nobody", JournalQuery{}, func(*Entry) error { return nil }), ErrNotFound)
}

// A charge can only be booked as it was computed.
func TestChargeIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	wrongSum := cost(f, "1")
	wrongSum.Fee++
	negative := meter.Charge{Fee: -1, Lines: []meter.Line{{Dimension: meter.Call, Quantity: -1, Amount: -1}}}
	tooMuch := meter.Charge{Fee: meter.MaxCharge + 1, Lines: []meter.Line{{Dimension: meter.Call, Quantity: 1, Amount: meter.MaxCharge + 1}}}
	tooMany := meter.Charge{Lines: make([]meter.Line, maxLines+1)}
	for name, c := range map[string]meter.Charge{"sum": wrongSum, "negative": negative, "too much": tooMuch, "too many lines": tooMany} {
		if _, err := f.tryReserve(key, c); !errors.Is(err, ErrInvalid) {
			t.Errorf("reserve, %s: %v", name, err)
		}
		hold := &Hold{ID: NewRequestID(), Account: "acme"}
		if _, err := f.ledger.Settle(f.ctx(), settlement(hold, c)); !errors.Is(err, ErrInvalid) {
			t.Errorf("settle, %s: %v", name, err)
		}
	}
	r := f.reservation(key, cost(f, "1"))
	r.ID = "mine"
	_, err := f.ledger.Reserve(f.ctx(), r)
	wants(t, err, ErrInvalid)
	r = f.reservation(key, cost(f, "1"))
	r.Model = "a\tb"
	_, err = f.ledger.Reserve(f.ctx(), r)
	wants(t, err, ErrInvalid)
}
