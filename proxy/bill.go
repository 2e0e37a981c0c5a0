package proxy

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

// billPatience bounds the reading of a month, which may have millions of calls.
const billPatience = 30 * time.Second

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
	if _, busy := p.billing.LoadOrStore(h.Account.ID, true); busy {
		return nil, errBillBusy()
	}
	defer p.billing.Delete(h.Account.ID)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), billPatience) // r's is that of short questions
	defer cancel()
	bill, err := p.ledger.Bill(ctx, h.Account.ID, month)
	if err == nil && format == "csv" {
		return document{"text/csv; charset=utf-8", bill.WriteCSV}, nil
	}
	return bill, err
}

// errBillBusy refuses a bill while another one of the account is being added up: each
// reads a month of the journal, and a client that asks for many must not slow down the calls.
func errBillBusy() *apiError {
	return &apiError{
		status: http.StatusTooManyRequests, code: "rate_limit_exceeded", kind: kindRateLimit, retryAfter: time.Second,
		message: "A bill of this account is being added up already. Ask again when that is done.",
	}
}
