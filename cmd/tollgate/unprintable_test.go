package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/ledger"
)

// fullDisk is what stdout is when it goes to a file on one.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// What is booked and cannot be printed is told as booked: who is told of the disk
// alone says it again.
func TestBookedThoughItCannotBePrinted(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for args, want := range map[string]string{
		"topup acme 5":                 "it is booked (journal entry ",
		"topup acme 5 --json":          "it is booked (journal entry ",
		"adjust acme 1 --reason x":     "it is booked (journal entry ",
		"pack grant acme --quantity 5": "pack p1 is granted, but",
		"key create acme":              "if its secret is nowhere: `tollgate key revoke acme.",
		"account show acme":            "tollgate: no space left on device", // nothing was to be booked
	} {
		var stderr bytes.Buffer
		exit := run(t.Context(), shellWords(args), fullDisk{}, &stderr, getenv(o.env))
		if exit != exitFailed || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), "no space left on device") {
			t.Errorf("%s: exit %d, %s", args, exit, stderr.String())
		}
	}
	if a := decode[ledger.Account](t, o.do("account show acme --json")); a.Wallets[ledger.Recharge].Balance.String() != "11" {
		t.Errorf("balance = %s", a.Wallets[ledger.Recharge].Balance)
	}
}
