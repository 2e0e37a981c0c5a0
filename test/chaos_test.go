//go:build chaos

package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/internal/redistest"
)

// How hard the chaos rows pull. CHAOS_CYCLES makes them longer.
const (
	chaosCycles   = 3
	chaosClients  = 6
	chaosRefusals = 80 // that a client puts up with: four seconds
	chaosCalls    = 30 // of each client in a cycle
	chaosAnswers  = 20 // of all, before a strike
	chaosSettles  = 30 * time.Second
)

// A chaosRow is a fault, struck once in each cycle under load.
type chaosRow struct {
	name     string
	redis    []redistest.Option
	archive  bool
	holdTTL  string                      // 3s if empty
	mustLose bool                        // a row that observes no loss before the replay proves nothing
	prepare  func(c *chaos)              // once
	before   func(c *chaos)              // each cycle, before the load
	strike   func(c *chaos) (booked ids) // under load; nil: observed when the load has ended
	after    func(c *chaos)              // when the load of a cycle has ended
}

// ids are the request ids of charges that Redis has.
type ids map[string]bool

// chaos is one row while it runs.
type chaos struct {
	*world
	proxy      *process
	key        string
	faults     *faultProxy       // nil: the proxy reaches Redis itself
	replica    *redistest.Server // of the row of failovers
	second     *process          // of the row of archivers
	archivedBy [2]int            // entries, by proxy and second
	before     ids               // what Redis had just before it was killed
	promised   ids               // what Redis had acknowledged, or a log had, when it was dead
	floor      int64             // what no cut of the append-only file floorOf goes below
	floorOf    string

	mu       sync.Mutex
	requests int
	received ids
	pending  ids // those of received that the proxy had only promised to book
	logged   ids // not received in full, but in the settlement log of a proxy that was killed

	cycles, lostBefore int
}

// outcome is a line of the table.
type outcome struct {
	row                            string
	cycles, requests, acknowledged int
	lostBefore, lostAfter, doubled int
	held                           string
	audit                          bool
}

// Whatever a client has received in full is on the books exactly once, whatever
// happened to the processes meanwhile; every hold comes back, the books balance.
func TestChaos(t *testing.T) {
	cycles := chaosCycles
	if text := os.Getenv("CHAOS_CYCLES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("CHAOS_CYCLES is %q, not a number of cycles", text)
		}
		cycles = n
	}
	var outcomes []outcome
	for _, row := range chaosRows(t) {
		t.Run(row.name, func(t *testing.T) { outcomes = append(outcomes, row.run(t, cycles)) })
	}
	printOutcomes(outcomes)
}

func printOutcomes(outcomes []outcome) {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "row\tcycles\trequests\tacknowledged\tlost before replay\tlost after replay\tcharged twice\tholds left\taudit")
	for _, o := range outcomes {
		audit := "ok"
		if !o.audit {
			audit = "FAILED"
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", o.row, o.cycles, o.requests, o.acknowledged, o.lostBefore, o.lostAfter, o.doubled, o.held, audit)
	}
	_ = table.Flush() // of a table on stdout
}

// run runs the cycles of a row, and judges.
func (row chaosRow) run(t *testing.T, cycles int) outcome {
	w := newWorld(t, func(s *settings) {
		s.ledger = "hold_ttl: " + cmp.Or(row.holdTTL, "3s")
		s.redis = row.redis
		if row.archive {
			s.archive = "interval: 100ms, keep: 1s"
		}
	})
	c := &chaos{world: w, received: make(ids), pending: make(ids), logged: make(ids)}
	w.account("acme", "100000")
	w.verb("topup", "acme", "500", "--wallet", "bonus")
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "20000", "--models", "gpt-4o")
	c.key, _ = w.key("acme")
	if row.prepare != nil {
		row.prepare(c)
	}
	c.startProxy()
	for range cycles {
		c.cycle(row)
	}
	return c.judge(row)
}

