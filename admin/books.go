package admin

import (
	"io"
	"strings"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (a *api) listHolds(c *call) (any, error) { return a.ledger.OpenHolds(c.Context(), c.account()) }

func (a *api) listOverdueHolds(c *call) (any, error) { return a.ledger.OverdueHolds(c.Context()) }

func (a *api) endHold(c *call) (any, error) {
	var body struct {
		Charge *bool `json:"charge"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.Charge == nil {
		return nil, invalid("charge is needed: true charges what was delivered, false gives all of it back")
	}
	account, requestID := c.account(), c.PathValue("request")
	entry, err := a.ledger.EndHold(c.Context(), account, requestID, *body.Charge)
	if err != nil {
		return nil, err
	}
	return ledger.NewEndedHold(account, requestID, entry), nil
}

// journal streams: it may be longer than memory.
func (a *api) journal(c *call) (any, error) {
	q, err := a.journalQuery(c)
	if err != nil {
		return nil, err
	}
	return document{"application/json", func(w io.Writer) error {
		ctx, done := c.attended()
		defer done()
		return a.ledger.WriteJournal(ctx, c.account(), q, w)
	}}, nil
}

func (a *api) journalQuery(c *call) (q ledger.JournalQuery, err error) {
	given := c.given
	if q.Since, err = moment("since", zoned(given["since"]), a.ledger.Timezone(), meter.ParseSince); err != nil {
		return q, err
	}
	if q.Until, err = moment("until", zoned(given["until"]), a.ledger.Timezone(), meter.ParseUntil); err != nil {
		return q, err
	}
	if types := given["type"]; types != "" {
		q.Types = strings.Split(types, ",")
	}
	if q.Limit, err = c.limit("entries"); err != nil {
		return q, err
	}
	err = q.Check()
	return q, err
}

// zoned puts back the + of +08:00: in a query that was not encoded it is a blank.
func zoned(text string) string {
	if at := len(text) - len("+08:00"); at > 0 && text[at] == ' ' {
		return text[:at] + "+" + text[at+1:]
	}
	return text
}

func (a *api) bill(c *call) (any, error) {
	month, err := ledger.ParseMonth(c.PathValue("month"), a.ledger.Timezone())
	if err != nil {
		return nil, err
	}
	ctx, done := c.attended()
	defer done()
	bill, err := a.ledger.Bill(ctx, c.account(), month)
	switch format := c.given["format"]; {
	case err != nil:
		return nil, err
	case format == "" || format == "json":
		return bill, nil
	case format == "csv":
		return document{"text/csv; charset=utf-8", bill.WriteCSV}, nil
	default:
		return nil, invalid("format %q: want json or csv", format)
	}
}

// audit is of an account or of all. Books that do not balance are an answer, not an error.
func (a *api) audit(c *call) (any, error) {
	ctx, done := c.attended()
	defer done()
	return a.ledger.Audit(ctx, c.account())
}
