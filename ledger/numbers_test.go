package ledger

import (
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// Lua's numbers are doubles. These tests hold the ledger's own arithmetic
// against math/big, at every size that it must be right for.

func TestAddIsExact(t *testing.T) {
	f := newFixture(t, Options{})
	edges := []int64{
		0, 1, -1, 2, -2, 999_999_999, 1_000_000_000, -1_000_000_000, 1<<53 - 1, 1 << 53, 1<<53 + 1, -(1<<53 - 1), -(1<<53 + 1),
		100_000_000_000_000, 123_456_789_012_345_678, 9e18, -9e18, 4_500_000_000_000_000_001,
	}
	check := func(a, b int64) {
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b)).String()
		if got := f.luaFunction("str(add(amount(ARGV[1]), amount(ARGV[2])))", a, b); got != want {
			f.Fatalf("add(%d, %d) = %s, want %s", a, b, got, want)
		}
	}
	for _, a := range edges {
		for _, b := range edges {
			check(a, b)
		}
		if got := f.luaFunction("str(negate(amount(ARGV[1])))", a); got != fmt.Sprint(-a) {
			f.Errorf("negate(%d) = %s", a, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(rapid.Int64Range(-9e18, 9e18).Draw(t, "a"), rapid.Int64Range(-9e18, 9e18).Draw(t, "b"))
	})
}

func TestTotalClampsTheExactSum(t *testing.T) {
	f := newFixture(t, Options{})
	// Two of the terms are more together than a double tells apart, and less with the others.
	if got := f.luaFunction("str(total(-5, -5, tonumber(ARGV[1]), 2))", int64(1<<53-1)); got != fmt.Sprint(int64(1<<53-9)) {
		t.Errorf("2^53 - 9 is %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		var terms [4]int64
		sum := new(big.Int)
		for i := range 3 {
			terms[i] = rapid.OneOf(rapid.Int64Range(-3e18, 3e18), rapid.Int64Range(1<<53-20, 1<<53-1), rapid.Int64Range(-(1<<53-1), -(1<<53-20))).Draw(t, fmt.Sprint(i))
			sum.Add(sum, big.NewInt(terms[i]))
		}
		// The last term often brings the sum near zero, where it must be exact.
		terms[3] = rapid.Int64Range(-10, 10).Draw(t, "rest")
		if rapid.Bool().Draw(t, "near zero") {
			terms[3] -= sum.Int64()
		}
		sum.Add(sum, big.NewInt(terms[3]))
		want := sum.Int64()
		want = max(-(1<<53 - 1), min(1<<53-1, want))
		got := f.luaFunction("str(total(amount(ARGV[1]), amount(ARGV[2]), amount(ARGV[3]), amount(ARGV[4])))", terms[0], terms[1], terms[2], terms[3])
		if got != fmt.Sprint(want) {
			t.Fatalf("total(%v) = %s, want %d", terms, got, want)
		}
	})
}

func TestMuldivIsExact(t *testing.T) {
	f := newFixture(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		// a/d is at most 1 or so, and b and the outcome are below 2^53.
		d := rapid.Int64Range(1, 9e18).Draw(t, "d")
		a := rapid.Int64Range(0, d).Draw(t, "a")
		b := rapid.Int64Range(0, 1<<53-1).Draw(t, "b")
		c := rapid.Int64Range(0, min(d-1, 1<<53-1)).Draw(t, "c")
		x := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		x.Add(x, big.NewInt(c)).Quo(x, big.NewInt(d))
		if !x.IsInt64() || x.Int64() > 1<<53-1 {
			return
		}
		if got := f.luaFunction("str(muldiv(amount(ARGV[1]), amount(ARGV[2]), amount(ARGV[3]), tonumber(ARGV[4])))", a, b, d, c); got != x.String() {
			t.Fatalf("muldiv(%d, %d, %d, %d) = %s, want %s", a, b, d, c, got, x)
		}
	})
}

