package proxy

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// receiptHeaders are written after the call: as headers of a JSON answer, as
// trailers of a stream.
var receiptHeaders = []string{
	"X-Tollgate-Cost", "X-Tollgate-Currency",
	"X-Tollgate-Usage-Input", "X-Tollgate-Usage-Cached-Input", "X-Tollgate-Usage-Output", "X-Tollgate-Usage-Total",
	"X-Tollgate-Usage-Source",
	"X-Tollgate-Paid-Pack", "X-Tollgate-Paid-Bonus", "X-Tollgate-Paid-Recharge",
	"X-Tollgate-Balance-Recharge", "X-Tollgate-Balance-Bonus", "X-Tollgate-Pack-Remaining",
	"X-Tollgate-Key-Remaining", "X-Tollgate-Pending",
}

// announcement is a stream's Trailer header.
var announcement = []string{strings.Join(receiptHeaders, ", ")}

// private headers, in canonical form, are not passed on: by their names, or by
// what their names begin with.
type private struct {
	names    map[string]struct{}
	prefixes []string
}

func privately(prefixes []string, names ...string) private {
	p := private{names: map[string]struct{}{}, prefixes: append(prefixes, "X-Tollgate-")} // which is ours to say
	// Hop-by-hop headers belong to one connection, either way.
	for _, name := range append(names, "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate",
		"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade") {
		p.names[name] = struct{}{}
	}
	return p
}

