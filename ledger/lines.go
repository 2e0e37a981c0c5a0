package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/meter"
)

// encodeLines checks that a quote or charge can be booked, and writes its
// lines as the scripts read them: "unit quantity pico per amount" a line.
func encodeLines(c *meter.Charge, model, endpoint string) (string, error) {
	if len(model) > maxNameSize || len(endpoint) > maxNameSize || strings.ContainsAny(model+endpoint, "\t\n") {
		return "", fmt.Errorf("%w: model and endpoint: want at most %d characters each, no tabs or line ends", ErrInvalid, maxNameSize)
	}
	if len(c.Lines) > maxLines {
		return "", fmt.Errorf("%w: %d lines: want at most %d", ErrInvalid, len(c.Lines), maxLines)
	}
	var space [512]byte
	text := space[:0]
	var fee meter.Nano
	var units int64
	for i := range c.Lines {
		line := &c.Lines[i]
		per := max(line.Rate.Per, 1)
		if line.Quantity < 0 || line.Quantity > maxUnits-units || line.Rate.Pico < 0 || per > maxPer ||
			line.Amount < 0 || line.Amount > meter.MaxCharge-fee {
			return "", fmt.Errorf("%w: line %s: quantity %d, rate %s, amount %s: out of what can be booked", ErrInvalid, line.Dimension, line.Quantity, line.Rate, line.Amount)
		}
		fee += line.Amount
		units += line.Quantity
		text = append(text, line.Dimension.Unit()...)
		for _, n := range [...]int64{line.Quantity, line.Rate.Pico, per, int64(line.Amount)} {
			text = strconv.AppendInt(append(text, ' '), n, 10)
		}
		text = append(text, '\n')
	}
	if fee != c.Fee {
		return "", fmt.Errorf("%w: fee %s, but the lines add up to %s", ErrInvalid, c.Fee, fee)
	}
	return string(text), nil
}

// summary computes beforehand what encoded lines become if wallets pay all of it, or packs
// do: nearly always it is one or the other, and the scripts then need not read the lines
// (lua/lines.lua). It is "fee units cash totals packs": the list price; the units,
// "token|call"; the lines as the entry has them if wallets pay; the quantity of each unit;
// the lines if packs pay, "-" if packs cannot pay all.
func summary(lines string) string {
	if lines == "" {
		return "0    "
	}
	var fee int64
	units, totals := make([]string, 0, 4), make([]int64, 0, 4) // there are hardly more
	var space [3][96]byte
	cash, packs, payable := space[0][:0], space[1][:0], true
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\n"), "\n") {
		unit, rest, _ := strings.Cut(line, " ")
		quantity, _, _ := strings.Cut(rest, " ")
		amount := rest[strings.LastIndexByte(rest, ' ')+1:]
		n, due := written(quantity), written(amount)
		fee += due
		i := slices.Index(units, unit)
		if i < 0 {
			i, units, totals = len(units), append(units, unit), append(totals, 0)
		}
		totals[i] += n
		payable = payable && (n > 0 || due == 0) // a pack pays for a quantity
		cash = append(append(cash, amount...), ":0,"...)
		packs = append(append(append(packs, "0:"...), quantity...), ',')
	}
	text := append(strconv.AppendInt(space[2][:0], fee, 10), ' ')
	for i, unit := range units {
		text = append(appendBar(text, i), unit...)
	}
	text = append(append(append(text, ' '), cash[:len(cash)-1]...), ' ')
	for i, total := range totals {
		text = strconv.AppendInt(appendBar(text, i), total, 10)
	}
	if !payable {
		return string(append(text, " -"...))
	}
	return string(append(append(text, ' '), packs[:len(packs)-1]...))
}

// appendBar stands before all elements of a list but the first.
func appendBar(text []byte, i int) []byte {
	if i == 0 {
		return text
	}
	return append(text, '|')
}

// written is a number that encodeLines wrote.
func written(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}
