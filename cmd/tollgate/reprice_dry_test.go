package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A dry run that fails does not say that it has booked anything.
func TestRepriceDryRunThatFails(t *testing.T) {
	o, l := ledgerOffice(t)
	chat := meter.PriceQuery{Model: "glm-4", Class: "chat", At: time.Now()}
	o.past(l, chat, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000}, Source: meter.FromUpstream}, wrongTable)
	right := writeFile(t, t.TempDir(), "right.yaml", rightTable)
	var stderr bytes.Buffer
	exit := run(t.Context(), shellWords("reprice --dry-run --since 2026-01-01 --prices "+right), fullDisk{}, &stderr, getenv(o.env))
	if said := stderr.String(); exit == exitOK || strings.Contains(said, "priced anew") || !strings.Contains(said, "no space left on device") {
		t.Errorf("exit %d: %s", exit, said)
	}
}