// The quotient is right where it is about to become the next one: at a multiple, and one before.
func TestMuldivIsExactAtItsBounds(t *testing.T) {
	f := newFixture(t, Options{})
	// upTo draws from all of a range: rapid's own numbers are mostly small, or near a bound.
	upTo := func(t *rapid.T, most int64, name string) int64 {
		return 1 + int64(rapid.Uint64().Draw(t, name)*0x9E3779B97F4A7C15>>1)%most // below 2^63
	}
	// The product is below 2^53, and with c it is a multiple of 107 beyond.
	if got := f.luaFunction("str(muldiv(amount(ARGV[1]), amount(ARGV[2]), amount(ARGV[3]), tonumber(ARGV[4])))", 3, int64(1<<53-2)/3, 107, 3); got != "84179432287299" {
		t.Errorf("(2^53 + 1) / 107 is %s", got)
	}
	size := rapid.SampledFrom([]int64{1000, 1 << 27, 1 << 40, 1 << 51, 1<<53 - 1})
	rapid.Check(t, func(t *rapid.T) {
		d, b := upTo(t, size.Draw(t, "size of d"), "d"), upTo(t, size.Draw(t, "size of b"), "b")
		a := upTo(t, d, "a")
		x, divisor := new(big.Int).Mul(big.NewInt(a), big.NewInt(b)), big.NewInt(d)
		c := d - new(big.Int).Mod(x, divisor).Int64() // a*b + c is a multiple
		if c >= 1<<53 {
			return
		}
		next := x.Add(x, big.NewInt(c)).Quo(x, divisor).Int64()
		for _, at := range []struct{ c, want int64 }{{c - 1, next - 1}, {c, next}} {
			if at.want >= 1<<53 || at.want < 0 {
				continue
			}
			if got := f.luaFunction("str(muldiv(amount(ARGV[1]), amount(ARGV[2]), amount(ARGV[3]), tonumber(ARGV[4])))", a, b, d, at.c); got != fmt.Sprint(at.want) {
				t.Fatalf("muldiv(%d, %d, %d, %d) = %s, want %d", a, b, d, at.c, got, at.want)
			}
		}
	})
}

// What does not fit below 2^53 is cut to what does, and comes to an end.
func TestMuldivCutsWhatIsTooMuch(t *testing.T) {
	f := newFixture(t, Options{})
	check := func(a, b, d int64) {
		want := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		if want.Quo(want, big.NewInt(d)); want.Cmp(big.NewInt(1<<53-1)) > 0 {
			want.SetInt64(1<<53 - 1)
		}
		if got := f.luaFunction("str(muldiv(amount(ARGV[1]), amount(ARGV[2]), amount(ARGV[3]), 0))", a, b, d); got != want.String() {
			f.Fatalf("muldiv(%d, %d, %d, 0) = %s, want %s", a, b, d, got, want)
		}
	}
	for near := range int64(40) {
		check(1<<53-20+near, 1_000_000_000_000, 1_000_000_000_000)
		check(1<<54-20+near, 1_000_000_000_000, 2_000_000_000_000)
	}
	rapid.Check(t, func(t *rapid.T) {
		large := rapid.Int64Range(0, 9e18)
		check(large.Draw(t, "a"), large.Draw(t, "b"), rapid.Int64Range(1, 1<<53-1).Draw(t, "d"))
	})
}

// EXACT-FEE: what is left of a line after a pack is priced as meter prices it.
func TestRepricingIsMeters(t *testing.T) {
	f := newFixture(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		rate := meter.Rate{Pico: rapid.Int64Range(1, 9e18).Draw(t, "pico"), Per: rapid.SampledFrom([]int64{1, 1000, 60_000, 3_600_000, maxPer}).Draw(t, "per")}
		quantity := rapid.Int64Range(1, 1<<53-1).Draw(t, "quantity")
		want, err := rate.Amount(quantity)
		if err != nil {
			return
		}
		got := f.luaFunction("str(muldiv(amount(ARGV[1]), amount(ARGV[2]), tonumber(ARGV[3]) * 1000, tonumber(ARGV[3]) * 500))", quantity, rate.Pico, rate.Per)
		if got != fmt.Sprint(int64(want)) {
			t.Fatalf("%d at %d per %d: %s, want %d", quantity, rate.Pico, rate.Per, got, int64(want))
		}
	})
}

