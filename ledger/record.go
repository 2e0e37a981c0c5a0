package ledger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/meter"
)

// A journal entry in Redis is a stream entry with short field names (listed in
// lua/charge.lua). What a script does not need to know goes through it as one
// field, s, of JSON: a statement for charges, a detail for the rest.

// statement is what a charge says but the script does not compute.
type statement struct {
	Model     string          `json:"m,omitempty"`
	Answer    string          `json:"am,omitempty"`
	Endpoint  string          `json:"e,omitempty"`
	Upstream  string          `json:"u,omitempty"`
	AtMS      int64           `json:"at,omitempty"`
	Source    meter.Source    `json:"us,omitempty"`
	Anomalies []string        `json:"an,omitempty"`
	Version   string          `json:"pv,omitempty"`
	Lines     []statementLine `json:"l,omitempty"`
}

type statementLine struct {
	Dimension meter.Dimension `json:"d"`
	Quantity  int64           `json:"n"`
	Rate      meter.Rate      `json:"r"`
	Tool      string          `json:"t,omitempty"`
	BilledAs  string          `json:"b,omitempty"`
	Unpriced  bool            `json:"x,omitempty"`
}

func newStatement(s *Settlement) *statement {
	out := &statement{
		Model: s.Model, Answer: s.AnswerModel, Endpoint: s.Endpoint, Upstream: s.Upstream,
		Source: s.Source, Anomalies: s.Anomalies, Version: s.Charge.PriceVersion,
		Lines: make([]statementLine, len(s.Charge.Lines)),
	}
	if !s.At.IsZero() {
		out.AtMS = s.At.UnixMilli()
	}
	for i := range s.Charge.Lines {
		line := &s.Charge.Lines[i]
		out.Lines[i] = statementLine{
			Dimension: line.Dimension, Quantity: line.Quantity, Rate: line.Rate,
			Tool: line.Tool, BilledAs: line.BilledAs, Unpriced: line.Unpriced,
		}
	}
	return out
}

// appendJSON writes the statement as json.Marshal does, without looking at
// types: every call that is charged needs it.
func (s *statement) appendJSON(b []byte) []byte {
	members := jsonMembers{append(b, '{')}
	members.text("m", s.Model)
	members.text("am", s.Answer)
	members.text("e", s.Endpoint)
	members.text("u", s.Upstream)
	members.number("at", s.AtMS)
	members.text("us", string(s.Source))
	if len(s.Anomalies) > 0 {
		members.name("an")
		for i, anomaly := range s.Anomalies {
			members.b = appendQuoted(append(members.b, "[,"[min(i, 1)]), anomaly)
		}
		members.b = append(members.b, ']')
	}
	members.text("pv", s.Version)
	if len(s.Lines) > 0 {
		members.name("l")
		for i := range s.Lines {
			members.b = s.Lines[i].appendJSON(append(members.b, "[,"[min(i, 1)]))
		}
		members.b = append(members.b, ']')
	}
	return append(members.b, '}')
}

func (l *statementLine) appendJSON(b []byte) []byte {
	members := jsonMembers{append(b, '{')}
	members.text("d", l.Dimension.String())
	members.name("n")
	members.b = strconv.AppendInt(members.b, l.Quantity, 10)
	members.name("r")
	members.b = appendQuoted(members.b, l.Rate.String())
	members.text("t", l.Tool)
	members.text("b", l.BilledAs)
	if l.Unpriced {
		members.name("x")
		members.b = append(members.b, "true"...)
	}
	return append(members.b, '}')
}

// jsonMembers writes the members of an object; empty ones are left out.
type jsonMembers struct{ b []byte }

func (j *jsonMembers) name(name string) {
	if j.b[len(j.b)-1] != '{' {
		j.b = append(j.b, ',')
	}
	j.b = append(append(append(j.b, '"'), name...), '"', ':')
}

func (j *jsonMembers) text(name, value string) {
	if value != "" {
		j.name(name)
		j.b = appendQuoted(j.b, value)
	}
}

