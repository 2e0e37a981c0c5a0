package ledger

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A receipt as clients read it: of a charge just booked, of the same one read
// from the journal, of the same settled again.
func TestReceiptInJSON(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "2", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1000, Models: []string{"glm*"}})
		key := f.key("acme", KeyLimits{})
		many := settlement(f.reserve(key, charge(t, "input 1000 2000/1M", "output 100 0.001")), meter.Charge{})
		many.AnswerModel, many.Anomalies = "glm-4 <0520>", []string{"tier_assumed", `odd "text"`}
		many.Charge = charge(t, "input 900 2000/1M", "cached_input 150 1000/1M", "output 120 0.001", "search 3 0.01", "call 1 0")
		many.Charge.Lines[3].Tool, many.Charge.Lines[1].BilledAs, many.Charge.Lines[4].Unpriced = "web_search", "input", true
		// The pack pays what it has, and the fee is more than was held.
		f.receipt(many, `{"id":"6-0","shard":2,"time":TIME,"at":"2026-09-21T14:13:20Z","type":"charge","account":"acme","key":KEY,`+
			`"request_id":REQUEST,"model":"glm-4","answer_model":"glm-4 \u003c0520\u003e","endpoint":"chat","upstream":"test",`+
			`"usage":{"cached_input":150,"call":1,"input":900,"output":120,"search":3},"usage_source":"upstream",`+
			`"anomalies":["tier_assumed","odd \"text\""],"price_version":"test","fee":"0.331","lines":[`+
			`{"dimension":"input","quantity":900,"rate":"2000/1M","amount":"0.262","pack_quantity":769},`+
			`{"dimension":"cached_input","quantity":150,"rate":"1000/1M","amount":"0.022","billed_as":"input","pack_quantity":128},`+
			`{"dimension":"output","quantity":120,"rate":"0.001","amount":"0.017","pack_quantity":103},`+
			`{"dimension":"search","tool":"web_search","quantity":3,"rate":"0.01","amount":"0.03"},`+
			`{"dimension":"call","quantity":1,"rate":"0","amount":"0","unpriced":true}],`+
			`"paid":[{"from":"pack:p1","quantity":1000},{"from":"bonus","amount":"0.055166666"},{"from":"recharge","amount":"0.275833334"}],`+
			`"hold":"0.191","overrun":"0.14","balances_after":{"bonus":"1.944833334","pack:p1":0,"recharge":"9.724166666"}}`)

		// Tokens that a call carries are used, and are on no line.
		carries := settlement(f.reserve(key, charge(t, "call 1 0.5")), charge(t, "call 1 0.5"))
		carries.Charge.Carried = &meter.Quantities{meter.Input: 100, meter.Output: 50}
		f.receipt(carries, `{"id":"7-0","shard":2,"time":TIME,"at":"2026-09-21T14:13:20Z","type":"charge","account":"acme","key":KEY,`+
			`"request_id":REQUEST,"model":"glm-4","endpoint":"chat","upstream":"test","usage":{"call":1,"input":100,"output":50},`+
			`"usage_source":"upstream","price_version":"test","fee":"0.5","lines":[{"dimension":"call","quantity":1,"rate":"0.5","amount":"0.5"}],`+
			`"paid":[{"from":"bonus","amount":"0.083333333"},{"from":"recharge","amount":"0.416666667"}],"hold":"0.5",`+
			`"balances_after":{"bonus":"1.861500001","recharge":"9.307499999"}}`)

		bare := Settlement{ID: newID("req_", f.ledger.now()), Account: "acme", Model: "m"} // no hold, no key, nothing used
		f.receipt(bare, `{"id":"8-0","shard":2,"time":TIME,"at":TIME,"type":"charge","account":"acme",`+
			`"request_id":REQUEST,"model":"m","fee":"0","lines":[],"paid":[],"balances_after":{},"usage":{}}`)
	})
}

