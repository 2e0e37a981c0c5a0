package proxy

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// holderRoute answers a key holder with one JSON object, or a document.
type holderRoute func(*http.Request, *ledger.Holder) (any, error)

// A document is an answer that is not JSON.
type document struct {
	contentType string
	write       func(io.Writer) error
}

// forHolder lets only valid keys through to a route. Nothing here is charged.
func (p *Proxy) forHolder(route holderRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{proxy: p, r: r, routing: p.routing.Load(), id: ledger.NewRequestID(), at: time.Now()}
		writeNoCharge(w.Header(), c.currency(), nil)
		api := p.apiOf(r.URL.Path)
		if api == meter.OpenAI && speaksAnthropic(r) {
			api = meter.Anthropic
		}
		answer, err := c.askHolder(w.Header(), route, api)
		if err != nil {
			e := c.asAPIError(err)
			e.write(w, c.id, api)
			p.reportRefusal(r, c.id, e, err)
			return
		}
		writeRequestID(w.Header(), c.id, api)
		page, is := answer.(document)
		if !is {
			page = document{"application/json", func(w io.Writer) error { return json.NewEncoder(w).Encode(answer) }}
		}
		w.Header().Set("Content-Type", page.contentType)
		_ = page.write(w) // the answer is complete: only the client can fail
	}
}

// askHolder authenticates the key, writes what is left to it into h, and calls the route.
func (c *call) askHolder(h http.Header, route holderRoute, api meter.API) (any, error) {
	var known bool
	if c.credential, known = credential(c.r, api); !known {
		return nil, errNoKey()
	}
	ctx, cancel := c.briefly()
	defer cancel()
	c.r = c.r.WithContext(ctx)
	holder, err := c.proxy.ledger.Holder(ctx, c.credential, clientAddr(c.r))
	if err != nil {
		return nil, err
	}
	writeStanding(h, &holder.Standing)
	return route(c.r, holder)
}

// keyInfo is GET /v1/key: what the key may do, has done, and what is left of each limit.
type keyInfo struct {
	*ledger.Key
	Currency  string        `json:"currency"`
	Remaining keyRemainders `json:"remaining"`
}

type keyRemainders struct {
	SpendTotal   *meter.Nano `json:"spend_total,omitempty"`
	SpendDaily   *meter.Nano `json:"spend_daily,omitempty"`
	SpendMonthly *meter.Nano `json:"spend_monthly,omitempty"`
	Tokens       *int64      `json:"tokens,omitempty"`
	RPM          *int64      `json:"rpm,omitempty"`
	TPM          *int64      `json:"tpm,omitempty"`
	Parallel     *int64      `json:"parallel,omitempty"`
}

func (p *Proxy) showKey(r *http.Request, h *ledger.Holder) (any, error) {
	limits, use := h.Key.Limits, h.Key.Use
	return keyInfo{h.Key, p.routing.Load().book.Currency(), keyRemainders{
		SpendTotal:   left(limits.SpendTotal, use.SpendTotal+use.SpendHeld),
		SpendDaily:   left(limits.SpendDaily, use.SpendDaily+use.SpendHeld),
		SpendMonthly: left(limits.SpendMonthly, use.SpendMonthly+use.SpendHeld),
		Tokens:       left(limits.Tokens, use.Tokens+use.TokensHeld),
		RPM:          leftNow(h.Key.Requests),
		TPM:          leftNow(h.Key.Tokens),
		Parallel:     left(limits.Parallel, use.Parallel),
	}}, nil
}

// left is what a limit leaves; nil without a limit.
func left[N ~int64](limit, used N) *N {
	if limit == 0 {
		return nil
	}
	rest := max(limit-used, 0)
	return &rest
}

// leftNow is what a limit a minute leaves at this moment; nil without a limit.
func leftNow(state ledger.RateState) *int64 {
	if state.Limit == 0 {
		return nil
	}
	return &state.Remaining
}

// credits is GET /v1/credits: the account's wallets and packs.
type credits struct {
	*ledger.Account
	Currency string `json:"currency"`
}

func (p *Proxy) showCredits(r *http.Request, h *ledger.Holder) (any, error) {
	return credits{h.Account, p.routing.Load().book.Currency()}, nil
}

func (p *Proxy) showReceipt(r *http.Request, h *ledger.Holder) (any, error) {
	receipt, err := p.ledger.Receipt(r.Context(), h.Account.ID, r.PathValue("id"))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, &apiError{
			status: http.StatusNotFound, code: "receipt_not_found", kind: kindInvalidRequest, final: true,
			message: "There is no receipt of this id: the request is not known to this account, is still in flight, or was not charged.",
		}
	}
	if err == nil {
		receipt.Reason = "" // an operator's, for the journal: the charge was priced anew
	}
	return receipt, err
}
