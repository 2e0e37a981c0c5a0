package ledger

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32: sorts as it counts
	idTime     = 10                                 // characters of time in an id: 48 bits of ms
	idRandom   = 16                                 // characters of chance: 80 bits

	secretAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	secretLength   = 40 // about 238 bits
	secretMinimum  = 32
	secretMaximum  = 128
	suffixLength   = 12 // of a key's id: the first hex digits of its SHA-256
)

// NewRequestID returns a new id: "req_", the time, and 80 bits of chance. Ids
// sort by time, and the time in them tells where their outcome is kept.
func NewRequestID() string { return newID("req_", time.Now()) }

func newID(prefix string, at time.Time) string {
	id := make([]byte, len(prefix)+idTime+idRandom)
	copy(id, prefix)
	ms := uint64(at.UnixMilli())
	for i := len(prefix) + idTime - 1; i >= len(prefix); i-- {
		id[i] = idAlphabet[ms&31]
		ms >>= 5
	}
	chance := id[len(prefix)+idTime:]
	_, _ = rand.Read(chance) // never fails
	for i, b := range chance {
		chance[i] = idAlphabet[b&31]
	}
	return string(id)
}

// idMillis returns the time in a request id, in ms.
func idMillis(id string) (int64, error) {
	_, tail, found := strings.Cut(id, "_")
	if !found || len(tail) != idTime+idRandom {
		return 0, fmt.Errorf("%w: request id %q: want one such as req_01m84zpx71gxv0yt3e0qjf34vr", ErrInvalid, id)
	}
	var ms int64
	for i := range len(tail) {
		digit := strings.IndexByte(idAlphabet, tail[i])
		if digit < 0 {
			return 0, fmt.Errorf("%w: request id %q: want one such as req_01m84zpx71gxv0yt3e0qjf34vr", ErrInvalid, id)
		}
		if i < idTime {
			ms = ms<<5 | int64(digit)
		}
	}
	return ms, nil
}

// newSecret makes a key's secret and its credential, of chance.
func newSecret(account string) (string, Credential) {
	secret, credential, _ := secretOf(account, rand.Reader) // which never fails
	return secret, credential
}

// seededSecret makes those that a seed stands for, in an account: always the same.
func seededSecret(account string, seed []byte) (string, Credential, error) {
	stream, err := hkdf.Expand(sha256.New, seed, "tollgate key of "+account, 8*secretLength)
	if err != nil {
		return "", Credential{}, err
	}
	return secretOf(account, bytes.NewReader(stream))
}

func secretOf(account string, chance io.Reader) (string, Credential, error) {
	text := make([]byte, 0, secretLength)
	var some [64]byte
	for len(text) < secretLength {
		n, err := chance.Read(some[:])
		if err != nil {
			return "", Credential{}, err
		}
		for _, b := range some[:n] {
			// 248 is the largest multiple of 62 in a byte: beyond it, some characters would be likelier.
			if b < 248 && len(text) < secretLength {
				text = append(text, secretAlphabet[b%62])
			}
		}
	}
	secret := "tg-" + account + "-" + string(text)
	return secret, Credential{Account: account, Hash: hashSecret(secret)}, nil
}

func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hexText(sum[:])
}

// hexText is what hex.EncodeToString makes of up to 32 bytes, without its detour.
func hexText(b []byte) string {
	var space [64]byte
	return string(hex.AppendEncode(space[:0], b))
}

// ParseCredential reads a key as a client presents it, tg-<account>-<secret>.
// It reports false for what cannot be a key of ours, whatever is in Redis.
func ParseCredential(secret string) (Credential, bool) {
	rest, ours := strings.CutPrefix(secret, "tg-")
	at := strings.LastIndexByte(rest, '-')
	if !ours || at < 0 {
		return Credential{}, false
	}
	account, text := rest[:at], rest[at+1:]
	if !validAccount(account) || len(text) < secretMinimum || len(text) > secretMaximum {
		return Credential{}, false
	}
	for i := range len(text) {
		if strings.IndexByte(secretAlphabet, text[i]) < 0 {
			return Credential{}, false
		}
	}
	return Credential{Account: account, Hash: hashSecret(secret)}, true
}

// validAccount: [a-z0-9][a-z0-9._-]{0,63}. Every call asks this.
func validAccount(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		plain := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !plain && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// valid reports whether the credential is one that ParseCredential could have made.
func (c Credential) valid() bool {
	return validAccount(c.Account) && len(c.Hash) == 2*sha256.Size
}

// suffix is the part of the key's id after the account. It locates the key in
// Redis; the whole hash is what is compared.
func (c Credential) suffix() string { return c.Hash[:suffixLength] }

// KeyID is the id of the key that the credential would be of, whether there is one or not.
func (c Credential) KeyID() string { return keyID(c.Account, c.suffix()) }

// A key's id is <account>.<suffix>: it tells its account, and nothing of the secret.
func keyID(account, suffix string) string {
	if suffix == "" {
		return ""
	}
	return account + "." + suffix
}

// splitKeyID is the inverse of keyID.
func splitKeyID(id string) (account, suffix string, ok bool) {
	at := strings.LastIndexByte(id, '.')
	if at < 0 || !validAccount(id[:at]) || len(id)-at-1 != suffixLength {
		return "", "", false
	}
	for _, c := range id[at+1:] {
		if !strings.ContainsRune("0123456789abcdefABCDEF", c) {
			return "", "", false
		}
	}
	return id[:at], id[at+1:], true
}
