package ledger

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

const anyObject = "resp_68af4030592c81"

// made is the settlement of a call that has made an object.
func made(t testing.TB, h *Hold, id string) Settlement {
	s := settlement(h, cost(t, "1"))
	s.Made = []Object{{ID: id, Memory: "1234 openai"}}
	return s
}

func (f *fixture) make(l *Ledger, h *Hold, id string) *Receipt {
	f.Helper()
	r, err := l.Settle(f.ctx(), made(f, h, id))
	f.must(err)
	return r
}

func findObject(f *fixture, l *Ledger, c Credential, id string) error {
	found, err := l.FindObject(f.ctx(), c, netip.Addr{}, id)
	if err == nil && (found.Memory != "1234 openai" || found.RequestID != "") {
		f.Errorf("remembered %+v", found)
	}
	return err
}

// An object is its account's, whichever of its keys asks, and nobody else's.
func TestObjectIsItsAccounts(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.account("other", "10", "0", AccountOptions{})
		key, second, others := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{Models: []string{"x"}}), f.key("other", KeyLimits{})
		h, theirs := f.reserve(key, cost(f, "1")), f.reserve(others, cost(f, "1"))
		wants(f, findObject(f, f.ledger, key, anyObject), ErrNotFound)
		f.make(f.ledger, h, anyObject)
		if r := f.make(f.ledger, h, anyObject); !r.Repeated {
			f.Error("booked twice")
		}
		for _, c := range []Credential{key, second} {
			f.must(findObject(f, f.ledger, c, anyObject))
		}
		for _, id := range []string{anyObject + "0", anyObject[1:], "", h.ID, anyObject + " x"} {
			wants(f, findObject(f, f.ledger, key, id), ErrNotFound)
		}
		wants(f, findObject(f, f.ledger, others, anyObject), ErrNotFound)
		f.make(f.ledger, theirs, anyObject) // another upstream's
		f.must(findObject(f, f.ledger, others, anyObject))
		f.must(findObject(f, f.ledger, key, anyObject))
		stranger := key
		stranger.Hash = strings.Repeat("0", 64)
		_ = isReason(f, findObject(f, f.ledger, stranger, anyObject), KeyInvalid, "key")
		_ = isReason(f, findObject(f, f.ledger, Credential{}, anyObject), KeyInvalid, "key")
		f.balances("acme", "9 0 0")
		f.audit()
	})
}

// It is remembered for three days, in whatever hour it was made, and by a proxy whose clock stands ahead, too.
func TestObjectIsRememberedForThreeDays(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.make(f.ledger, f.reserve(key, cost(f, "1")), anyObject)
		ahead := &Hold{ID: newID("req_", time.Now().Add(40*time.Minute)), Account: "acme"}
		f.make(f.ledger, ahead, anyObject+"0")
		for range int(markerLife/time.Hour) / 6 {
			f.must(findObject(f, f.ledger, key, anyObject))
			f.must(findObject(f, f.ledger, key, anyObject+"0"))
			f.pass(6 * time.Hour)
		}
		f.must(findObject(f, f.ledger, key, anyObject))
		f.pass(3 * time.Hour)
		wants(f, findObject(f, f.ledger, key, anyObject), ErrNotFound)
	})
}

// No charge fails for what cannot be remembered.
func TestObjectThatCannotBeRemembered(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "100", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for _, o := range []Object{
		{},
		{Memory: "x"},
		{ID: anyObject},
		{ID: "a b", Memory: "x"},
		{ID: "a/b", Memory: "x"},
		{ID: strings.Repeat("x", 200), Memory: "x"},
		{ID: anyObject, Memory: "a\nb"},
		{ID: anyObject, Memory: strings.Repeat("x", MaxObjectMemory+1)},
	} {
		s := made(t, f.reserve(key, cost(t, "1")), "")
		s.Made = []Object{o}
		if r, err := f.ledger.Settle(f.ctx(), s); err != nil || *r.Fee != f.nano("1") {
			t.Errorf("%+v: %+v, %v", o, r, err)
		}
		wants(t, findObject(f, f.ledger, key, o.ID), ErrNotFound)
	}
	f.make(f.ledger, f.reserve(key, cost(t, "1")), strings.Repeat("x", maxObjectID))
	f.must(findObject(f, f.ledger, key, strings.Repeat("x", maxObjectID)))
}

