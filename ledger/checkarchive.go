package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
)

// checkPatience bounds a look at the archive: who asks is a person.
const checkPatience = 3 * time.Second

// CheckArchive checks whether the archive at an address can be used, without making one. l
// is the ledger that it must belong to, nil if there is none to compare with. ErrNotFound
// means that there is no archive yet, which is right before the first proxy has run; any
// other error says what is wrong.
func CheckArchive(ctx context.Context, address string, l *Ledger) error {
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	a, err := archive.OpenExisting(ctx, address)
	if errors.Is(err, archive.ErrMissing) {
		if l != nil && l.vault.identity != "" {
			return fmt.Errorf("%w, but the ledger has recorded one (%s)", err, l.vault.identity)
		}
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return err
	}
	if l == nil {
		return a.Close()
	}
	return errors.Join(l.vault.check(ctx, a), a.Close())
}