func (j *jsonMembers) number(name string, n int64) {
	if n != 0 {
		j.name(name)
		j.b = strconv.AppendInt(j.b, n, 10)
	}
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

// entryOf reads a journal entry. said is its statement where the caller has
// it; else it is read from the entry.
func entryOf(shard int, seq string, fields map[string]string, said *statement) (*Entry, error) {
	r := &record{fields: fields}
	e := &Entry{
		ID: seq + "-0", Shard: shard, Type: fields["t"], Time: millis(r.integer("m")),
		Account: fields["a"], RequestID: fields["r"],
		Wallet: Wallet(fields["w"]), Pack: fields["g"], Reason: fields["v"], Ref: fields["e"],
	}
	e.Key = keyID(e.Account, fields["k"])
	e.Amount, e.Fee, e.Hold = r.nano("n"), r.nano("f"), r.nano("h")
	if over := r.nano("o"); over != nil {
		e.Overrun = *over
	}
	if fields["q"] != "" {
		quantity := r.integer("q")
		e.Quantity = &quantity
	}
	e.Paid = r.paid()
	e.BalancesAfter = r.balances()
	switch e.Type {
	case TypeCharge, TypeAbandon:
		r.statement(e, said)
	case TypeRefund:
		if charge, _, found := strings.Cut(fields["x"], " "); found {
			e.Charge = charge + "-0"
		}
		e.takenBack = fields["u"] != "" && fields["x"] == ""
		if e.At = e.Time; fields["s"] != "" {
			r.statement(e, nil) // the charge's model and endpoint
		}
	default:
		e.At = e.Time
		if text := fields["s"]; text != "" {
			r.check("s", json.Unmarshal([]byte(text), &e.Detail))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("journal entry %s of shard %d: %w", e.ID, shard, r.err)
	}
	return e, nil
}

// record reads the fields of an entry; the first that cannot be read is kept in err.
type record struct {
	fields map[string]string
	err    error
}

func (r *record) check(field string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("field %s %q: %w", field, r.fields[field], err)
	}
}

func (r *record) integer(field string) int64 {
	n, err := strconv.ParseInt(r.fields[field], 10, 64)
	r.check(field, err)
	return n
}

func (r *record) nano(field string) *meter.Nano {
	if r.fields[field] == "" {
		return nil
	}
	n := meter.Nano(r.integer(field))
	return &n
}

// pairs reads "name=number,name=number".
func (r *record) pairs(field string, each func(name string, n int64)) {
	text := r.fields[field]
	if text == "" {
		return
	}
	for part := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(part, "=")
		n, err := strconv.ParseInt(number, 10, 64)
		r.check(field, err)
		each(name, n)
	}
}

func (r *record) paid() (list []Payment) {
	r.pairs("p", func(name string, n int64) { list = append(list, paymentOf(name, n)) })
	return list
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

func (r *record) balances() map[string]any {
	if r.fields["z"] == "" {
		return nil
	}
	m := make(map[string]any)
	r.pairs("z", func(name string, n int64) {
		if p := paymentOf(name, n); name == "r" || name == "b" {
			m[p.From] = p.Amount.String()
		} else {
			m[p.From] = n
		}
	})
	return m
}

// statement fills in what the charge says, and the cash and pack part of each line.
func (r *record) statement(e *Entry, said *statement) {
	if said == nil {
		said = new(statement)
		r.check("s", json.Unmarshal([]byte(r.fields["s"]), said))
	}
	e.Model, e.AnswerModel, e.Endpoint, e.Upstream = said.Model, said.Answer, said.Endpoint, said.Upstream
	e.UsageSource, e.Anomalies, e.PriceVersion = said.Source, said.Anomalies, said.Version
	e.At = e.Time
	if said.AtMS != 0 {
		e.At = millis(said.AtMS)
	}
	parts := strings.Split(r.fields["l"], ",")
	if len(said.Lines) == 0 {
		return
	}
	if len(parts) != len(said.Lines) {
		r.check("l", fmt.Errorf("%d lines are stated", len(said.Lines)))
		return
	}
	e.Lines = make([]ChargeLine, len(said.Lines))
	for i, line := range said.Lines {
		cash, covered, _ := strings.Cut(parts[i], ":")
		amount, err := strconv.ParseInt(cash, 10, 64)
		r.check("l", err)
		quantity, err := strconv.ParseInt(covered, 10, 64)
		r.check("l", err)
		e.Lines[i] = ChargeLine{PackQuantity: quantity, Line: meter.Line{
			Dimension: line.Dimension, Tool: line.Tool, Quantity: line.Quantity, Rate: line.Rate,
			Amount: meter.Nano(amount), BilledAs: line.BilledAs, Unpriced: line.Unpriced,
		}}
	}
	used := e.Used()
	e.Usage = used.Map()
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
