package proxy

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func TestClientsSecretsStayHere(t *testing.T) {
	from := http.Header{
		"Authorization": {"Bearer tg-a-b"}, "X-Api-Key": {"tg-a-b"}, "Cookie": {"c"}, "X-Forwarded-For": {"10.0.0.1"}, "Openai-Organization": {"theirs"},
		"Connection": {"keep-alive, X-Hop"}, "X-Hop": {"1"}, "X-Tollgate-Receipt": {"body"}, "Accept-Encoding": {"gzip"},
		"User-Agent": {"sdk"}, "Openai-Beta": {"x"}, "Content-Type": {"application/json"},
	}
	to := http.Header{}
	passHeaders(to, from, fromClient)
	if want := (http.Header{"User-Agent": {"sdk"}, "Openai-Beta": {"x"}, "Content-Type": {"application/json"}}); !reflect.DeepEqual(to, want) {
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
	passHeaders(to, from, fromClient)
	if !reflect.DeepEqual(to, want) {
		t.Errorf("passed on: %v\nwant:      %v", to, want)
	}
}

func TestUpstreamCannotSpeakInOurName(t *testing.T) {
	to := http.Header{}
	copyAnswerHeaders(to, http.Header{
		"X-Request-Id": {"theirs"}, "X-Tollgate-Cost": {"0"}, "Set-Cookie": {"c"}, "Alt-Svc": {"h3"}, "Openai-Processing-Ms": {"7"},
	}, "ours")
	if want := (http.Header{"X-Request-Id": {"ours"}, "X-Upstream-Request-Id": {"theirs"}, "Openai-Processing-Ms": {"7"}}); !reflect.DeepEqual(to, want) {
		t.Errorf("got  %v\nwant %v", to, want)
	}
}

func TestRateLimitsReplaceTheUpstreamsWhereTheKeyHasThem(t *testing.T) {
	h := http.Header{"X-Ratelimit-Limit-Tokens": {"upstream's"}}
	writeStanding(h, &ledger.Standing{
		Recharge: 5 * meter.NanoPerUnit, Requests: ledger.RateState{Limit: 60, Remaining: 59, Reset: 6 * time.Minute},
	})
	for name, want := range map[string]string{
		"X-Ratelimit-Limit-Requests": "60", "X-Ratelimit-Remaining-Requests": "59", "X-Ratelimit-Reset-Requests": "6m0s",
		"X-Ratelimit-Limit-Tokens": "upstream's", "X-Tollgate-Balance-Recharge": "5", "X-Tollgate-Balance-Bonus": "0",
		"X-Tollgate-Pack-Remaining": "0", "X-Tollgate-Key-Remaining": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
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
