package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// TestTripIsItsCalls sends the same random calls of the data plane, with the operator's words between them, to twins: one ledger
// gets each call by itself, the other several in one trip. Every answer and all of the books must be the same.
func TestTripIsItsCalls(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true // it is emptied for each round
	trips, calls, met := 0, 0, make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		tw := newTwins(f, t)
		for range rapid.IntRange(3, 8).Draw(t, "trips") {
			n := rapid.IntRange(2, 8).Draw(t, "calls")
			list := make([]*scriptCall, n)
			for i := range list {
				list[i] = tw.call(t)
			}
			tw.compare(t, list, met)
			tw.operator(t)
			trips, calls = trips+1, calls+n
		}
	})
	t.Logf("%d calls in %d trips; answers %v", calls, trips, met)
	for _, want := range []string{"reserve OK", "reserve NO", "reserve ENDED", "settle OK", "settle SAME", "settle CONFLICT", "release OK", "release CONFLICT", "extend OK", "extend LOST", "entry refund", "entry expire", "entry revoke"} {
		if met[want] == 0 && trips > 2000 {
			t.Errorf("%d trips and never %s: they prove little", trips, want)
		}
	}
}

// twins are two ledgers in two databases of one server, equal at the start. Its clock stands still, but for what both are told.
type twins struct {
	f               *fixture
	alone, together *Ledger
	keys            []Credential
	requests        []string
	references      int
}

func newTwins(f *fixture, t *rapid.T) *twins {
	f.server.Flush()
	f.ledger = f.reopen()
	scripts := f.stillScripts()
	use := func(l *Ledger) {
		l.scripts = scripts
		f.must(l.openServer(f.ctx(), l.client))
	}
	use(f.ledger)
	tw := &twins{f: f, alone: f.ledger}
	for i, id := range []string{"plain", "packs", "both"} {
		split := rapid.SampledFrom([]Split{Proportional, Equal, BonusFirst, RechargeFirst}).Draw(t, "split")
		f.account(id, "0.0000006", "0.0000003", AccountOptions{Split: split, Overdraft: meter.Nano(rapid.SampledFrom([]int64{0, 700}).Draw(t, "overdraft"))})
		for range i {
			limits := KeyLimits{
				SpendDaily: meter.Nano(rapid.SampledFrom([]int64{0, 500}).Draw(t, "daily")), Tokens: rapid.SampledFrom([]int64{0, 2000}).Draw(t, "tokens"),
				RPM: rapid.SampledFrom([]int64{0, 2}).Draw(t, "rpm"), TPM: rapid.SampledFrom([]int64{0, 1500}).Draw(t, "tpm"),
				Parallel: rapid.SampledFrom([]int64{0, 1}).Draw(t, "parallel"),
			}
			tw.keys = append(tw.keys, f.key(id, limits))
		}
	}
	tw.keys = append(tw.keys, f.key("plain", KeyLimits{}))
	for range rapid.IntRange(1, 4).Draw(t, "packs") {
		f.grant(tw.pack(t, ""))
	}
	tw.f.copyDatabase(1)
	url := f.server.URL()
	second, err := Open(f.ctx(), Options{URL: url[:strings.LastIndex(url, "/")] + "/1", Currency: "CNY", Shards: 2})
	f.must(err)
	f.Cleanup(func() { _ = second.Close() })
	use(second)
	tw.together = second
	return tw
}

// stillScripts are the scripts, in a world whose clock stands.
func (f *fixture) stillScripts() *scripts {
	f.Helper()
	stopped := time.Now().Unix()
	s, err := buildScriptsFrom(func(name string) ([]byte, error) {
		text, err := luaFiles.ReadFile(name)
		if name == "lua/trip.lua" && strings.Count(string(text), "call('TIME')") != 1 {
			return nil, fmt.Errorf("the clock is not read in one place of %s", name)
		}
		return []byte(strings.ReplaceAll(string(text), "call('TIME')", fmt.Sprintf("{'%d', '0'}", stopped))), err
	}, false)
	f.must(err)
	return s
}

func (f *fixture) copyDatabase(to int) {
	f.Helper()
	client := f.server.Client()
	names, err := client.Keys(f.ctx(), "*").Result()
	f.must(err)
	for _, name := range names {
		f.must(client.Copy(f.ctx(), name, name, to, true).Err())
	}
}

