package ledger

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/ledger/wal"
)

// NO-LOST: a log that another version has written, or whose records make no sense, is not taken as if it had none: who starts on
// it is told, and so is who adopts it.
func TestLogOfAnotherVersion(t *testing.T) {
	sound := (&logRecord{kind: recordSettle, booking: booking{id: "no request's", account: "acme"}}).appendTo([]byte{recordVersion})
	for name, record := range map[string][]byte{
		"of another version": {recordVersion + 1, recordSettle}, "cut off": sound[:10], "of no request": sound,
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			p.reserveOn(l, cost(t, "1"))
			dir := l.log.dir
			p.die(l)
			log, err := wal.Open(wal.Options{Dir: dir})
			p.must(err)
			_, err = log.Append(record)
			p.must(errors.Join(err, log.Close()))
			for range 2 {
				_, err = Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
				wants(t, err, errForeignRecord)
				_, err = p.ledger.AdoptLog(p.ctx(), filepath.Dir(dir))
				wants(t, err, errForeignRecord)
			}
			p.balances("acme", "10 0 1")
		})
	}
}
