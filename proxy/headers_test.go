package proxy

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// hopByHop are headers of one connection, that nobody passes on, either way.
var hopByHop = http.Header{
	"Proxy-Connection": {"keep-alive"}, "Keep-Alive": {"timeout=5"}, "Proxy-Authenticate": {"Basic"}, "Proxy-Authorization": {"Basic x"},
	"Te": {"trailers"}, "Trailer": {"X-Sum"}, "Transfer-Encoding": {"chunked"}, "Upgrade": {"websocket"},
}

func TestClientsSecretsStayHere(t *testing.T) {
	from := http.Header{
		"Authorization": {"Bearer tg-a-b"}, "X-Api-Key": {"tg-a-b"}, "Cookie": {"c"}, "X-Forwarded-For": {"10.0.0.1"}, "Openai-Organization": {"theirs"},
		"Api-Key": {"tg-a-b"}, "X-Goog-Api-Key": {"tg-a-b"}, "Openai-Project": {"theirs"}, "Anthropic-Organization-Id": {"theirs"},
		"Anthropic-Workspace-Id": {"theirs"}, "Anthropic-User-Profile-Id": {"theirs"},
		"Content-Length": {"7"}, "Content-Encoding": {"identity"}, "Expect": {"100-continue"}, // of a body that is written anew
		"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "X-Tollgate-Receipt": {"body"}, "Accept-Encoding": {"gzip"},
		"User-Agent": {"sdk"}, "Openai-Beta": {"x"}, "Content-Type": {"application/json"}, "Anthropic-Beta": {"y"}, "Anthropic-Version": {"z"},
	}
	maps.Copy(from, hopByHop)
	to := http.Header{}
	passHeaders(to, from, &notToUpstream)
	if want := (http.Header{"User-Agent": {"sdk"}, "Openai-Beta": {"x"}, "Content-Type": {"application/json"}, "Anthropic-Beta": {"y"}, "Anthropic-Version": {"z"}}); !reflect.DeepEqual(to, want) {
		t.Errorf("passed on: %v\nwant:      %v", to, want)
	}
}

// What a CDN or a load balancer in front of us has written is for us, and tells
// the upstream who our clients are. An Idempotency-Key would be shared by all who use our credential.
func TestWhatStoodBeforeUsStaysHere(t *testing.T) {
	from := http.Header{}
	for _, name := range []string{
		"Cf-Connecting-Ip", "Cf-Ray", "Cf-Ipcountry", "Cdn-Loop", "True-Client-Ip", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Envoy-External-Address", "X-Envoy-Original-Path", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For",
		"X-Amzn-Trace-Id", "X-Cloud-Trace-Context", "Fastly-Client-Ip", "Fly-Client-Ip", "Forwarded", "Via", "Origin", "Referer", "Cookie", "Idempotency-Key",
	} {
		from[name] = []string{"x"}
	}
	want := http.Header{}
	for _, name := range []string{"User-Agent", "Openai-Beta", "X-Stainless-Lang", "X-Stainless-Retry-Count", "Accept", "Accept-Language", "Traceparent"} {
		from[name], want[name] = []string{"x"}, []string{"x"}
	}
	to := http.Header{}
	passHeaders(to, from, &notToUpstream)
	if !reflect.DeepEqual(to, want) {
		t.Errorf("passed on: %v\nwant:      %v", to, want)
	}
}

func TestUpstreamCannotSpeakInOurName(t *testing.T) {
	from := http.Header{
		"X-Request-Id": {"theirs"}, "X-Tollgate-Cost": {"0"}, "Set-Cookie": {"c"}, "Alt-Svc": {"h3"}, "Openai-Processing-Ms": {"7"},
		"Location": {"https://x"}, "Refresh": {"0; url=https://x"}, "Strict-Transport-Security": {"max-age=1"},
		"Openai-Organization": {"ours"}, "Openai-Project": {"ours"}, "Anthropic-Organization-Id": {"ours"}, "Access-Control-Allow-Origin": {"*"}, "Connection": {"close, X-Hop"}, "X-Hop": {"1"},
	}
	maps.Copy(from, hopByHop)
	to := http.Header{}
	copyAnswerHeaders(to, from, "ours", meter.OpenAI)
	if want := (http.Header{"X-Request-Id": {"ours"}, "X-Upstream-Request-Id": {"theirs"}, "Openai-Processing-Ms": {"7"}}); !reflect.DeepEqual(to, want) {
		t.Errorf("got  %v\nwant %v", to, want)
	}
}

