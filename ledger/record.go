package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A journal entry in Redis is a stream entry with short field names (listed in
// lua/charge.lua). What a script does not need to know goes through it as one
// field, s, of JSON: a statement for charges, a detail for the rest.

// statement is what a charge says but the script does not compute: what
// appendStatement writes.
type statement struct {
	Model     string           `json:"m,omitempty"`
	Answer    string           `json:"am,omitempty"`
	Endpoint  string           `json:"e,omitempty"`
	Upstream  string           `json:"u,omitempty"`
	AtMS      int64            `json:"at,omitempty"`
	Source    meter.Source     `json:"us,omitempty"`
	Anomalies []string         `json:"an,omitempty"`
	Version   string           `json:"pv,omitempty"`
	Asked     meter.Attributes `json:"qa,omitempty"`
	Said      meter.Attributes `json:"aa,omitempty"`
	Lines     []statementLine  `json:"l,omitempty"`
	Carried   []statedQuantity `json:"c,omitempty"`
}

type statedQuantity struct {
	Dimension meter.Dimension `json:"d"`
	Quantity  int64           `json:"n"`
}

type statementLine struct {
	statedQuantity
	Rate     meter.Rate `json:"r"`
	Tool     string     `json:"t,omitempty"`
	BilledAs string     `json:"b,omitempty"`
	Unpriced bool       `json:"x,omitempty"`

	Attributes meter.Attributes `json:"ta,omitempty"`
}

// appendStatement writes the statement of a settlement as json.Marshal would,
// without looking at types: every call that is charged needs it.
func appendStatement(b []byte, s *Settlement) []byte {
	b = appendText(append(b, '{'), "m", s.Model)
	b = appendText(b, "am", s.AnswerModel)
	b = appendText(b, "e", s.Endpoint)
	b = appendText(b, "u", s.Upstream)
	if at := s.At.UnixMilli(); at != 0 && !s.At.IsZero() {
		b = strconv.AppendInt(appendName(b, "at"), at, 10)
	}
	b = appendText(b, "us", string(s.Source))
	if len(s.Anomalies) > 0 {
		b = appendName(b, "an")
		for i, anomaly := range s.Anomalies {
			b = appendQuoted(append(b, "[,"[min(i, 1)]), anomaly)
		}
		b = append(b, ']')
	}
	b = appendText(b, "pv", s.Charge.PriceVersion)
	b = appendAttributes(appendAttributes(b, "qa", s.Attributes), "aa", s.AnswerAttributes)
	if lines := s.Charge.Lines; len(lines) > 0 {
		b = appendName(b, "l")
		for i := range lines {
			b = appendStatementLine(append(b, "[,"[min(i, 1)]), &lines[i])
		}
		b = append(b, ']')
	}
	if s.Charge.Carried != nil {
		b = appendName(b, "c")
		before := byte('[')
		for d, n := range s.Charge.Carried.NonZero() {
			b = append(appendStatedQuantity(append(b, before), d, n), '}')
			before = ','
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendStatedQuantity begins an object.
func appendStatedQuantity(b []byte, d meter.Dimension, n int64) []byte {
	b = appendText(append(b, '{'), "d", d.String())
	return strconv.AppendInt(appendName(b, "n"), n, 10)
}

func appendStatementLine(b []byte, l *meter.Line) []byte {
	b = appendStatedQuantity(b, l.Dimension, l.Quantity)
	b = appendQuoted(appendName(b, "r"), l.Rate.String())
	b = appendText(b, "t", l.Tool)
	b = appendText(b, "b", l.BilledAs)
	if l.Unpriced {
		b = append(appendName(b, "x"), "true"...)
	}
	return append(appendAttributes(b, "ta", l.Attributes), '}')
}

// appendAttributes writes a member that is an object, unless it is empty.
func appendAttributes(b []byte, name string, list meter.Attributes) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(appendName(b, name), '{')
	for _, key := range slices.Sorted(maps.Keys(list)) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = appendQuoted(append(appendQuoted(b, key), ':'), list[key])
	}
	return append(b, '}')
}

// appendText writes a member of an object, unless it is empty.
func appendText(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendQuoted(appendName(b, name), value)
}

func appendName(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), '"', ':')
}