// SPLIT-SUM, SPLIT-CAP, SPLIT-FAIR: over the whole range of balances.
func TestSplitLaws(t *testing.T) {
	f := newFixture(t, Options{})
	balance := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64Range(0, 1<<53), rapid.Int64Range(-9e18, 9e18))
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom([]Split{Proportional, Equal, BonusFirst, RechargeFirst}).Draw(t, "policy")
		recharge, bonus := meter.Nano(balance.Draw(t, "recharge")), meter.Nano(balance.Draw(t, "bonus"))
		fee := meter.Nano(rapid.OneOf(rapid.Int64Range(0, 2000), rapid.Int64Range(0, 1<<53-1)).Draw(t, "fee"))
		got := f.luaFunction(`(function() account = {split = ARGV[1], recharge = amount(ARGV[2]), bonus = amount(ARGV[3])}
			local r, b = split(tonumber(ARGV[4])) return str(r) .. ' ' .. str(b) end)()`,
			string(policy), int64(recharge), int64(bonus), int64(fee))
		fromRecharge, fromBonus := policy.split(fee, recharge, bonus)
		if want := fmt.Sprintf("%d %d", int64(fromRecharge), int64(fromBonus)); got != want {
			t.Fatalf("%s split of %d from %d and %d: Lua %s, Go %s", policy, fee, recharge, bonus, got, want)
		}
		checkSplit(t, policy, fee, recharge, bonus, fromRecharge, fromBonus)
	})
}

// checkSplit states the laws without saying how a split is made.
func checkSplit(t *rapid.T, policy Split, fee, recharge, bonus, fromRecharge, fromBonus meter.Nano) {
	haveRecharge, haveBonus := max(0, recharge), max(0, bonus)
	switch {
	case fromRecharge+fromBonus != fee:
		t.Fatalf("SPLIT-SUM: %d + %d is not %d", fromRecharge, fromBonus, fee)
	case fromRecharge < 0 || fromBonus < 0 || fromBonus > haveBonus:
		t.Fatalf("SPLIT-CAP: %d of %d, %d of %d", fromRecharge, recharge, fromBonus, bonus)
	}
	covered := new(big.Int).Add(big.NewInt(int64(haveRecharge)), big.NewInt(int64(haveBonus)))
	if covered.Cmp(big.NewInt(int64(fee))) < 0 {
		return // a debt: all of bonus is gone, the rest is owed by recharge
	}
	if fromRecharge > haveRecharge {
		t.Fatalf("SPLIT-CAP: %d of %d from recharge, though both wallets can pay", fromRecharge, recharge)
	}
	if policy == Proportional && fee > 0 {
		// Exact share of bonus, floor: share <= exact < share + 1.
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(int64(fee)), big.NewInt(int64(haveBonus))), covered)
		low, high := new(big.Rat).SetInt64(int64(fromBonus)), new(big.Rat).SetInt64(int64(fromBonus)+1)
		if low.Cmp(exact) > 0 || high.Cmp(exact) <= 0 {
			t.Fatalf("SPLIT-FAIR: bonus pays %d, its exact share is %s", fromBonus, exact.FloatString(3))
		}
	}
}

// Patterns in Lua fit what meter's fit.
func TestPatternsAreMeters(t *testing.T) {
	f := newFixture(t, Options{})
	text := rapid.StringOfN(rapid.SampledFrom([]rune("ab-.%")), 0, 8, -1)
	pattern := rapid.StringOfN(rapid.SampledFrom([]rune("ab-.%***")), 1, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		p, name := pattern.Draw(t, "pattern"), text.Draw(t, "name")
		want := fmt.Sprint(meter.MatchModel(p, name))
		if got := f.luaFunction("tostring(matches(ARGV[1], ARGV[2]))", p, name); got != want {
			t.Fatalf("%q fits %q: %s, want %s", name, p, got, want)
		}
	})
}

func TestCalendarIsGos(t *testing.T) {
	f := newFixture(t, Options{})
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 16_725_225_600_000).Draw(t, "ms") // to the year 2500
		offset := rapid.Int64Range(-12*3600, 14*3600).Draw(t, "offset")
		day, month := localDay(millis(ms).In(fixedZone(int(offset))))
		got := f.luaFunction("(function() now = tonumber(ARGV[1]); local d, m = calendar(ARGV[2]) return str(d) .. ' ' .. str(m) end)()", ms, offset)
		if want := fmt.Sprintf("%d %d", day, month); ms/1000+offset >= 0 && got != want {
			t.Fatalf("%d ms at %d s: %s, want %s", ms, offset, got, want)
		}
	})
}
