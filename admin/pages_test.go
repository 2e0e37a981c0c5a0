package admin

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/ledger"
)

// Accounts come page by page, each once, in the order of their ids, wherever they are kept.
func TestAccountsByPages(t *testing.T) {
	o := newOperator(t)
	var want []string
	for n := range 7 {
		id := fmt.Sprintf("acme-%d", n)
		o.do("POST", "/accounts", fmt.Sprintf(`{"id": %q}`, id))
		want = append(want, id)
	}
	for _, limit := range []int{1, 3, 7, 100} {
		var got []string
		for after := ""; ; {
			path := fmt.Sprintf("/accounts?limit=%d", limit)
			if after != "" {
				path += "&after=" + after
			}
			page := decode[[]ledger.Account](o, o.do("GET", path, ""))
			if len(page) == 0 {
				break
			}
			for i := range page {
				got = append(got, page[i].ID)
			}
			if len(page) > limit {
				t.Errorf("a page of %d, not %d", len(page), limit)
			}
			after = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
	for query, why := range map[string]string{
		"?limit=0": "want a number of accounts", "?limit=-1": "want a number of accounts", "?limit=x": "want a number of accounts",
		"?after=A%20B": "account", "?before=a": "want after, limit",
	} {
		o.refused("GET", "/accounts"+query, "", 400, "invalid_request", why)
	}
}