func appendQuoted(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string always can be
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// entryOf reads a journal entry.
func entryOf(shard int, seq string, fields map[string]string) (*Entry, error) {
	r := &record{fields: fields}
	e := &Entry{
		ID: seq + "-0", Shard: shard, Type: fields["t"], Time: millis(r.integer("m")),
		Account: fields["a"], RequestID: fields["r"],
		Wallet: Wallet(fields["w"]), Pack: fields["g"], Reason: fields["v"], Ref: fields["e"],
	}
	e.Key = keyID(e.Account, fields["k"])
	e.Amount, e.Fee = r.nano("n", fields["n"]), r.nano("f", fields["f"])
	r.held(e, fields["h"], fields["o"])
	if fields["q"] != "" {
		quantity := r.integer("q")
		e.Quantity = &quantity
	}
	e.Paid = r.payments("p", fields["p"])
	e.BalancesAfter = r.payments("z", fields["z"])
	switch e.Type {
	case TypeCharge, TypeAbandon:
		r.statement(e)
		e.spent = r.spendDay("j", fields["j"])
	case TypeRefund:
		if charge, _, found := strings.Cut(fields["x"], " "); found {
			e.Charge = charge + "-0"
		}
		e.takenBack = takesBack(fields["u"], fields["x"], fields["y"])
		if e.At = e.Time; fields["s"] != "" {
			r.statement(e) // the charge's model and endpoint
		}
	default:
		e.At = e.Time
		if text := fields["s"]; text != "" {
			r.check("s", text, json.Unmarshal([]byte(text), &e.Detail))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("journal entry %s of shard %d: %w", e.ID, shard, r.err)
	}
	return e, nil
}

// record reads the fields of an entry, or of something else that is texts by
// name; the first that cannot be read is kept in err.
type record struct {
	fields map[string]string
	err    error
}

func (r *record) check(field, text string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("field %s %q: %w", field, text, err)
	}
}

// integer reads a field of the record's own.
func (r *record) integer(field string) int64 { return r.number(field, r.fields[field]) }

// number reads text, the value of a field.
func (r *record) number(field, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	r.check(field, text, err)
	return n
}

func (r *record) nano(field, text string) *meter.Nano {
	if text == "" {
		return nil
	}
	n := meter.Nano(r.number(field, text))
	return &n
}

// pairs reads "name=number,name=number".
func (r *record) pairs(field, text string, each func(name string, n int64)) {
	for more := text != ""; more; {
		var part string
		part, text, more = strings.Cut(text, ",")
		name, number, _ := strings.Cut(part, "=")
		each(name, r.number(field, number))
	}
}

func (r *record) payments(field, text string) []Payment {
	if text == "" {
		return nil
	}
	list := make([]Payment, 0, 1+strings.Count(text, ","))
	r.pairs(field, text, func(name string, n int64) { list = append(list, paymentOf(name, n)) })
	return list
}

// A spendDay is a day and its month as a key's spend is counted in them, see localDay.
type spendDay struct{ day, month int64 }

// spendDay reads "day month"; nil for an entry that is of its own time's.
func (r *record) spendDay(field, text string) *spendDay {
	if text == "" {
		return nil
	}
	day, month, _ := strings.Cut(text, " ")
	return &spendDay{r.number(field, day), r.number(field, month)}
}

// spentOn is the day and month of the key's spend that a charge is of.
func (e *Entry) spentOn(zone *time.Location) (day, month int64) {
	if e.spent != nil {
		return e.spent.day, e.spent.month
	}
	return localDay(e.Time.In(zone))
}

// held reads the cash that had been held, and what the fee went above it.
func (r *record) held(e *Entry, hold, overrun string) {
	e.Hold = r.nano("h", hold)
	if overrun != "" {
		e.Overrun = meter.Nano(r.number("o", overrun))
	}
}

// paymentOf names who pays as people see it: "r" is recharge, "b" bonus, the rest packs.
func paymentOf(name string, n int64) Payment {
	switch name {
	case "r":
		return Payment{From: string(Recharge), Amount: meter.Nano(n)}
	case "b":
		return Payment{From: string(Bonus), Amount: meter.Nano(n)}
	}
	return Payment{From: "pack:" + name, Quantity: n}
}

// statement fills in what the charge says, and the cash and pack part of each line.
func (r *record) statement(e *Entry) {
	said := new(statement)
	r.check("s", r.fields["s"], json.Unmarshal([]byte(r.fields["s"]), said))
	e.Model, e.AnswerModel, e.Endpoint, e.Upstream = said.Model, said.Answer, said.Endpoint, said.Upstream
	e.UsageSource, e.Anomalies, e.PriceVersion = said.Source, said.Anomalies, said.Version
	e.Attributes, e.AnswerAttributes = said.Asked, said.Said
	e.At = e.Time
	if said.AtMS != 0 {
		e.At = millis(said.AtMS)
	}
	lines := make([]meter.Line, len(said.Lines))
	for i := range said.Lines {
		line := &said.Lines[i]
		lines[i] = meter.Line{
			Dimension: line.Dimension, Tool: line.Tool, Quantity: line.Quantity, Rate: line.Rate,
			BilledAs: line.BilledAs, Unpriced: line.Unpriced, Attributes: line.Attributes,
		}
	}
	for _, c := range said.Carried {
		e.Usage.Quantities[c.Dimension] += c.Quantity
	}
	e.state(lines)
	r.shares(e.Lines, r.fields["l"])
}

// state takes in the lines, and what they come to beside what they carry.
func (e *Entry) state(lines []meter.Line) {
	if len(lines) == 0 {
		return
	}
	e.Lines = make([]ChargeLine, len(lines))
	for i := range lines {
		e.Lines[i].Line = lines[i]
		e.Usage.Quantities[lines[i].Dimension] += lines[i].Quantity
	}
}

// shares reads the cash and the pack part of each line: "cash:quantity,cash:quantity".
func (r *record) shares(lines []ChargeLine, text string) {
	if stated, booked := len(lines), 1+strings.Count(text, ","); stated > 0 && stated != booked {
		r.check("l", text, fmt.Errorf("%d lines are stated", stated))
		return
	}
	for i := range lines {
		var part string
		part, text, _ = strings.Cut(text, ",")
		cash, covered, _ := strings.Cut(part, ":")
		lines[i].Amount, lines[i].PackQuantity = meter.Nano(r.number("l", cash)), r.number("l", covered)
	}
}

// tokens is the number of tokens that a charge was for.
func (e *Entry) tokens() (n int64) {
	for i := range e.Lines {
		if e.Lines[i].Dimension.IsToken() {
			n += e.Lines[i].Quantity
		}
	}
	return n
}

// seq is the entry's place in its shard's journal.
func (e *Entry) seq() int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(e.ID, "-0"), 10, 64)
	return n
}
