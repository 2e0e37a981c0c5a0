package ledger

import (
	"strings"
	"testing"
)

// A Redis that has lost its user (ACL rules that were never saved, and a restart) refuses every new connection: what was to be
// asked there has no answer, and is not taken for an empty one.
func TestRefusedConnectionIsNoAnswer(t *testing.T) {
	f := archived(t, Options{})

	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	admin := f.server.Client()
	f.must(admin.Do(f.ctx(), "ACL", "SETUSER", "tollgate", "on", ">secret", "~*", "+@all").Err())
	l, err := Open(f.ctx(), Options{
		URL: strings.Replace(f.server.URL(), "redis://", "redis://tollgate:secret@", 1), Currency: "CNY", Shards: 4, Archive: f.ledger.vault.address,
	})
	f.must(err)
	t.Cleanup(func() { _ = l.Close() })
	f.must(l.Ready(f.ctx()))
	f.must(admin.Do(f.ctx(), "ACL", "DELUSER", "tollgate").Err()) // its connections are closed

	if _, err := l.archiveMetas(f.ctx()); err == nil {
		t.Error("metas without an answer")
	}
	l.archiver.round(f.ctx())
	wants(t, l.archiver.state.Err, ErrUnavailable)
	_, err = l.markers(f.ctx(), []*logRecord{{booking: booking{account: "acme", id: "req_1"}}})
	wants(t, err, ErrUnavailable)
	wants(t, l.takesCalls(f.ctx()), ErrUnavailable)
	wants(t, l.Ready(f.ctx()), ErrUnavailable)

	f.must(admin.Do(f.ctx(), "ACL", "SETUSER", "tollgate", "on", ">secret", "~*", "+@all").Err())
	l.archiver.round(f.ctx())
	f.must(l.archiver.state.Err)
	f.must(l.Ready(f.ctx()))
}
