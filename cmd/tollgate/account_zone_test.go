package main

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Whoever makes an account is not who serves: that the file at hand has another time
// zone, or none, changes nothing for the verbs that have no file.
func TestAccountCreateLeavesTheTimezone(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	create := func(account, policy string) {
		t.Helper()
		path := writeFile(t, dir, "c.yaml", "ledger: {redis: '"+server.URL()+"', log: '"+dir+"/logs'}\npricing: {currency: CNY}\n"+policy)
		if r := runWith(t, nil, "account", "create", account, "-c", path); r.exit != exitOK {
			t.Fatalf("exit %d: %s", r.exit, r.stderr)
		}
	}
	create("first", "policy: {timezone: Asia/Shanghai}\n") // it makes the ledger, whose zone that is until somebody serves
	create("second", "")
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL()}}
	if r := o.do("bill first --month 2026-11"); !strings.Contains(r.stdout, "(Asia/Shanghai)") {
		t.Errorf("the bill is of another zone: %s", r.stdout)
	}
}
