package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/meter"
)

// servers are what most tests run on, one after the other, emptied before each.
type servers struct{ single, cluster *redistest.Server }

var shared servers // set by TestMain alone

func TestMain(m *testing.M) {
	flag.Parse()
	single, err := redistest.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.single = single
	if shared.cluster, err = redistest.New(redistest.WithCluster()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		single.Close()
		os.Exit(1)
	}
	code := m.Run()
	single.Close()
	shared.cluster.Close()
	os.Exit(code)
}

// fixture is a ledger on a real Redis. When the test ends, the books are
// audited: whatever a test did, they must balance.
type fixture struct {
	*testing.T
	server *redistest.Server
	ledger *Ledger
	broken bool // the test breaks the books on purpose
}

// onRealRedis runs a test on one Redis and on a cluster, which refuses scripts
// that reach out of their slot.
func onRealRedis(t *testing.T, test func(f *fixture)) {
	t.Helper()
	t.Run("single", func(t *testing.T) { test(newFixture(t, Options{})) })
	t.Run("cluster", func(t *testing.T) { test(newFixtureOn(t, Options{}, shared.cluster)) })
}

// newFixture makes a ledger on the shared Redis; with server options, on one of the test's own.
func newFixture(t *testing.T, o Options, with ...redistest.Option) *fixture {
	t.Helper()
	if len(with) > 0 {
		return newFixtureOn(t, o, redistest.Start(t, with...))
	}
	return newFixtureOn(t, o, shared.single)
}

func newFixtureOn(t *testing.T, o Options, server *redistest.Server) *fixture {
	t.Helper()
	server.Flush()
	f := &fixture{T: t, server: server}
	f.ledger = f.open(o)
	t.Cleanup(func() {
		if !f.broken {
			f.audit()
		}
	})
	return f
}

// open opens one more ledger on the fixture's Redis.
func (f *fixture) open(o Options) *Ledger {
	f.Helper()
	o.URL = f.server.URL()
	if o.Currency == "" {
		o.Currency = "CNY"
	}
	if o.Shards == 0 {
		o.Shards = 4
	}
	l, err := Open(f.ctx(), o)
	f.must(err)
	l.losses.patience = 0 // what is lost in a test is replayed when the test says so
	f.Cleanup(func() { _ = l.Close() })
	return l
}

// patch replaces something in one of the Lua files.
func (f *fixture) patch(file, old, with string) {
	f.Helper()
	patched, err := buildScriptsFrom(func(name string) ([]byte, error) {
		text, err := luaFiles.ReadFile(name)
		if err != nil || name != "lua/"+file+".lua" {
			return text, err
		}
		if n := strings.Count(string(text), old); n != 1 {
			return nil, fmt.Errorf("%q is %d times in %s, want once", old, n, name)
		}
		return []byte(strings.Replace(string(text), old, with, 1)), nil
	}, false)
	f.must(err)
	f.ledger.scripts = patched
	f.must(f.ledger.openServer(f.ctx(), f.server.Client()))
}

// ctx outlives the test's own context, because cleanups use the ledger too.
func (f *fixture) ctx() context.Context { return context.WithoutCancel(f.T.Context()) }

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) audit() {
	f.Helper()
	report, err := f.ledger.Audit(f.ctx(), "")
	f.must(err)
	for _, d := range report.Differences {
		f.Errorf("audit: %+v", d)
	}
}

// account makes an account with balances such as "10", "0" for none.
func (f *fixture) account(id, recharge, bonus string, o AccountOptions) {
	f.Helper()
	_, err := f.ledger.CreateAccount(f.ctx(), id, o)
	f.must(err)
	f.topup(id, Recharge, recharge)
	f.topup(id, Bonus, bonus)
}

func (f *fixture) topup(id string, w Wallet, amount string) {
	f.Helper()
	if amount == "0" {
		return
	}
	_, err := f.ledger.TopUp(f.ctx(), Topup{Account: id, Wallet: w, Amount: f.nano(amount)})
	f.must(err)
}

func (f *fixture) key(account string, limits KeyLimits) Credential {
	f.Helper()
	_, secret, err := f.ledger.CreateKey(f.ctx(), account, NewKey{Limits: limits})
	f.must(err)
	c, ok := ParseCredential(secret)
	if !ok {
		f.Fatalf("secret %q does not parse", secret)
	}
	return c
}

func (f *fixture) grant(g Grant) *Pack {
	f.Helper()
	p, err := f.ledger.GrantPack(f.ctx(), g)
	f.must(err)
	return p
}

func (f *fixture) nano(s string) meter.Nano {
	f.Helper()
	n, err := meter.ParseNano(s)
	f.must(err)
	return n
}

