package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A reply is what a script returned: strings, and for snapshots arrays of
// strings. The first that cannot be read is kept in err; the rest then is zero.
type reply struct {
	values []string
	others map[int]any // what is no string, by its place
	err    error
}

// replyOf reads an array as the client has it.
func replyOf(values []any) *reply {
	r := &reply{values: make([]string, len(values))}
	for i, value := range values {
		text, ok := value.(string)
		if r.values[i] = text; ok {
			continue
		}
		if r.others == nil {
			r.others = make(map[int]any)
		}
		r.others[i] = value
	}
	return r
}

func (r *reply) text(i int) string {
	if i < len(r.values) {
		if _, is := r.others[i]; !is {
			return r.values[i]
		}
	}
	r.fail("text", i)
	return ""
}

func (r *reply) integer(i int) int64 {
	n, err := strconv.ParseInt(r.text(i), 10, 64)
	if err != nil {
		r.fail("a whole number", i)
	}
	return n
}

// texts are the values from the i-th on.
func (r *reply) texts(i int) (list []string) {
	for ; i < len(r.values); i++ {
		list = append(list, r.text(i))
	}
	return list
}

func (r *reply) nano(i int) meter.Nano { return meter.Nano(r.integer(i)) }

func (r *reply) time(i int) time.Time { return millis(r.integer(i)) }

// fields reads the reply from the i-th value on as field, value, field, value.
func (r *reply) fields(i int) map[string]string {
	m := make(map[string]string, max(0, len(r.values)-i)/2)
	for ; i+1 < len(r.values); i += 2 {
		m[r.text(i)] = r.text(i + 1)
	}
	return m
}

// hash reads the i-th value, an array of field, value, ….
func (r *reply) hash(i int) map[string]string {
	list, ok := r.others[i].([]any)
	if !ok {
		r.fail("an array", i)
		return nil
	}
	inner := replyOf(list)
	m := inner.fields(0)
	if inner.err != nil && r.err == nil {
		r.err = inner.err
	}
	return m
}

func (r *reply) fail(want string, i int) {
	if r.err == nil {
		r.err = fmt.Errorf("reply %.200q: value %d is not %s", r.values, i, want)
	}
}

// problem is what kept the reply from being read.
func (r *reply) problem() error {
	return unavailable(r.err)
}

// unexpected is the error for an answer that the script does not give.
func (r *reply) unexpected() error {
	return fmt.Errorf("%w: unexpected answer %.200q", ErrUnavailable, r.values)
}

// notFound turns the answer LOST into ErrNotFound.
func (r *reply) notFound(what string) error {
	if r.text(0) == "LOST" {
		return fmt.Errorf("%w: %s", ErrNotFound, what)
	}
	return r.problem()
}

func millis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// standing reads the standing that a script returns as one tab-separated
// string; see standing in lua/pay.lua and key_standing in lua/use.lua.
func (r *reply) standing(i int) Standing {
	text := r.text(i)
	if text == "" {
		return Standing{}
	}
	var values [18]string
	if !parts(text, values[:]) {
		r.fail("a standing", i)
		return Standing{}
	}
	number := func(i int) int64 {
		v, err := strconv.ParseInt(values[i], 10, 64)
		if err != nil {
			r.fail("a standing", i)
		}
		return v
	}
	money := func(i int) meter.Nano { return meter.Nano(number(i)) }
	s := Standing{
		PackFree: number(4), HasPacks: values[5] == "1", ReceiptInBody: values[17] == "1",
		Requests: rateState(number(13), number(14)), Tokens: rateState(number(15), number(16)),
	}
	s.Recharge, s.Bonus = freeOf(Split(values[0]), money(1), money(2), money(3))
	limits, used := [3]meter.Nano{money(6), money(7), money(8)}, [3]meter.Nano{money(9), money(10), money(11)}
	s.KeySpendLeft = spendLeft(limits, used, money(12))
	return s
}

// parts takes a tab-separated text apart; false unless it has just as many parts as fit.
func parts(text string, into []string) bool {
	last := len(into) - 1
	for i := range last {
		var more bool
		if into[i], text, more = strings.Cut(text, "\t"); !more {
			return false
		}
	}
	into[last] = text
	return strings.IndexByte(text, '\t') < 0
}

// spendLeft is what the tightest of a key's spend limits leaves, never below zero; nil without any.
func spendLeft(limits, used [3]meter.Nano, held meter.Nano) *meter.Nano {
	var left *meter.Nano
	for i, limit := range limits {
		if limit == 0 {
			continue
		}
		rest := max(0, limit-used[i]-held)
		if left == nil || rest < *left {
			left = &rest
		}
	}
	return left
}

// rateState reads a bucket's level, in 1/60000 of a request or token.
func rateState(limit, level int64) RateState {
	if limit == 0 {
		return RateState{}
	}
	const unit = 60000
	lacking := limit*unit - level
	return RateState{
		Limit:     limit,
		Remaining: max(0, level/unit),
		Reset:     time.Duration((lacking+limit-1)/limit) * time.Millisecond,
	}
}

// entry reads an entry's seq at i and its fields behind it.
func (r *reply) entry(shard, i int) (*Entry, error) {
	seq, fields := r.text(i), r.fields(i+1)
	if err := r.problem(); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%w: journal entry %s-0 of shard %d is not in Redis any more", ErrUnavailable, seq, shard)
	}
	e, err := entryOf(shard, seq, fields)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return e, nil
}