// Redis away when the call ends: the object is in the log with the charge, and known when that is booked; by the proxy's next start, if it dies.
func TestObjectIsRememberedLater(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(map[bool]string{false: "by itself", true: "by the next"}[dies], func(t *testing.T) {
			p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
			h := p.reserveOn(l, cost(t, "2"))
			p.server.Stop()
			if r := p.make(l, h, anyObject); !r.Pending {
				t.Error("booked without Redis")
			}
			wants(t, findObject(p.fixture, l, p.key, anyObject), ErrUnavailable)
			p.server.Start()
			if dies {
				p.die(l)
				l = p.start(Options{})
			} else {
				wants(t, findObject(p.fixture, l, p.key, anyObject), ErrUnavailable) // and not ErrNotFound
			}
			p.replaying(l)
			eventually(t, "the object is found", func() bool { return findObject(p.fixture, l, p.key, anyObject) == nil })
			p.balances("acme", "9 0 0")
			p.charges(1)
		})
	}
}

// Redis loses its last moments, and an object with them: the log brings it back.
func TestLostObjectComesBack(t *testing.T) {
	p, l := newLogged(t, Options{})
	before := p.snapshot()
	p.make(l, p.reserveOn(l, cost(t, "2")), anyObject)
	p.die(l)
	p.goBack(before)
	l = p.start(Options{})
	p.replaying(l)
	eventually(t, "the object is back", func() bool {
		err := findObject(p.fixture, l, p.key, anyObject)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("meanwhile: %v", err)
		}
		return err == nil
	})
	p.balances("acme", "9 0 0")
	p.audit()
}

// An object that Redis does not have may be in this proxy's log.
func TestObjectThatIsInTheLog(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	s := made(t, p.reserveOn(l, cost(t, "2")), anyObject)
	b, err := l.bookingOf(&s)
	p.must(err)
	_, err = l.log.endWith(&logRecord{kind: recordSettle, booking: *b})
	p.must(err)
	wants(t, findObject(p.fixture, l, p.key, anyObject), ErrUnavailable)
	for _, other := range []string{anyObject + "0", anyObject[:9]} {
		wants(t, findObject(p.fixture, l, p.key, other), ErrNotFound)
	}
}

// A call makes several, and several are asked for at once, of whatever hours: all of them, or none.
func TestObjectsAreFoundTogether(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		settle := func(objects ...Object) {
			s := made(f, f.reserve(key, cost(f, "1")), "")
			s.Made = objects
			_, err := f.ledger.Settle(f.ctx(), s)
			f.must(err)
		}
		settle(Object{"resp_1", "first"}, Object{"bad id", "x"}, Object{"rs_1", "reasoning"}, Object{"msg_1", "said"})
		f.pass(5 * time.Hour)
		settle(Object{"resp_2", "second"})
		found, err := f.ledger.FindObjects(f.ctx(), key, netip.Addr{}, []string{"resp_2", "msg_1", "resp_1", "rs_1", "resp_2"})
		f.must(err)
		if want := []string{"second", "said", "first", "reasoning", "second"}; !slices.Equal(found, want) {
			f.Errorf("remembered %q", found)
		}
		_, err = f.ledger.FindObjects(f.ctx(), key, netip.Addr{}, []string{"resp_2", "msg_2", "resp_1"})
		wants(f, err, ErrNotFound)
		if !strings.Contains(err.Error(), "msg_2") {
			f.Errorf("it does not say which: %v", err)
		}
	})
}

// What is remembered of a call is bounded: the first of too many, and the charge in any case.
func TestTooManyObjects(t *testing.T) {
	p, l := newLogged(t, Options{})
	s := made(t, p.reserveOn(l, cost(t, "1")), "")
	for i := range 1000 {
		s.Made = append(s.Made, Object{"item_" + strconv.Itoa(i), strings.Repeat("x", 90)})
	}
	_, err := l.Settle(p.ctx(), s)
	p.must(err)
	for id, want := range map[string]error{"item_0": nil, "item_50": nil, "item_999": ErrNotFound} {
		if _, err := l.FindObjects(p.ctx(), p.key, netip.Addr{}, []string{id}); !errors.Is(err, want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	p.charges(1)
}
