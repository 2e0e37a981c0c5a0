package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/meter"
)

// BenchmarkReserveSettle is the ledger's part of one request, on a local Redis:
// without packs, with one, and with twenty, which must cost nearly the same.
func BenchmarkReserveSettle(b *testing.B) {
	for _, packs := range []int{0, 1, 20} {
		b.Run(fmt.Sprintf("packs=%d", packs), func(b *testing.B) {
			l, key := benchLedger(b, packs, farLimits())
			used := charge(b, "input 1000 2/1M", "output 500 8/1M")
			b.ReportAllocs()
			before, ours := serverCPU(b, l), ownCPU(b)
			for b.Loop() {
				benchRequest(b, l, key, used)
			}
			b.ReportMetric(float64((ownCPU(b)-ours).Nanoseconds())/float64(b.N)/1000, "own-µs/op")
			reportServerCPU(b, l, before)
		})
	}
}

// BenchmarkTrips is the same, of many clients at once: of one account, which their trips have in common, and of a thousand;
// with a key that may do anything, and with one that has limits.
func BenchmarkTrips(b *testing.B) {
	for _, c := range []struct {
		accounts, packs int
		limits          KeyLimits
	}{{1, 0, KeyLimits{}}, {1, 1, KeyLimits{}}, {1, 20, KeyLimits{}}, {1, 0, farLimits()}, {1000, 0, KeyLimits{}}} {
		b.Run(fmt.Sprintf("accounts=%d/packs=%d/limits=%v", c.accounts, c.packs, c.limits.RPM > 0), func(b *testing.B) {
			l, key := benchLedger(b, c.packs, c.limits)
			keys := []Credential{key}
			for len(keys) < c.accounts {
				keys = append(keys, benchAccount(b, l, fmt.Sprint("a", len(keys)), c.packs, c.limits))
			}
			used := charge(b, "input 1000 2/1M", "output 500 8/1M")
			b.ReportAllocs()
			b.SetParallelism(32)
			var turn atomic.Int64
			before := serverCPU(b, l)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					benchRequest(b, l, keys[int(turn.Add(1))%len(keys)], used)
				}
			})
			reportServerCPU(b, l, before)
		})
	}
}

// serverCPU is the CPU time that Redis has used so far, by the kernel's accounting.
func serverCPU(b *testing.B, l *Ledger) time.Duration {
	b.Helper()
	info, err := l.client.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for line := range strings.SplitSeq(info, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += seconds
		}
	}
	return time.Duration(sum * float64(time.Second))
}

// ownCPU is the CPU time that this process has used so far.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func reportServerCPU(b *testing.B, l *Ledger, before time.Duration) {
	b.Helper()
	b.ReportMetric(float64((serverCPU(b, l)-before).Nanoseconds())/float64(b.N)/1000, "redis-µs/op")
}

// batch is how many requests the benchmarks of one half prepare, or clear
// away, while the clock stands still.
const batch = 100

// BenchmarkReserve is admission alone.
func BenchmarkReserve(b *testing.B) {
	l, key := benchLedger(b, 1, farLimits())
	used := charge(b, "input 1000 2/1M", "output 500 8/1M")
	held := make([]*Hold, 0, batch)
	b.ReportAllocs()
	for b.Loop() {
		if held = append(held, benchReserve(b, l, key, used)); len(held) == batch {
			b.StopTimer()
			for _, h := range held {
				if _, err := l.Release(b.Context(), h.Account, h.ID); err != nil {
					b.Fatal(err)
				}
			}
			held = held[:0]
			b.StartTimer()
		}
	}
}

// BenchmarkSettle is booking alone.
func BenchmarkSettle(b *testing.B) {
	l, key := benchLedger(b, 1, farLimits())
	used := charge(b, "input 1000 2/1M", "output 500 8/1M")
	held := make([]*Hold, 0, batch)
	b.ReportAllocs()
	for b.Loop() {
		if len(held) == 0 {
			b.StopTimer()
			for range batch {
				held = append(held, benchReserve(b, l, key, used))
			}
			b.StartTimer()
		}
		benchSettle(b, l, held[len(held)-1], used)
		held = held[:len(held)-1]
	}
}

func benchRequest(b *testing.B, l *Ledger, key Credential, used meter.Charge) {
	benchSettle(b, l, benchReserve(b, l, key, used), used)
}

func benchReserve(b *testing.B, l *Ledger, key Credential, used meter.Charge) *Hold {
	h, err := l.Reserve(b.Context(), Reservation{ID: NewRequestID(), Credential: key, Model: "glm-4", Endpoint: "chat", Quote: used})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func benchSettle(b *testing.B, l *Ledger, h *Hold, used meter.Charge) {
	if _, err := l.Settle(b.Context(), settlement(h, used)); err != nil {
		b.Fatal(err)
	}
}

// farLimits are limits on rates and spend that no benchmark reaches.
func farLimits() KeyLimits {
	return KeyLimits{RPM: maxPerMinute, TPM: maxPerMinute, SpendDaily: 1_000_000 * meter.NanoPerUnit}
}

func benchLedger(b *testing.B, packs int, limits KeyLimits) (*Ledger, Credential) {
	b.Helper()
	server := redistest.Start(b)
	l, err := Open(b.Context(), Options{URL: server.URL(), Currency: "CNY"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l, benchAccount(b, l, "acme", packs, limits)
}

func benchAccount(b *testing.B, l *Ledger, id string, packs int, limits KeyLimits) Credential {
	b.Helper()
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	_, err := l.CreateAccount(b.Context(), id, AccountOptions{})
	check(err)
	for _, w := range []Wallet{Recharge, Bonus} {
		_, err = l.TopUp(b.Context(), Topup{Account: id, Wallet: w, Amount: 1_000_000 * meter.NanoPerUnit})
		check(err)
	}
	for range packs {
		_, err = l.GrantPack(b.Context(), Grant{Account: id, Quantity: maxPackQuantity, Models: []string{"glm*"}})
		check(err)
	}
	_, secret, err := l.CreateKey(b.Context(), id, NewKey{Limits: limits})
	check(err)
	key, _ := ParseCredential(secret)
	return key
}