// cycle lets clients call, strikes, and lets things come back.
func (c *chaos) cycle(row chaosRow) {
	if row.before != nil {
		row.before(c)
	}
	var clients sync.WaitGroup
	struck, before := new(atomic.Bool), c.answers()
	for client := range chaosClients {
		clients.Go(func() {
			for served, refused := 0, 0; !struck.Load() || served < chaosCalls && refused < chaosRefusals; {
				status := c.callOnce(client + served + refused)
				switch status {
				case 0:
					return // the proxy is gone
				case 503:
					refused++
					time.Sleep(50 * time.Millisecond) // as a client would that is told to come back
				default:
					served++
				}
			}
		})
	}
	eventually(c.t, "there are answers to lose", func() bool { return c.answers() >= before+chaosAnswers })
	time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	booked := row.strike(c)
	struck.Store(true)
	clients.Wait()
	if booked == nil {
		c.promised, booked = c.promisedSoFar(), c.onTheBooks()
	}
	for id := range c.promised {
		if !booked[id] && (c.before == nil || c.before[id]) {
			c.lostBefore++
		}
	}
	if row.after != nil {
		row.after(c)
	}
	c.cycles++
}

// callOnce makes one of the load's calls, and returns its status, 0 when nobody answered.
func (c *chaos) callOnce(i int) (status int) {
	path, body := killCall(i)
	r := c.proxy.send("POST", path, c.key, body)
	c.mu.Lock()
	c.requests++
	if whole(r) {
		id := r.header.Get("x-request-id")
		c.received[id] = true
		c.pending[id] = receiptOf(r, "x-tollgate-pending") != ""
	}
	c.mu.Unlock()
	return r.status
}

// answers is how many were received in full.
func (c *chaos) answers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.received)
}

// promisedSoFar are the answers received in full that Redis had acknowledged,
// and those that a log has, of a proxy that was killed.
func (c *chaos) promisedSoFar() ids {
	c.mu.Lock()
	defer c.mu.Unlock()
	promised := maps.Clone(c.logged)
	for id := range c.received {
		if !c.pending[id] {
			promised[id] = true
		}
	}
	return promised
}

// judge waits until all is replayed and swept, and compares.
func (c *chaos) judge(row chaosRow) outcome {
	o := outcome{row: row.name, cycles: c.cycles, requests: c.requests, acknowledged: len(c.received), lostBefore: c.lostBefore}
	for deadline := time.Now().Add(chaosSettles); ; time.Sleep(200 * time.Millisecond) {
		c.count(&o)
		if o.held == "0" && o.lostAfter == 0 && o.doubled == 0 && o.audit || time.Now().After(deadline) {
			break
		}
	}
	c.proxy.stop()
	if c.second != nil {
		c.second.stop()
	}
	c.count(&o) // its last words are said
	if o.lostAfter != 0 || o.doubled != 0 || o.held != "0" || !o.audit {
		c.t.Errorf("%+v", o)
	}
	if o.acknowledged < chaosAnswers*o.cycles {
		c.t.Errorf("%d answers in %d cycles prove nothing", o.acknowledged, o.cycles)
	}
	if row.mustLose && o.lostBefore == 0 {
		c.t.Error("nothing was lost before the replay: this row proves nothing")
	}
	return o
}

// count reads the books.
func (c *chaos) count(o *outcome) {
	charges, standing := make(map[string]int), make(map[string]int)
	for _, entry := range c.entries("acme", "charge", "abandon", "refund") {
		id := entry.Get("request_id").String()
		switch entry.Get("type").String() {
		case "charge":
			charges[id]++
			standing[id]++
		case "abandon":
			standing[id]++
		default: // a late settlement takes the charge of an abandoned call back
			standing[id]--
		}
	}
	o.lostAfter, o.doubled = 0, 0
	for _, promised := range []ids{c.received, c.logged} {
		for id := range promised {
			if charges[id] == 0 {
				o.lostAfter++
			}
		}
	}
	for id := range standing {
		if charges[id] > 1 || standing[id] > 1 {
			o.doubled++
		}
	}
	o.held = c.verb("account", "show", "acme").Get("held").String()
	stdout, _, code := c.run("audit", "--json")
	o.audit = code == 0 && gjson.Get(stdout, "ok").Bool()
}
