package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tollgate/tollgate/ledger"
)

// What cannot be booked is told what was wrong and what would be right, and changes nothing.
func TestBadInput(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	const accounts, acme = "/accounts", "/accounts/acme"
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, words        string
	}{
		{"POST", accounts, `{}`, 400, "invalid_request", "id is needed"},
		{"POST", accounts, `{"id": "Acme!"}`, 400, "invalid_request", "want a lower-case letter or digit"},
		{"POST", accounts, `{"id": "bolt", "split": "half"}`, 400, "invalid_request", "half"},
		{"POST", accounts, `{"id": "bolt", "overdraft": "-1"}`, 400, "invalid_request", "overdraft"},
		{"POST", accounts, `{"id": "bolt", "overdraft": 1}`, 400, "invalid_request", `overdraft: want an amount as a decimal string, such as "10"`},
		{"POST", accounts, `{"id": 5}`, 400, "invalid_request", "id: want a string, not a number"},
		{"POST", accounts, `["acme"]`, 400, "invalid_request", "want a JSON object, not an array"},
		{"POST", accounts, `{"id": "bolt"} {}`, 400, "invalid_request", "nothing behind it"},
		{"POST", accounts, `{"id": "bolt"`, 400, "invalid_request", "ends too early"},
		{"POST", accounts, `id=bolt`, 400, "invalid_request", "invalid character"},
		{"POST", accounts, "{\"id\": \"b\xff\"}", 400, "invalid_request", "not UTF-8"},
		{"POST", accounts, `{"id": "bolt", "name": "Bolt Ltd"}`, 400, "invalid_request", `unknown field "name": want id, split, overdraft`},
		{"POST", accounts, `{"id": "bolt", "ID": "cork"}`, 400, "invalid_request", `unknown field "ID": names are in lower case`},
		{"POST", accounts, `{"id": "bolt", "\u0069d": "cork"}`, 400, "invalid_request", "id is given twice"},
		{"POST", accounts, `{"id": "bolt", "split": ""}`, 400, "invalid_request", "split is empty"},
		{"POST", accounts, `null`, 400, "invalid_request", "want a JSON object, not null"},
		{"POST", accounts, `{"id": "` + strings.Repeat("a", maxBody) + `"}`, 413, "request_too_large", "larger than"},
		{"PATCH", acme, `{}`, 400, "invalid_request", "nothing is to change"},
		{"PATCH", acme, `{"overdraft": "1", "splitt": "equal"}`, 400, "invalid_request", `unknown field "splitt": want split, overdraft`},
		{"POST", acme + "/suspend", `{"why": "late"}`, 400, "invalid_request", `unknown field "why": want reason`},
		{"POST", acme + "/packs/p1/revoke", `{"why": "returned"}`, 400, "invalid_request", `unknown field "why": want reason`},
		{"GET", accounts + "/nobody", "", 404, "not_found", "account nobody"},
		{"POST", acme + "/topups", `{}`, 400, "invalid_request", "want more than 0"},
		{"POST", acme + "/topups", `{"amount": 5}`, 400, "invalid_request", "amount: want an amount as a decimal string"},
		{"POST", acme + "/topups", `{"amount": "5 CNY"}`, 400, "invalid_request", "5 CNY"},
		{"POST", acme + "/topups", `{"amount": "0.0000000001"}`, 400, "invalid_request", "0.0000000001"},
		{"POST", acme + "/topups", `{"amount": "1", "amount": "100"}`, 400, "invalid_request", "amount is given twice"},
		{"POST", acme + "/topups", `{"amount": "5", "wallet": "savings"}`, 400, "invalid_request", "want recharge or bonus"},
		{"POST", acme + "/topups", `{"amount": "5", "wallet": ""}`, 400, "invalid_request", "wallet is empty"},
		{"POST", acme + "/topups", `{"amount": "5", "ref": ""}`, 400, "invalid_request", "ref is empty: give it a value, or leave it out"},
		{"POST", acme + "/topups", `{"amount": "5", "ref": null}`, 400, "invalid_request", "ref is null: give it a value, or leave it out"},
		{"POST", acme + "/topups", `{"amount": "5", "ref": "a\u0000"}`, 400, "invalid_request", "without control characters"},
		{"POST", acme + "/topups", `{"amount": "5", "ref": "invoice \ud83d"}`, 400, "invalid_request", "ref has half a character"},
		{"POST", acme + "/topups?ref=invoice-81", `{"amount": "5"}`, 400, "invalid_request", `there is no "ref": this takes no query`},
		{"POST", accounts + "/nobody/topups", `{"amount": "5"}`, 404, "not_found", "account nobody"},
		{"POST", acme + "/adjustments", `{"amount": "5"}`, 400, "invalid_request", "reason"},
		{"POST", acme + "/adjustments", `{"amount": "5", "reaſon": "x", "reason": "y"}`, 400, "invalid_request", "names are in lower case"},
		{"POST", acme + "/adjustments", `{"amount": "-5", "reason": "x"}`, 400, "invalid_request", ""},
		{"POST", acme + "/refunds", `{"reason": "x"}`, 400, "invalid_request", "request_id is needed"},
		{"POST", acme + "/refunds", `{"request_id": "req_01m84zpx71gxv0yt3e0qjf34vr", "reason": "x", "amuont": "0.1"}`, 400, "invalid_request", `unknown field "amuont"`},
		{"POST", acme + "/refunds", `{"request_id": "req_01m84zpx71gxv0yt3e0qjf34vr", "reason": "x"}`, 404, "not_found", ""},
		{"POST", acme + "/packs", `{}`, 400, "invalid_request", "quantity"},
		{"POST", acme + "/packs", `{"quantity": 1.5}`, 400, "invalid_request", "quantity: want a whole number"},
		{"POST", acme + "/packs", `{"quantity": 5, "expires_at": "2020-01-01"}`, 400, "invalid_request", `expires_at: "2020-01-01" is over`},
		{"POST", acme + "/packs", `{"quantity": 5, "expires_at": "soon"}`, 400, "invalid_request", "want a date such as"},
		{"POST", acme + "/packs", `{"quantity": 5, "expires_at": ""}`, 400, "invalid_request", "expires_at is empty"},
		{"POST", acme + "/packs", `{"quantity": 5, "models": "glm-4"}`, 400, "invalid_request", "models: want a list of strings"},
		{"POST", acme + "/packs/p9/revoke", ``, 404, "not_found", "pack p9"},
		{"POST", acme + "/keys", `{"limits": null}`, 400, "invalid_request", "limits is null"},
		{"POST", acme + "/keys", `{"limits": {"spend_daily": null}}`, 400, "invalid_request", "spend_daily is null"},
		{"POST", acme + "/keys", `{"limits": {"spend_daily": 5}}`, 400, "invalid_request", "limits.spend_daily: want an amount as a decimal string"},
		{"POST", acme + "/keys", `{"limits": {"spend": "5"}}`, 400, "invalid_request", `unknown field "spend": want models, endpoints, networks, spend_total, spend_daily`},
		{"POST", acme + "/keys", `{"limits": {"rpm": 5, "rpm": 500}}`, 400, "invalid_request", "rpm is given twice"},
		{"POST", acme + "/keys", `{"limits": {"rpm": 5}, "limits": {}}`, 400, "invalid_request", "limits is given twice"},
		{"POST", acme + "/keys", `{"limits": {"RPM": 0}}`, 400, "invalid_request", `unknown field "RPM"`},
		{"POST", acme + "/keys", `{"limits": {"expires_at": ""}}`, 400, "invalid_request", "expires_at is empty"},
		{"POST", acme + "/keys", `{"limits": {"expires_at": "soon"}}`, 400, "invalid_request", "expires_at: "},
		{"POST", acme + "/keys", `{"limits": {"expires_at": "2020-01-01"}}`, 400, "invalid_request", `"2020-01-01" is over`},
		{"POST", acme + "/keys", `{"limits": 5}`, 400, "invalid_request", "limits: want an object, not a number"},
		{"POST", acme + "/keys", ` null `, 400, "invalid_request", "want a JSON object, not null"},
		{"POST", acme + "/keys", `{"limits": {"endpoints": ["chats"]}}`, 400, "invalid_request", `there is no endpoint "chats": want chat`},
		{"POST", acme + "/keys", `{"limits": {"networks": ["home"]}}`, 400, "invalid_request", "want an address or a CIDR"},
		{"POST", acme + "/keys/acme.000000000000/revoke", ``, 404, "not_found", "key acme.000000000000"},
		{"POST", acme + "/keys/acme.000000000000/revoke", `{"reason": "leaked"}`, 400, "invalid_request", `unknown field "reason": want none`},
		{"POST", acme + "/keys/tg-acme-" + strings.Repeat("x", 40) + "/revoke", ``, 400, "invalid_request", "this is a key's secret: want its id, acme."},
		{"POST", accounts + "/ACME/holds/req_01m84zpx71gxv0yt3e0qjf34vr/end", `{"charge": true}`, 400, "invalid_request", "want a lower-case letter"},
		{"POST", acme + "/holds/req_1/end", `{"charge": true}`, 400, "invalid_request", "want one such as"},
		{"POST", acme + "/holds/req_01m84zpx71gxv0yt3e0qjf34vr/end", `{}`, 400, "invalid_request", "charge is needed"},
		{"POST", acme + "/holds/req_01m84zpx71gxv0yt3e0qjf34vr/end", `{"charge": true, "release": true}`, 400, "invalid_request", `unknown field "release"`},
		{"GET", acme + "/journal?since=tomorrow", "", 400, "invalid_request", `since: "tomorrow": want a date`},
		{"GET", acme + "/journal?until=tomorrow", "", 400, "invalid_request", `until: "tomorrow": want a date`},
		{"GET", acme + "/journal?type=chrage", "", 400, "invalid_request", `there is no type "chrage"`},
		{"GET", acme + "/journal?limit=0", "", 400, "invalid_request", "want a number of entries"},
		{"GET", acme + "/journal?limit=-1", "", 400, "invalid_request", "want a number of entries"},
		{"GET", acme + "/journal?types=charge", "", 400, "invalid_request", `there is no "types": want since, until, type, limit`},
		{"GET", acme + "/journal?since=2026-11-03&until=2026-11-02", "", 400, "invalid_request", `is not after since`},
		{"GET", acme + "/journal?type=charge&type=refund", "", 400, "invalid_request", "type is given twice"},
		{"GET", acme + "/journal?until=", "", 400, "invalid_request", "until is empty"},
		{"GET", acme + "/journal?until=%zz", "", 400, "invalid_request", "the query"},
		{"GET", accounts + "/nobody/journal", "", 404, "not_found", "account nobody"},
		{"GET", "/holds?limit=5", "", 400, "invalid_request", "this takes no query"},
		{"GET", acme + "/bills/november", "", 400, "invalid_request", "want one such as 2026-11"},
		{"GET", acme + "/bills/2026-11?format=pdf", "", 400, "invalid_request", "want json or csv"},
		{"GET", accounts + "/nobody/bills/2026-11?format=csv", "", 404, "not_found", "account nobody"},
		{"GET", accounts + "/nobody/audit", "", 404, "not_found", "account nobody"},
		{"DELETE", acme, "", 405, "method_not_allowed", "want GET or PATCH"},
		{"GET", "/ledgers", "", 404, "not_found", "/admin/v1/openapi.yaml describes it"},
	} {
		o.refused(tt.method, tt.path, tt.body, tt.status, tt.code, tt.words)
	}
	for _, limit := range []string{"spend_total", "spend_daily", "spend_monthly", "tokens", "rpm", "tpm", "parallel"} { // 0 would be none
		nothing := "0"
		if strings.HasPrefix(limit, "spend") {
			nothing = `"0"`
		}
		o.refused("POST", acme+"/keys", `{"limits": {"`+limit+`": `+nothing+`}}`, 400, "invalid_request", "limits."+limit+" is "+nothing)
	}
	for _, list := range []string{"models", "endpoints", "networks"} { // neither may an empty one be
		o.refused("POST", acme+"/keys", `{"limits": {"`+list+`": []}}`, 400, "invalid_request", "limits."+list+" is an empty list")
	}
	a := decode[ledger.Account](o, o.do("GET", acme, ""))
	keys := decode[[]ledger.Key](o, o.do("GET", acme+"/keys", ""))
	entries := decode[[]ledger.Entry](o, o.do("GET", acme+"/journal", ""))
	if len(entries) != 1 || len(keys) != 0 || len(a.Packs) != 0 {
		t.Errorf("what was refused has left %d entries, %d keys, %d packs", len(entries), len(keys), len(a.Packs))
	}
	if all := decode[[]ledger.Account](o, o.do("GET", accounts, "")); len(all) != 1 {
		t.Errorf("%d accounts, want one", len(all))
	}
}

// What has not come whole is refused, also if what came of it would do: the rest of it may be the new key's limits.
func TestABodyThatBreaksOff(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	for _, came := range []string{"", `{}`, `{"name": "ci"}`} {
		r := httptest.NewRequest(http.MethodPost, prefix+"/accounts/acme/keys", io.MultiReader(strings.NewReader(came), iotest.ErrReader(io.ErrUnexpectedEOF)))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		o.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "the body broke off") {
			t.Errorf("%q: %d %s", came, w.Code, w.Body)
		}
	}
	if keys := decode[[]ledger.Key](o, o.do("GET", "/accounts/acme/keys", "")); len(keys) != 0 {
		t.Errorf("made %+v", keys)
	}
}