// receipt settles s, twice, and reads the receipt: want, in all three.
func (f *fixture) receipt(s Settlement, want string) {
	f.Helper()
	first, err := f.ledger.Settle(f.ctx(), s)
	f.must(err)
	again, err := f.ledger.Settle(f.ctx(), s)
	f.must(err)
	read, err := f.ledger.Receipt(f.ctx(), s.Account, s.ID)
	f.must(err)
	want = strings.NewReplacer("TIME", inJSON(f, first.Time), "KEY", inJSON(f, s.Key), "REQUEST", inJSON(f, s.ID)).Replace(want)
	for name, r := range map[string]*Receipt{"first": first, "again": again, "read": read} {
		if got := inJSON(f, r); got != want {
			f.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	if !again.Repeated || first.Repeated || first.told != again.told {
		f.Errorf("first %+v\nagain %+v", first, again)
	}
}

func inJSON(f *fixture, v any) string {
	f.Helper()
	text, err := json.Marshal(v)
	f.must(err)
	return string(text)
}

func TestPromiseInJSON(t *testing.T) {
	f := newFixture(t, Options{})
	s := settlement(&Hold{ID: "req_x", Account: "acme", Key: "acme.0123456789ab"}, charge(t, "input 1000 2/1M", "image 2 0.1"))
	r := f.ledger.promise(3, &s)
	r.Time = s.At.UTC()
	want := `{"id":"","shard":3,"time":"2026-09-21T14:13:20Z","at":"2026-09-21T14:13:20Z","type":"charge","account":"acme","key":"acme.0123456789ab",` +
		`"request_id":"req_x","model":"glm-4","endpoint":"chat","upstream":"test","usage":{"image":2,"input":1000},"usage_source":"upstream",` +
		`"price_version":"test","fee":"0.202","lines":[{"dimension":"input","quantity":1000,"rate":"2/1M","amount":"0.002"},` +
		`{"dimension":"image","quantity":2,"rate":"0.1","amount":"0.2"}]}`
	r.At = r.At.UTC()
	if got := inJSON(f, r); got != want || !r.Pending {
		t.Errorf("pending %t\n%s\nwant\n%s", r.Pending, got, want)
	}
}

// What is written for others to read, or compared with what was written before, stays as it is.
func TestTextsStay(t *testing.T) {
	c := charge(t, "input 1000 2/1M", "search 3 0.01")
	lines, err := encodeLines(&c, "glm-4", "chat")
	if err != nil {
		t.Fatal(err)
	}
	record := logRecord{
		kind: recordSettle, atMS: 1_790_000_000_000, seq: 7, told: "5\t5:0\tr=5",
		booking: booking{id: "req_0", account: "acme", suffix: "0123456789ab", model: "glm-4", static: "{}", lines: lines, made: "resp_1 12 openai", tokens: 1000},
	}
	for got, want := range map[string]string{
		lines:                          "token 1000 2000000 1 2000000\nsearch 3 10000000000 1 30000000\n",
		digest("acme", "glm-4", lines): "7f04f43e7c270ad1",
		digest():                       "e3b0c44298fc1c14",
		addressText(netip.MustParseAddr("10.1.2.255")):  "00000000000000000000ffff0a0102ff",
		addressText(netip.MustParseAddr("2001:db8::1")): "20010db8000000000000000000000001",
		addressText(netip.Addr{}):                       "",
		hex.EncodeToString(record.appendTo(nil)): "7380b083c598680ed00f057265715f300461636d650c30313233343536373839616205676c6d2d34027b7d" +
			hex.EncodeToString([]byte("="+lines+"\t5\t5:0\tr=5\x10resp_1 12 openai")),
	} {
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// A hold as it is kept, see lua/hold.lua.
func TestReadHold(t *testing.T) {
	h, err := readHold("0123456789ab\t5000\t1100\t1790000000000\tp1=1000,p2=3\tp1,p2;\tglm-4\t      ")
	if err != nil {
		t.Fatal(err)
	}
	if h.key != "0123456789ab" || h.cash != 5000 || h.tokens != 1100 || !h.placed.Equal(time.UnixMilli(1_790_000_000_000)) ||
		paid(h.packs) != "pack:p1 1000, pack:p2 3" || h.model != "glm-4" {
		t.Errorf("%+v", h)
	}
	for _, damaged := range []string{"", "a\tb", "k\tx\t1\t1\t\t\tm\t", "k\t1\t1\t1\tp1=x\t\tm\t", "k\t1\t1\t1\t\t\tm"} {
		if h, err := readHold(damaged); err == nil {
			t.Errorf("%q is read as %+v", damaged, h)
		}
	}
}
