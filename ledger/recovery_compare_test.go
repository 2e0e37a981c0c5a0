package ledger

import (
	"errors"
	"testing"

	"github.com/tollgate/tollgate/ledger/archive"
)

// An archive that ends before what Redis has let go of, by one entry or by many, has gone back in time: nothing is opened on it.
func TestArchiveMustReachToWhatRedisHas(t *testing.T) {
	const end = 5 // of the archive
	for name, c := range map[string]struct {
		found shardFound
		agree bool
	}{
		"Redis goes on where the archive ends":    {shardFound{first: end + 1, seq: 9, archived: end}, true},
		"an entry is in neither":                  {shardFound{first: end + 2, seq: 9, archived: end}, false},
		"Redis has let go of all, and is no more": {shardFound{first: 0, seq: end, archived: end}, true},
		"Redis has let go of all, and was more":   {shardFound{first: 0, seq: end + 1, archived: end}, false},
		"Redis was told that more is archived":    {shardFound{first: 1, seq: 9, archived: end + 1}, false},
		"both are new":                            {shardFound{}, true},
		"Redis lacks the end":                     {shardFound{first: 1, seq: 3, archived: 2}, true},
	} {
		err := new(recovery).compare(t.Context(), archive.Head{Seq: end}, c.found)
		if (err == nil) != c.agree || err != nil && !errors.Is(err, errDisagree) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