// charge makes a charge of lines such as "input 1000 2/1M".
func charge(t testing.TB, lines ...string) meter.Charge {
	t.Helper()
	c := meter.Charge{PriceVersion: "test"}
	for _, text := range lines {
		words := strings.Fields(text)
		d, err := meter.ParseDimension(words[0])
		if err != nil {
			t.Fatal(err)
		}
		rate, err := meter.ParseRate(words[2], d)
		if err != nil {
			t.Fatal(err)
		}
		addLine(t, &c, d, parseInt(t, words[1]), rate)
	}
	return c
}

func addLine(t testing.TB, c *meter.Charge, d meter.Dimension, quantity int64, rate meter.Rate) {
	t.Helper()
	amount, err := rate.Amount(quantity)
	if err != nil {
		t.Fatal(err)
	}
	c.Lines = append(c.Lines, meter.Line{Dimension: d, Quantity: quantity, Rate: rate, Amount: amount})
	c.Fee += amount
}

func parseInt(t testing.TB, s string) int64 {
	t.Helper()
	var n int64
	for _, c := range s {
		n = n*10 + int64(c-'0')
	}
	return n
}

// cost is a charge of an amount of cash: so many calls at one nano each.
func cost(t testing.TB, amount string) meter.Charge {
	t.Helper()
	n, err := meter.ParseNano(amount)
	if err != nil {
		t.Fatal(err)
	}
	rate, err := meter.ParseRate("0.000000001", meter.Call)
	if err != nil {
		t.Fatal(err)
	}
	var c meter.Charge
	addLine(t, &c, meter.Call, int64(n), rate)
	return c
}

func (f *fixture) reservation(c Credential, quote meter.Charge) Reservation {
	return Reservation{ID: newID("req_", f.ledger.now()), Credential: c, Model: "glm-4", Endpoint: "chat", Quote: quote}
}

func (f *fixture) tryReserve(c Credential, quote meter.Charge) (*Hold, error) {
	return f.ledger.Reserve(f.ctx(), f.reservation(c, quote))
}

func (f *fixture) reserve(c Credential, quote meter.Charge) *Hold {
	f.Helper()
	h, err := f.tryReserve(c, quote)
	f.must(err)
	return h
}

// refused reserves and wants to be refused.
func (f *fixture) refused(c Credential, quote meter.Charge) *Refusal {
	f.Helper()
	h, err := f.tryReserve(c, quote)
	var no *Refusal
	if !errors.As(err, &no) {
		f.Fatalf("hold %+v, error %v: want a refusal", h, err)
	}
	return no
}

func settlement(h *Hold, actual meter.Charge) Settlement {
	return Settlement{
		ID: h.ID, Account: h.Account, Key: h.Key, Model: "glm-4", Endpoint: "chat", Upstream: "test",
		At: time.UnixMilli(1_790_000_000_000), Source: meter.FromUpstream, Charge: actual,
	}
}

func (f *fixture) settle(h *Hold, actual meter.Charge) *Receipt {
	f.Helper()
	r, err := f.ledger.Settle(f.ctx(), settlement(h, actual))
	f.must(err)
	return r
}

func (f *fixture) release(h *Hold) *Standing {
	f.Helper()
	s, err := f.ledger.Release(f.ctx(), h.Account, h.ID)
	f.must(err)
	return s
}

func (f *fixture) read(id string) *Account {
	f.Helper()
	a, err := f.ledger.Account(f.ctx(), id)
	f.must(err)
	return a
}

// balances checks an account's wallets, given as "recharge bonus held".
func (f *fixture) balances(id, want string) {
	f.Helper()
	a := f.read(id)
	got := a.Wallets[Recharge].Balance.String() + " " + a.Wallets[Bonus].Balance.String() + " " + a.Held.String()
	if got != want {
		f.Errorf("recharge, bonus, held of %s: %s, want %s", id, got, want)
	}
}

// pack checks what remains of a pack and what of that is free.
func (f *fixture) pack(account, id string, remaining, free int64) {
	f.Helper()
	for _, p := range f.read(account).Packs {
		if p.ID == id {
			if p.Remaining != remaining || p.Free != free {
				f.Errorf("pack %s: remaining %d, free %d; want %d, %d", id, p.Remaining, p.Free, remaining, free)
			}
			return
		}
	}
	f.Errorf("account %s has no pack %s", account, id)
}

func (f *fixture) keyUse(c Credential) KeyUse {
	f.Helper()
	k, err := f.ledger.FindKey(f.ctx(), keyID(c.Account, c.suffix()))
	f.must(err)
	return k.Use
}

// pass lets time pass, for Redis's clock as the scripts see it.
func (f *fixture) pass(d time.Duration) { f.ledger.clockOffset.Add(d.Milliseconds()) }

func (f *fixture) sweep() Swept {
	f.Helper()
	s, err := f.ledger.Sweep(f.ctx())
	f.must(err)
	return s
}

