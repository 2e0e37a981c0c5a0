package ledger

import "testing"

// What the ledger's Go side does for a request besides asking Redis.

var benchHold = &Hold{ID: "req_01m87by4q0br6hb7p44zmgrqe3", Account: "acme", Key: "acme.0123456789ab"}

// benchSettlement is a usual charge: some tokens in, some out.
func benchSettlement(b *testing.B) *Settlement {
	s := settlement(benchHold, charge(b, "input 1000 2/1M", "cached_input 200 0.4/1M", "output 500 8/1M"))
	s.Charge.PriceVersion = "sha256:0123456789abcdef"
	return &s
}

// BenchmarkBooking makes a settlement what the scripts and the settlement log take.
func BenchmarkBooking(b *testing.B) {
	l, s := new(Ledger), benchSettlement(b)
	b.ReportAllocs()
	for b.Loop() {
		booking, err := l.bookingOf(s)
		if err != nil || booking.digest() == "" {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceipt reads the answer to a charge.
func BenchmarkReceipt(b *testing.B) {
	s := benchSettlement(b)
	answer := []string{
		"OK", "4711", benchStanding, "4711",
		"1790000000000\t0123456789ab\t6080000\t2000000:0,80000:0,4000000:0\tb=1000000,r=5080000\tb=99000000,r=995000000\t6080000\t",
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := receiptOf(3, &reply{values: answer}, s); err != nil {
			b.Fatal(err)
		}
	}
}

const benchStanding = "proportional\t1000000000\t100000000\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t60\t3540000\t0\t0\t0"

// BenchmarkHold reads the answer to a reservation.
func BenchmarkHold(b *testing.B) {
	l := new(Ledger)
	r := &Reservation{ID: benchHold.ID, Credential: Credential{Account: "acme"}}
	answer := []string{
		"OK", "4711", "0123456789ab\t6080000\t1700\t1790000000000\tp1=1000,p2=3\tp1,p2;\tglm-4\t          ", "1790000900000", benchStanding,
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.holdOf(r, &reply{values: answer}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLog is a call's part in the settlement log: its open record, its
// end, and the note that it is booked, which goes with the next.
func BenchmarkLog(b *testing.B) {
	g, err := openSettleLog(b.TempDir(), "bench", func(string) int { return 0 }, false, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = g.close() }()
	l := new(Ledger)
	end, err := l.bookingOf(benchSettlement(b))
	if err != nil {
		b.Fatal(err)
	}
	open := &booking{id: end.id, account: end.account, suffix: end.suffix, model: end.model, idMS: end.idMS}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.open(open); err != nil {
			b.Fatal(err)
		}
		if _, err := g.end(recordSettle, end); err != nil {
			b.Fatal(err)
		}
		g.booked(end, 0, 4711, "6080000\t2000000:0,80000:0,4000000:0\tb=1000000,r=5080000")
		if used, bound := g.wal.Used(); used > bound/2 {
			b.StopTimer()
			_ = g.wal.Rotate()
			_ = g.wal.Purge(func(uint64) bool { return true })
			b.StartTimer()
		}
	}
}

// BenchmarkIDs makes a request's id, reads the time in it, and reads a key.
func BenchmarkIDs(b *testing.B) {
	secret, _ := newSecret("acme")
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = NewRequestID()
		}
	})
	b.Run("time", func(b *testing.B) {
		for b.Loop() {
			if _, err := idMillis(benchHold.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := ParseCredential(secret); !ok {
				b.Fatal(secret)
			}
		}
	})
}

// BenchmarkLines writes the lines of a quote as the scripts read them.
func BenchmarkLines(b *testing.B) {
	c := benchSettlement(b).Charge
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encodeLines(&c, "glm-4", "chat"); err != nil {
			b.Fatal(err)
		}
	}
}