// What an answer varies by, of two that know of something.
func TestVaryIsOursAndTheUpstreams(t *testing.T) {
	for _, ours := range [][]string{nil, {"Origin"}} {
		to := http.Header{}
		if ours != nil {
			to["Vary"] = ours
		}
		copyAnswerHeaders(to, http.Header{"Vary": {"Accept-Encoding"}}, "ours", meter.OpenAI)
		if want := append(slices.Clone(ours), "Accept-Encoding"); !reflect.DeepEqual(to["Vary"], want) {
			t.Errorf("%q, want %q", to["Vary"], want)
		}
	}
}

// Anthropic's clients look for a request's id in a header of another name: it is ours there, too.
func TestAnthropicsRequestIDIsOurs(t *testing.T) {
	for _, from := range []http.Header{{"Request-Id": {"theirs"}}, {"X-Request-Id": {"theirs"}}, {}} {
		to := http.Header{}
		copyAnswerHeaders(to, from, "ours", meter.Anthropic)
		want := http.Header{"Request-Id": {"ours"}, "X-Request-Id": {"ours"}}
		if len(from) > 0 {
			want["X-Upstream-Request-Id"] = []string{"theirs"}
		}
		if !reflect.DeepEqual(to, want) {
			t.Errorf("got  %v\nwant %v", to, want)
		}
	}
}

