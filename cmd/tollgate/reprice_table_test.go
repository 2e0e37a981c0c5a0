package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A path that is mistyped is no built-in table, though that has the same name: money would be booked by it.
func TestRepriceTakesNoOtherTable(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for path, there := range map[string]bool{
		"prices/bigmodel.yaml": true, "./bigmodel.yaml": true,
		"fixed/bigmodel.yaml": false, filepath.Join(t.TempDir(), "bigmodel.yaml"): false,
	} {
		r := o.run("reprice --since 2026-11-01 --prices " + path)
		if there != (r.exit == exitOK) || !there && !strings.Contains(r.stderr, "there is no file "+path) {
			t.Errorf("%s: exit %d: %s", path, r.exit, r.stderr)
		}
	}
}