// abandoned ends a hold as the sweeper does, charging what had been delivered.
func (f *fixture) abandoned(h *Hold, delivered meter.Charge) {
	f.Helper()
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, delivered)}))
	f.pass(f.ledger.holdTTL + time.Minute)
	if s := f.sweep(); s.Abandoned != 1 {
		f.Fatalf("swept %+v, want one abandoned", s)
	}
}

func (f *fixture) entries(account string, types ...string) (list []*Entry) {
	f.Helper()
	f.must(f.ledger.Journal(f.ctx(), account, JournalQuery{Types: types}, func(e *Entry) error {
		list = append(list, e)
		return nil
	}))
	return list
}

// paid writes payments as "pack:p1 300, bonus 0.5".
func paid(list []Payment) string {
	parts := make([]string, len(list))
	for i, p := range list {
		parts[i] = p.From + " " + p.Amount.String()
		if strings.HasPrefix(p.From, "pack:") {
			parts[i] = p.From + " " + meter.Nano(p.Quantity*int64(meter.NanoPerUnit)).String()
		}
	}
	return strings.Join(parts, ", ")
}

// after is a balance after the entry, as JSON has it; nil when the entry does not tell it.
func after(e *Entry, of string) any {
	for i := range e.BalancesAfter {
		if e.BalancesAfter[i].From == of {
			return e.BalancesAfter[i].amount()
		}
	}
	return nil
}

// isReason checks that err is a refusal for a reason and limit.
func isReason(t testing.TB, err error, reason Reason, limit string) *Refusal {
	t.Helper()
	var no *Refusal
	if !errors.As(err, &no) {
		t.Fatalf("error %v: want a refusal", err)
	}
	if no.Reason != reason || no.Limit != limit {
		t.Fatalf("refused: %s (%s), want %s (%s)", no.Reason, no.Limit, reason, limit)
	}
	return no
}

func wants(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, target)
	}
}

// reserveCall and its like are the calls that Reserve, Settle and Release make, to be sent by hand.
func (f *fixture) reserveCall(r Reservation) *scriptCall {
	f.Helper()
	lines, err := encodeLines(&r.Quote, r.Model, r.Endpoint)
	f.must(err)
	idMS, err := idMillis(r.ID)
	f.must(err)
	return f.callOf(f.ledger.scripts.reserve, r.Credential.Account, idMS, f.ledger.reserveArgs(&r, lines, idMS))
}

func (f *fixture) settleCall(s Settlement) *scriptCall {
	f.Helper()
	b, err := f.ledger.bookingOf(&s)
	f.must(err)
	return f.callOf(f.ledger.scripts.settle, s.Account, b.idMS, f.ledger.settleArgs(b, markerLife, ""))
}

func (f *fixture) releaseCall(h *Hold) *scriptCall {
	f.Helper()
	idMS, err := idMillis(h.ID)
	f.must(err)
	return f.callOf(f.ledger.scripts.release, h.Account, idMS, f.ledger.releaseArgs(h.Account, h.ID))
}

func (f *fixture) callOf(s *script, account string, idMS int64, args []any) *scriptCall {
	args[1] = "0 0" // the caller has seen nothing yet
	return &scriptCall{script: s, keys: f.ledger.keysOf(f.ledger.shardOf(account), account, idMS), args: args}
}

// trip sends calls together, and returns the outcome of each.
func (f *fixture) trip(calls ...*scriptCall) []string {
	f.Helper()
	outcomes := make([]string, len(calls))
	f.ledger.circuits.of(0).convoy.travel(f.ctx(), calls)
	for i, c := range calls {
		outcomes[i] = fmt.Sprint(c.err)
		if c.err == nil {
			outcomes[i] = c.reply.text(0)
		}
	}
	return outcomes
}

// luaFunction calls a function of the shared Lua on the fixture's Redis. It is
// not a script of the ledger, so it goes by EVAL.
func (f *fixture) luaFunction(expression string, args ...any) string {
	f.Helper()
	source := "#!lua\nlocal keys, argv = KEYS, ARGV\n"
	for _, part := range sharedParts {
		text, err := luaFiles.ReadFile("lua/" + part + ".lua")
		f.must(err)
		source += string(text)
	}
	got, err := f.server.Client().Eval(f.ctx(), source+"\nwake()\nset_out()\nbegin(keys, 0, argv)\nreturn "+expression, []string{"{t}m", "{t}j"}, args...).Text()
	if err != nil && !errors.Is(err, redis.Nil) {
		f.Fatalf("%s of %v: %v", expression, args, err)
	}
	return got
}

func fixedZone(offset int) *time.Location { return time.FixedZone("test", offset) }

// sameEntry compares entries as people see them, in JSON.
func sameEntry(a, b *Entry) string {
	left, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	right, err := json.Marshal(b)
	if err != nil {
		return err.Error()
	}
	if !bytes.Equal(left, right) {
		return fmt.Sprintf("%s\nis not\n%s", left, right)
	}
	return ""
}