func TestRateLimitsReplaceTheUpstreamsWhereTheKeyHasThem(t *testing.T) {
	names := []string{
		"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
		"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens",
	}
	limit := ledger.RateState{Limit: 60, Remaining: 59, Reset: 6*time.Minute + 1400*time.Microsecond}
	for what, c := range map[string]struct {
		standing ledger.Standing
		want     string
	}{
		"requests": {ledger.Standing{Requests: limit}, "60 59 6m0.001s theirs theirs theirs"},
		"tokens":   {ledger.Standing{Tokens: limit}, "theirs theirs theirs 60 59 6m0.001s"},
		"neither":  {ledger.Standing{}, "theirs theirs theirs theirs theirs theirs"},
	} {
		h, got := http.Header{}, make([]string, len(names))
		for _, name := range names {
			h[name] = []string{"theirs"}
		}
		writeStanding(h, &c.standing)
		for i, name := range names {
			got[i] = h.Get(name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("a limit of %s: %v, want %s", what, got, c.want)
		}
	}
}

// What is not limited, or not known without a model, is not told as a zero.
func TestStandingTellsWhatThereIs(t *testing.T) {
	left := meter.Nano(5)
	for want, s := range map[string]ledger.Standing{
		"5 0.000000001 7 ":   {Recharge: 5 * meter.NanoPerUnit, Bonus: 1, PackFree: 7},
		"-1 0 0 0.000000005": {Recharge: -meter.NanoPerUnit, KeySpendLeft: &left},
		"0 0  ":              {OfNoModel: true},
	} {
		h := http.Header{}
		writeStanding(h, &s)
		if got := h.Get("X-Tollgate-Balance-Recharge") + " " + h.Get("X-Tollgate-Balance-Bonus") + " " +
			h.Get("X-Tollgate-Pack-Remaining") + " " + h.Get("X-Tollgate-Key-Remaining"); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

// The head of a stream has what was left after the hold. If the charge is pending,
// its trailers must not say it again as if it were so now.
func TestPendingTrailersForgetTheHold(t *testing.T) {
	left, fee := meter.Nano(1), meter.Nano(7)
	for certain, want := range map[bool]string{true: "0.000000007", false: ""} {
		h := http.Header{}
		writeHold(h, &ledger.Hold{Cash: 9, Standing: ledger.Standing{Recharge: 3, Bonus: 2, PackFree: 4, KeySpendLeft: &left}})
		if h.Get("X-Tollgate-Hold") != "0.000000009" || h.Get("X-Tollgate-Key-Remaining") != "0.000000001" {
			t.Errorf("the head says %v", h)
		}
		writeReceipt(h, "CNY", &ledger.Receipt{Entry: ledger.Entry{Fee: &fee}, Pending: true}, certain)
		for _, name := range receiptHeaders {
			switch told := h.Get(name) != ""; {
			case name == "X-Tollgate-Cost":
				if got := h.Get(name); got != want {
					t.Errorf("the cost is %q, want %q", got, want)
				}
			case name == "X-Tollgate-Usage-Source": // of no usage
			case told != (name == "X-Tollgate-Pending" || name == "X-Tollgate-Currency" || strings.HasPrefix(name, "X-Tollgate-Usage-")):
				t.Errorf("%s: %q", name, h.Get(name))
			}
		}
	}
}

// Who asks for the cost in the body gets all that the headers say of who paid.
func TestCostMembers(t *testing.T) {
	fee := meter.Nano(7)
	paid := ledger.Receipt{Entry: ledger.Entry{Fee: &fee, Paid: []ledger.Payment{
		{From: "pack:p1", Quantity: 11}, {From: "bonus", Amount: 2}, {From: "recharge", Amount: 5},
	}}, Standing: ledger.Standing{Recharge: 300, Bonus: 40}}
	pending := ledger.Receipt{Entry: ledger.Entry{Fee: &fee}, Pending: true}
	for name, c := range map[string]struct {
		receipt *ledger.Receipt
		certain bool
		want    string
	}{
		"paid": {&paid, true, `{"cost":"0.000000007","cost_details":{"currency":"CNY","paid_pack":11,"paid_bonus":"0.000000002",` +
			`"paid_recharge":"0.000000005","balance_recharge":"0.0000003","balance_bonus":"0.00000004"}}`},
		"pending":                {&pending, true, `{"cost":"0.000000007","cost_details":{"currency":"CNY","pending":true}}`},
		"pending, beside a pack": {&pending, false, `{"cost_details":{"currency":"CNY","pending":true}}`},
	} {
		var got, want any
		if err := json.Unmarshal([]byte("{"+string(costMembers("CNY", c.receipt, c.certain))+"}"), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Every header of the receipt must be announced, or it would not be sent as a trailer.
func TestReceiptTrailersAreAnnounced(t *testing.T) {
	h := http.Header{}
	left := meter.Nano(1)
	fee := meter.Nano(7)
	receipt := &ledger.Receipt{Entry: ledger.Entry{Fee: &fee}, Standing: ledger.Standing{HasPacks: true, KeySpendLeft: &left}}
	writeReceipt(h, "CNY", receipt, true)
	announced := map[string]bool{}
	for _, name := range receiptHeaders {
		announced[name] = true
	}
	pending := http.Header{}
	writeReceipt(pending, "CNY", &ledger.Receipt{Entry: ledger.Entry{Fee: &fee}, Pending: true}, true)
	if pending.Get("X-Tollgate-Pending") != "true" || pending.Get("X-Tollgate-Cost") != "0.000000007" || pending.Get("X-Tollgate-Balance-Recharge") != "" {
		t.Errorf("a pending receipt says %v", pending)
	}
	for name := range pending {
		h[name] = nil
	}
	for name := range h {
		if !announced[name] {
			t.Errorf("%s is written but not announced", name)
		}
		delete(announced, name)
	}
	if len(announced) > 0 {
		t.Errorf("announced but never written: %v", announced)
	}
}
