package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

const (
	// billsAtOnce is how many bills are added up at the same time: each reads a month of
	// the journal, and a client that asks for many must not slow down the calls.
	billsAtOnce = 2
	// billPatience bounds the reading of a month, which may have millions of calls.
	billPatience = 30 * time.Second
)

// showBill is GET /v1/bills/{month}: what the key's account used in a month, by all of its keys.
func (p *Proxy) showBill(r *http.Request, h *ledger.Holder) (any, error) {
	month, err := ledger.ParseMonth(r.PathValue("month"), p.ledger.Timezone())
	if err != nil {
		return nil, errInvalidRequest("month", fmt.Sprintf("The month '%s' is none: want one such as 2026-11.", r.PathValue("month")))
	}
	format := r.URL.Query().Get("format")
	if format != "" && format != "json" && format != "csv" {
		return nil, errInvalidRequest("format", fmt.Sprintf("The format '%s' is unknown: want json or csv.", format))
	}
	select {
	case p.billing <- struct{}{}:
		defer func() { <-p.billing }()
	case <-r.Context().Done():
		return nil, errors.Join(ledger.ErrUnavailable, r.Context().Err())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), billPatience) // r's is that of short questions
	defer cancel()
	bill, err := p.ledger.Bill(ctx, h.Account.ID, month)
	if err == nil && format == "csv" {
		return document{"text/csv; charset=utf-8", bill.WriteCSV}, nil
	}
	return bill, err
}