func (tw *twins) pack(t *rapid.T, ref string) Grant {
	g := Grant{
		Account: rapid.SampledFrom([]string{"packs", "both"}).Draw(t, "pack's account"), Quantity: rapid.Int64Range(1, 4000).Draw(t, "pack"),
		Priority: rapid.Int64Range(0, 1).Draw(t, "priority"), Order: rapid.SampledFrom([]string{"before_balance", "after_balance"}).Draw(t, "order"), Ref: ref,
	}
	if rapid.Bool().Draw(t, "of images") {
		g.Unit, g.Quantity = "image", 1+g.Quantity%3
	}
	if rapid.Bool().Draw(t, "expires") {
		at := tw.alone.now().Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "in")) * time.Minute).Truncate(time.Second)
		g.ExpiresAt = &at
	}
	return g
}

// request is one of those that were, or a new one.
func (tw *twins) request(t *rapid.T) string {
	if n := len(tw.requests); n > 0 && rapid.IntRange(0, 3).Draw(t, "known") > 0 {
		return tw.requests[n-1-rapid.IntRange(0, min(n, 12)-1).Draw(t, "which")]
	}
	key := rapid.SampledFrom(tw.keys).Draw(t, "key")
	tw.requests = append(tw.requests, newID("req_", tw.alone.now())+" "+key.Account+" "+key.suffix())
	return tw.requests[len(tw.requests)-1]
}

// call draws a call. A request keeps its account and key.
func (tw *twins) call(t *rapid.T) *scriptCall {
	l := tw.alone
	words := strings.Fields(tw.request(t))
	key := tw.keys[slices.IndexFunc(tw.keys, func(c Credential) bool { return c.suffix() == words[2] })]
	lines := drawLines(t, 1500, 4)
	s := Settlement{
		ID: words[0], Account: key.Account, Key: keyID(key.Account, key.suffix()), Model: rapid.SampledFrom([]string{"glm-4", "cogview"}).Draw(t, "model"), Endpoint: "chat",
		Upstream: "test", At: time.UnixMilli(1_790_000_000_000), Source: meter.FromUpstream, Charge: chargeOf(t, lines),
		Made: []Object{{ID: rapid.SampledFrom([]string{"", "resp_1", "resp_2"}).Draw(t, "object"), Memory: "1234 openai"}},
	}
	b, err := l.bookingOf(&s)
	tw.f.must(err)
	of := func(s *script, args []any) *scriptCall { return tw.f.callOf(s, b.account, b.idMS, args) }
	switch rapid.IntRange(0, 9).Draw(t, "script") {
	case 0, 1, 2:
		r := Reservation{ID: b.id, Credential: key, Model: s.Model, Endpoint: "chat", Quote: s.Charge}
		return of(l.scripts.reserve, l.reserveArgs(&r, b.lines, b.idMS))
	case 3, 4, 5:
		return of(l.scripts.settle, l.settleArgs(b, markerLife, ""))
	case 6, 7, 8:
		return of(l.scripts.extend, l.extendArgs(b))
	default:
		return of(l.scripts.release, l.releaseArgs(b.account, b.id))
	}
}

// compare makes the calls on both.
func (tw *twins) compare(t *rapid.T, list []*scriptCall, met map[string]int) {
	trip := make([]*scriptCall, len(list))
	for i, c := range list {
		twin := *c
		trip[i] = &twin
		c.alone(tw.f.ctx(), tw.alone.client)
	}
	tw.together.circuits.of(0).convoy.travel(tw.f.ctx(), trip)
	for i, c := range list {
		if c.err != nil || trip[i].err != nil || !reflect.DeepEqual(c.reply.values, trip[i].reply.values) {
			t.Fatalf("%s:\n%q, %v alone\n%q, %v in a trip", c.script.name, c.reply.values, c.err, trip[i].reply.values, trip[i].err)
		}
		met[c.script.name+" "+c.reply.text(0)]++
	}
	tw.same(t, met)
}

