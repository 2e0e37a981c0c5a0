package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// Where a charge is left alone because it is damaged the verb fails, and says so of that charge; the others are priced anew.
func TestRepriceBesideADamagedAccount(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	o.do("account create bad")
	l, err := ledger.Open(t.Context(), ledger.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	chat := meter.PriceQuery{Model: "glm-4", Class: "chat", At: time.Now()}
	used := meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000}, Source: meter.FromUpstream}
	right := writeFile(t, t.TempDir(), "right.yaml", rightTable)
	o.past(l, chat, "chat", used, wrongTable)
	r := o.past(l, chat, "chat", used, wrongTable)
	_, err = l.Refund(t.Context(), ledger.Refund{Account: "acme", RequestID: r.RequestID, Reason: "x"})
	if err != nil {
		t.Fatal(err)
	}
	o.pastOf(l, "bad", chat, "chat", used, wrongTable)
	keys, err := server.Client().Keys(t.Context(), "{tg*}:a:bad").Result()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if err := server.Client().HSet(t.Context(), keys[0], "recharge", "damaged").Err(); err != nil {
		t.Fatal(err)
	}
	said := o.run("reprice --since 2026-01-01 --prices " + right)
	if said.exit != exitFailed || !strings.Contains(said.stdout, "1 of 2 charges priced anew") || !strings.Contains(said.stdout, "DAMAGED, left as it is: request ") || said.stderr != "" {
		t.Errorf("exit %d: %s%s", said.exit, said.stdout, said.stderr)
	}
	again := o.run("reprice --json --since 2026-01-01 --prices " + right)
	if again.exit != exitFailed || !strings.Contains(again.stdout, `"damaged": true`) || !strings.Contains(again.stdout, `"repriced": 0`) {
		t.Errorf("again: exit %d, %s%s", again.exit, again.stdout, again.stderr)
	}
	dry := "reprice --dry-run --account acme --since 2026-01-01 --prices " + right
	if said := o.run(dry); said.exit != exitOK {
		t.Errorf("of acme: exit %d, %s%s", said.exit, said.stdout, said.stderr)
	}
	shard := fmt.Sprintf("{tg%d}:", r.Shard)
	seq, err := server.Client().HIncrBy(t.Context(), shard+"meta", "seq", 1).Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Client().Do(t.Context(), "XADD", shard+"journal", fmt.Sprintf("%d-0", seq), "t", "charge", "m", time.Now().UnixMilli(), "a", "acme", "f", "damaged").Err(); err != nil {
		t.Fatal(err)
	}
	if said := o.run(dry); said.exit != exitFailed || !strings.Contains(said.stdout, "DAMAGED") {
		t.Errorf("with a damaged entry: exit %d, %s%s", said.exit, said.stdout, said.stderr)
	}
}

// A repricing that cannot go on says what it has booked by then, and that it may be run again.
func TestRepriceThatCannotGoOn(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	l, err := ledger.Open(t.Context(), ledger.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	used := meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000}, Source: meter.FromUpstream}
	r := o.past(l, meter.PriceQuery{Model: "glm-4", Class: "chat", At: time.Now()}, "chat", used, wrongTable)
	right := writeFile(t, t.TempDir(), "right.yaml", rightTable)
	next := fmt.Sprintf("{tg%d}:", r.Shard+1)
	for _, set := range [][]any{{"DEL", next + "journal"}, {"SET", next + "journal", "damaged"}, {"HSET", next + "meta", "seq", 3}} {
		if err := server.Client().Do(t.Context(), set...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	said := o.run("reprice --since 2026-01-01 --prices " + right)
	if said.exit != exitFailed || !strings.Contains(said.stdout, "1 of 1 charge priced anew") ||
		!strings.Contains(said.stderr, "1 charge priced anew by then: run it again for the rest") {
		t.Errorf("exit %d: %s%s", said.exit, said.stdout, said.stderr)
	}
	if said := o.run("reprice --dry-run --since 2026-01-01 --prices " + right); said.exit != exitFailed || strings.Contains(said.stderr, "by then") {
		t.Errorf("a dry run: exit %d: %s%s", said.exit, said.stdout, said.stderr)
	}
}
