package ledger

import (
	"slices"
	"testing"
)

// Accounts come by id, whatever shard they are in, and page by page each comes once.
func TestAccountsPageByPage(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		want := []string{"a-1", "acme", "b", "bb", "corp-2", "corp-20", "x", "z9"}
		for _, i := range []int{3, 0, 7, 5, 1, 6, 2, 4} {
			f.account(want[i], "1", "0", AccountOptions{})
		}
		for limit := range len(want) + 2 {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := f.ledger.Accounts(f.ctx(), AccountQuery{After: after, Limit: limit})
				f.must(err)
				if limit > 0 && len(page) > limit {
					f.Fatalf("%d accounts on a page of %d", len(page), limit)
				}
				for _, a := range page {
					got = append(got, a.ID)
				}
				if len(page) == 0 || limit == 0 {
					break
				}
			}
			if !slices.Equal(got, want) {
				f.Errorf("in pages of %d: %v", limit, got)
			}
		}
		for _, bad := range []AccountQuery{{Limit: -1}, {After: "not an account"}} {
			_, err := f.ledger.Accounts(f.ctx(), bad)
			wants(f, err, ErrInvalid)
		}
	})
}