// operator changes something beside the data plane, in both alike.
func (tw *twins) operator(t *rapid.T) {
	tw.references++
	ref := fmt.Sprint("ref", tw.references)
	both := func(do func(l *Ledger) error) {
		errs := []error{do(tw.alone), do(tw.together)}
		if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			t.Fatalf("%v and %v", errs[0], errs[1])
		}
	}
	switch rapid.IntRange(0, 6).Draw(t, "operator") {
	case 0:
		g := tw.pack(t, ref)
		both(func(l *Ledger) error { _, err := l.GrantPack(tw.f.ctx(), g); return err })
	case 1:
		id := fmt.Sprint("p", rapid.IntRange(1, 3).Draw(t, "pack"))
		both(func(l *Ledger) error { _, err := l.RevokePack(tw.f.ctx(), "both", id, "x"); return err })
	case 2, 3:
		d := time.Duration(rapid.IntRange(1, 20).Draw(t, "minutes")) * time.Minute
		both(func(l *Ledger) error {
			l.clockOffset.Add(d.Milliseconds())
			_, err := l.Sweep(tw.f.ctx())
			return err
		})
	case 4:
		account := rapid.SampledFrom([]string{"plain", "packs", "both"}).Draw(t, "account")
		both(func(l *Ledger) error {
			_, err := l.TopUp(tw.f.ctx(), Topup{Account: account, Wallet: Bonus, Amount: 3000, Ref: ref})
			return err
		})
	}
}

// same compares all that is in Redis.
func (tw *twins) same(t *rapid.T, met map[string]int) {
	left, right := tw.f.contents(tw.alone.client), tw.f.contents(tw.together.client)
	for name, value := range left {
		if strings.HasSuffix(name, ":scope") {
			tw.sameScope(t, name, value, right[name])
			delete(right, name)
			continue
		}
		if strings.HasSuffix(name, ":keys") {
			sameBuckets(value, right[name])
		}
		if !reflect.DeepEqual(value, right[name]) {
			t.Fatalf("%s:\n%v alone\n%v in trips", name, value, right[name])
		}
		if strings.HasSuffix(name, ":journal") {
			for _, kind := range []string{"refund", "expire", "revoke"} {
				met["entry "+kind] += strings.Count(fmt.Sprint(value), "t:"+kind+" ")
			}
		}
	}
	for name := range right {
		if _, too := left[name]; !too {
			t.Fatalf("%s is in trips only: %v", name, right[name])
		}
	}
}

// sameBuckets writes buckets that hold the same alike. Calls of one trip that take from one and give as much back write nothing,
// where each alone writes down what it holds by then.
func sameBuckets(alone, trips any) {
	left, _ := alone.(map[string]string)
	right, _ := trips.(map[string]string)
	for field, value := range left {
		if kind := field[max(0, len(field)-3):]; kind != ":rb" && kind != ":tb" {
			continue
		} else if other := right[field]; value != other {
			terms := strings.Split(left[field[:len(field)-3]], "\t")
			limit := terms[9] // requests a minute
			if kind == ":tb" {
				limit = terms[10]
			}
			if later := bucketAt(value, limit, other); later == bucketAt(other, limit, value) {
				left[field], right[field] = later, later
			}
		}
	}
}

// bucketAt is what a bucket holds at its own time, or at that of another if that is later.
func bucketAt(text, limit, other string) string {
	var level, at, gain, otherLevel, otherAt int64
	_, _ = fmt.Sscan(text, &level, &at)
	_, _ = fmt.Sscan(other, &otherLevel, &otherAt)
	_, _ = fmt.Sscan(limit, &gain)
	later := max(at, otherAt)
	return fmt.Sprint(min(gain*60000, level+(later-at)*gain), " ", later)
}

// sameScope: a trip may remember less of which packs fit, but nothing else.
func (tw *twins) sameScope(t *rapid.T, name string, alone, trips any) {
	entries, _ := trips.(map[string]string)
	for field, value := range entries {
		if alone.(map[string]string)[field] != value {
			t.Fatalf("%s: %v alone, %v in trips", name, alone, trips)
		}
	}
}

// contents are all values of a database. When a bucket of markers ends is left out: the library remembers that across databases.
func (f *fixture) contents(client redis.UniversalClient) map[string]any {
	f.Helper()
	names, err := client.Keys(f.ctx(), "*").Result()
	f.must(err)
	all := make(map[string]any, len(names))
	for _, name := range names {
		kind, err := client.Type(f.ctx(), name).Result()
		f.must(err)
		switch kind {
		case "hash":
			all[name], err = client.HGetAll(f.ctx(), name).Result()
		case "zset":
			all[name], err = client.ZRangeWithScores(f.ctx(), name, 0, -1).Result()
		case "set":
			members, setErr := client.SMembers(f.ctx(), name).Result()
			slices.Sort(members)
			all[name], err = members, setErr
		case "stream":
			all[name], err = client.XRange(f.ctx(), name, "-", "+").Result()
		default:
			err = fmt.Errorf("%s is a %s", name, kind)
		}
		f.must(err)
	}
	return all
}
