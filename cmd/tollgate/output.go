package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// print writes value as JSON if that was asked for, else what human writes.
func (p *program) print(value any, human func() string) error {
	if !p.asJSON {
		_, err := fmt.Fprint(p.stdout, human())
		return err
	}
	encoder := json.NewEncoder(p.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printFound is print for what a verb has found, all of which is said by that: if
// it is not ok, the verb fails.
func (p *program) printFound(ok bool, value any, human func() string) error {
	if err := p.print(value, human); err != nil || ok {
		return err
	}
	return errFailed
}

// printDone is print for what was booked just now. It is booked though nobody can be
// told (a full disk, a pipe that is closed): who takes it for failed books it again.
func (p *program) printDone(done string, value any, human func() string) error {
	if err := p.print(value, human); err != nil {
		return fmt.Errorf("%s, but that could not be printed: %w", done, err)
	}
	return nil
}

// printBooked prints an entry, or a sentence and what the account then has, if
// that can be read: booked it is.
func (p *program) printBooked(ctx context.Context, o *operator, entry *ledger.Entry, sentence func() string) error {
	done := fmt.Sprintf("it is booked (journal entry %s)", entry.ID)
	if p.asJSON {
		return p.printDone(done, entry, nil)
	}
	a, err := o.Account(ctx, entry.Account)
	return p.printDone(done, entry, func() string {
		if err != nil {
			return sentence()
		}
		return sentence() + fmt.Sprintf("balance: recharge %s, bonus %s\n",
			o.money(a.Wallets[ledger.Recharge].Balance), o.money(a.Wallets[ledger.Bonus].Balance))
	})
}

// A table is rows of text under a header. Columns whose header begins with >
// are aligned to the right.
type table struct {
	header []string
	rows   [][]string
}

func newTable(header ...string) *table { return &table{header: header} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String is the table, with a line break at the end; "" without rows.
func (t *table) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	right := make([]bool, len(t.header))
	head := make([]string, len(t.header))
	widths := make([]int, len(t.header))
	for i, h := range t.header {
		head[i], right[i] = strings.CutPrefix(h, ">")
		widths[i] = utf8.RuneCountInString(head[i])
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{head}, t.rows...) {
		var line strings.Builder
		for i, cell := range row {
			blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right[i] {
				line.WriteString(blanks + cell + "  ")
			} else {
				line.WriteString(cell + blanks + "  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// facts are aligned lines of a name and what it is.
func facts(pairs ...string) string {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, utf8.RuneCountInString(pairs[i]))
	}
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s%s  %s\n", pairs[i], strings.Repeat(" ", width-utf8.RuneCountInString(pairs[i])), pairs[i+1])
	}
	return b.String()
}

// money is an amount with its currency, where that is known.
func money(n meter.Nano, currency string) string {
	if currency == "" {
		return n.String()
	}
	return n.String() + " " + currency
}

// count is a number in groups of three digits: 1,000,000.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural is a count with its noun: "1 key", "2 keys". The nouns are words of our
// own: a pack's unit is a name, such as search or audio_ms, and has no plural.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok && noun != "key" {
		return count(n) + " " + stem + "ies"
	}
	return count(n) + " " + noun + "s"
}

// moment is a time as an operator reads it, in the policy's time zone.
func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(zone).Format("2006-01-02 15:04:05")
}

func momentOrNever(t *time.Time, zone *time.Location) string {
	if t == nil {
		return "never"
	}
	return moment(*t, zone)
}

// orDash is words, or a dash for none, as tables show it.
func orDash(words ...string) string {
	if s := strings.Join(words, ", "); s != "" {
		return s
	}
	return "-"
}

// orAll is words; none of them means no restriction.
func orAll(words []string) string {
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, ", ")
}

// writeLine writes a value as JSON on one line.
func writeLine(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// reachable is where a client on this machine finds a listener: the address of
// one that is open to every network is no place to go to.
func reachable(address string) string {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsUnspecified() {
		return address
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
}
