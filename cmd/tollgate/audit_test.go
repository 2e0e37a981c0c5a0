package main

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/ledger"
)

// What is wrong with the archive of a shard is no account's: the table names the shard, which its repair asks for.
func TestAuditNamesTheShard(t *testing.T) {
	text := auditText(&ledger.AuditReport{Differences: []ledger.Difference{
		{Shard: 58, Law: "ARCHIVE-PREFIX", What: "archive", Journal: "has all up to 1647, as Redis was told", Ledger: "ends at 1459"},
	}})
	if _, table, _ := strings.Cut(text, "ACCOUNT "); !strings.Contains(table, " SHARD ") || !strings.Contains(table, " 58 ") {
		t.Errorf("no shard in\n%s", text)
	}
}
