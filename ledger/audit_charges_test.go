package ledger

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A replayed journal is what an auditor is shown, without a Redis.
type replayedJournal struct {
	*testing.T
	auditor *auditor
	entries []*Entry
}

func newReplayedJournal(t *testing.T) *replayedJournal {
	j := &replayedJournal{T: t}
	j.auditor = newAuditor(0, 1<<40, &AuditReport{}, func(seq int64) (*Entry, error) { return j.entries[seq-1], nil })
	j.show(&Entry{Type: TypeAccount, Detail: map[string]any{}})
	return j
}

// show replays an entry as the journal's next.
func (j *replayedJournal) show(e *Entry) *Entry {
	j.Helper()
	e.ID, e.Account, e.Time = entryID(int64(len(j.entries)+1)), "acme", time.UnixMilli(1)
	j.entries = append(j.entries, e)
	if err := j.auditor.replay(e); err != nil {
		j.Fatal(err)
	}
	return e
}

func (j *replayedJournal) charge(request string) *Entry {
	j.Helper()
	fee := meter.Nano(5)
	return j.show(&Entry{
		Type: TypeCharge, RequestID: request, Fee: &fee, Paid: []Payment{{From: string(Recharge), Amount: fee}},
		Lines: []ChargeLine{{Line: meter.Line{Quantity: 1, Rate: meter.Rate{Pico: 1000 * int64(fee), Per: 1}, Amount: fee}}},
	})
}

// giveBack refunds a charge as a whole, so that it may be made anew.
func (j *replayedJournal) giveBack(charge *Entry) {
	j.Helper()
	j.show(&Entry{Type: TypeRefund, RequestID: charge.RequestID, Charge: charge.ID, Paid: charge.Paid, takenBack: true})
}

// broken are the laws that have been found broken, each with its entry.
func (j *replayedJournal) broken() (list []string) {
	for _, d := range j.auditor.report.Differences {
		list = append(list, d.Law+" "+d.What)
	}
	return list
}

// Of charges an audit remembers a hash of their request and where they are. Two requests of the same hash are two.
func TestAuditTellsRequestsOfOneHashApart(t *testing.T) {
	for name, hash := range map[string]func(string) uint64{"hashes of their own": nil, "one hash": func(string) uint64 { return 1<<64 - 1 }} {
		t.Run(name, func(t *testing.T) {
			j := newReplayedJournal(t)
			if hash != nil {
				j.auditor.hash = hash
			}
			first, second := j.charge("first"), j.charge("second")
			third := j.charge("third")
			j.giveBack(second)
			j.giveBack(second) // of which nothing is left
			j.charge("second") // it was taken back
			j.giveBack(third)
			again := j.charge("first") // it stands
			j.giveBack(&Entry{RequestID: "fourth", ID: first.ID, Paid: first.Paid})
			want := fmt.Sprint([]string{"REFUND-CAP entry 6-0", "ONCE entry " + again.ID, "REFUND-CAP entry 10-0"})
			if got := fmt.Sprint(j.broken()); got != want {
				t.Errorf("broken: %s, want %s", got, want)
			}
		})
	}
}

// An audit of years must fit into memory: of a charge it keeps less than its request's id takes.
func TestAuditKeepsLittleOfACharge(t *testing.T) {
	const charges = 100_000
	j := newReplayedJournal(t)
	before := heap()
	for range charges {
		j.charge(NewRequestID())
		j.entries = j.entries[:1] // those that the test keeps are not the audit's
		j.auditor.seq = 1
	}
	each := float64(heap()-before) / charges
	t.Logf("%.0f bytes for each charge", each)
	if each > 100 {
		t.Errorf("%.0f bytes for each charge", each)
	}
	runtime.KeepAlive(j)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