func (p *private) has(name string) bool {
	if _, has := p.names[name]; has {
		return true
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

var (
	// notToUpstream are headers of a client's request that do not go upstream: its
	// credential; its address and route, as it or a proxy in front of us wrote them; its
	// organisation at a provider where we have our own. All clients share our credential,
	// so two with the same Idempotency-Key could get each other's answer. Some of Google's
	// headers leave the usage out of answers, or choose another project or method. A part of
	// an answer (Range) could lack the usage, too.
	notToUpstream = privately([]string{"Cf-", "Fly-", "X-Envoy-", "X-Forwarded-", "X-Goog-"},
		"Authorization", "X-Api-Key", "Api-Key", "Cookie", "X-Http-Method-Override", "Content-Length", "Content-Encoding", "Accept-Encoding", "Expect",
		"Forwarded", "Via", "Origin", "Referer", "Cdn-Loop", "Fastly-Client-Ip", "True-Client-Ip", "X-Amzn-Trace-Id", "X-Client-Ip",
		"X-Cloud-Trace-Context", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Real-Ip",
		"Openai-Organization", "Openai-Project", "Anthropic-Organization-Id", "Anthropic-Workspace-Id", "Anthropic-User-Profile-Id", "Idempotency-Key", "Range", "If-Range")
	// notToClient are headers of an upstream's answer that do not go to the client:
	// cookies, redirections and protocol offers would lead it past the meter with its key;
	// CORS is our policy; the organisation is ours.
	notToClient = privately([]string{"Access-Control-"}, "Set-Cookie", "Location", "Refresh", "Alt-Svc", "Strict-Transport-Security", "Openai-Organization", "Openai-Project",
		"Anthropic-Organization-Id")
)

// passHeaders copies all that may be passed on.
func passHeaders(to, from http.Header, except *private) {
	for name, values := range from {
		if !except.has(name) {
			to[name] = values
		}
	}
	for _, names := range from["Connection"] { // headers of this connection, by its own word
		for name := range strings.SplitSeq(names, ",") {
			to.Del(strings.TrimSpace(name))
		}
	}
}

// copyAnswerHeaders takes over the upstream's headers, under our own request id.
func copyAnswerHeaders(to, from http.Header, requestID string, api meter.API) {
	ours := to["Vary"]
	passHeaders(to, from, &notToClient)
	if ours != nil { // it is the one header that both have a say in
		to["Vary"] = slices.Concat(ours, from["Vary"])
	}
	for _, name := range requestIDs(api) {
		if id := from[name]; id != nil {
			to["X-Upstream-Request-Id"] = id
		}
	}
	writeRequestID(to, requestID, api)
}

// requestIDs are the headers in which the clients of an API look for a request's id.
func requestIDs(api meter.API) []string {
	if api == meter.Anthropic {
		return anthropicRequestIDs
	}
	return anthropicRequestIDs[:1]
}

var anthropicRequestIDs = []string{"X-Request-Id", "Request-Id"}

func writeRequestID(h http.Header, id string, api meter.API) {
	for _, name := range requestIDs(api) {
		h[name] = []string{id}
	}
}

// maxWritten is how many headers we write to an answer at most.
const maxWritten = 24

// headerWriter sets headers whose names are canonical. Their values are parts of
// one text, made when all of them are written: a receipt has more than a dozen.
type headerWriter struct {
	names [maxWritten]string
	ends  [maxWritten]int // of the values in text
	n     int
	text  strings.Builder
}

func (w *headerWriter) set(name, value string) {
	if w.n == 0 {
		w.text.Grow(8 * maxWritten)
	}
	w.text.WriteString(value)
	w.names[w.n], w.ends[w.n] = name, w.text.Len()
	w.n++
}

func (w *headerWriter) count(name string, n int64) {
	var space [24]byte
	w.set(name, string(strconv.AppendInt(space[:0], n, 10)))
}

func (w *headerWriter) money(name string, amount meter.Nano) {
	var space [24]byte
	w.set(name, string(amount.Append(space[:0])))
}

// writeTo sets what was written.
func (w *headerWriter) writeTo(h http.Header) {
	text, values, from := w.text.String(), make([]string, w.n), 0
	for i, name := range w.names[:w.n] {
		values[i] = text[from:w.ends[i]]
		from = w.ends[i]
		h[name] = values[i : i+1 : i+1]
	}
}

// writeHold tells what is held: the cost is not known yet.
func writeHold(h http.Header, hold *ledger.Hold) {
	var w headerWriter
	w.money("X-Tollgate-Hold", hold.Cash)
	w.standing(&hold.Standing)
	w.writeTo(h)
}

// writeReceipt is the receipt as headers or trailers. It is the one place where
// it becomes either. certain says that no pack can pay a part of a pending one.
func writeReceipt(h http.Header, currency string, r *ledger.Receipt, certain bool) {
	var w headerWriter
	defer w.writeTo(h)
	input, cached, output, total := meter.UsageView(&r.Usage.Quantities)
	w.count("X-Tollgate-Usage-Input", input)
	w.count("X-Tollgate-Usage-Cached-Input", cached)
	w.count("X-Tollgate-Usage-Output", output)
	w.count("X-Tollgate-Usage-Total", total)
	w.set("X-Tollgate-Usage-Source", string(r.UsageSource))
	w.set("X-Tollgate-Currency", currency)
	if r.Pending {
		forgetStanding(h)
		w.pending(r, certain)
		return
	}
	w.money("X-Tollgate-Cost", r.FeeDue())
	pack, bonus, recharge := r.PaidBy()
	w.count("X-Tollgate-Paid-Pack", pack)
	w.money("X-Tollgate-Paid-Bonus", bonus)
	w.money("X-Tollgate-Paid-Recharge", recharge)
	w.standing(&r.Standing)
}

// pending is for a charge that is in the settlement log and not yet in the ledger. Who
// will pay is not known yet; the fee is, if no pack can cover a part of it.
func (w *headerWriter) pending(r *ledger.Receipt, certain bool) {
	w.set("X-Tollgate-Pending", "true")
	if certain {
		w.money("X-Tollgate-Cost", r.FeeDue())
	}
}

// forgetStanding takes back what the hold had left: it is not what is left now.
func forgetStanding(h http.Header) {
	for _, name := range []string{"Balance-Recharge", "Balance-Bonus", "Pack-Remaining", "Key-Remaining"} {
		h.Del("X-Tollgate-" + name)
	}
}

// unused are the headers of a call that used nothing, and that nobody paid.
var unused = [...]string{
	"X-Tollgate-Cost", "X-Tollgate-Usage-Input", "X-Tollgate-Usage-Cached-Input", "X-Tollgate-Usage-Output", "X-Tollgate-Usage-Total",
	"X-Tollgate-Paid-Pack", "X-Tollgate-Paid-Bonus", "X-Tollgate-Paid-Recharge",
}

// writeNoCharge is the receipt of a call that cost nothing.
func writeNoCharge(h http.Header, currency string, standing *ledger.Standing) {
	var w headerWriter
	for _, name := range unused {
		w.set(name, "0")
	}
	w.set("X-Tollgate-Currency", currency)
	if standing != nil {
		w.standing(standing)
	}
	w.writeTo(h)
}

func writeStanding(h http.Header, s *ledger.Standing) {
	var w headerWriter
	w.standing(s)
	w.writeTo(h)
}

// standing tells what is left. A limit that the key does not have leaves the
// upstream's header as it is.
func (w *headerWriter) standing(s *ledger.Standing) {
	w.money("X-Tollgate-Balance-Recharge", s.Recharge)
	w.money("X-Tollgate-Balance-Bonus", s.Bonus)
	if !s.OfNoModel {
		w.count("X-Tollgate-Pack-Remaining", s.PackFree)
	}
	if s.KeySpendLeft != nil {
		w.money("X-Tollgate-Key-Remaining", *s.KeySpendLeft)
	}
	w.rateLimit(&requestLimit, &s.Requests)
	w.rateLimit(&tokenLimit, &s.Tokens)
}

// rateNames are OpenAI's headers of one limit.
type rateNames struct{ limit, remaining, reset string }

var (
	requestLimit = rateNames{"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests"}
	tokenLimit   = rateNames{"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"}
)

// rateLimit puts one of the key's own limits in OpenAI's form.
func (w *headerWriter) rateLimit(names *rateNames, state *ledger.RateState) {
	if state.Limit == 0 {
		return
	}
	w.count(names.limit, state.Limit)
	w.count(names.remaining, state.Remaining)
	w.set(names.reset, state.Reset.Round(time.Millisecond).String())
}

// costMembers are put into the answer's usage object if the key or the request asks for
// it.
func costMembers(currency string, r *ledger.Receipt, certain bool) []byte {
	if r.Pending {
		return pendingCostMembers(currency, r, certain)
	}
	pack, bonus, recharge := r.PaidBy()
	details, err := json.Marshal(map[string]any{
		"currency": currency, "paid_pack": pack, "paid_bonus": bonus, "paid_recharge": recharge,
		"balance_recharge": r.Standing.Recharge, "balance_bonus": r.Standing.Bonus,
	})
	if err != nil {
		return nil
	}
	return []byte(`"cost":"` + r.FeeDue().String() + `","cost_details":` + string(details))
}

func pendingCostMembers(currency string, r *ledger.Receipt, certain bool) []byte {
	details, err := json.Marshal(map[string]any{"currency": currency, "pending": true})
	if err != nil {
		return nil
	}
	members := []byte(`"cost_details":` + string(details))
	if certain {
		members = append([]byte(`"cost":"`+r.FeeDue().String()+`",`), members...)
	}
	return members
}
