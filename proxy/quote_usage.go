package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/meter"
)

// quoteUsage prices the usage that the body gives, as the quote verb does.
func (c *call) quoteUsage(body []byte, allowed []string) (quoted, error) {
	model, err := givenModel(gjson.GetBytes(body, "model"))
	if err != nil {
		return quoted{}, err
	}
	used, err := givenUsage(gjson.GetBytes(body, "usage"))
	if err != nil {
		return quoted{}, err
	}
	when, err := givenWhen(gjson.GetBytes(body, "when"), c.routing.book.Attributes())
	if err != nil {
		return quoted{}, err
	}
	if at := gjson.GetBytes(body, "at"); given(at) {
		if c.at, err = givenTime(at, c.proxy.policy.Timezone); err != nil {
			return quoted{}, err
		}
	}
	c.request = &meter.Request{Model: model, Attributes: when}
	if err := c.findPriced(allowed); err != nil {
		return quoted{}, err
	}
	c.candidates = c.routing.candidates(model, c.endpoint.API)
	charge, err := c.chargeGiven(&used)
	if errors.Is(err, meter.ErrAmountRange) {
		return quoted{}, errInvalidRequest("usage", "The usage is too much for one charge: want "+c.routing.book.MostCharged()+".")
	}
	if err != nil {
		return quoted{}, c.asAPIError(err)
	}
	return c.quoted(&charge, false), nil
}

// chargeGiven is what the usage costs at the dearest of the upstreams that may
// serve the model: prices may depend on who does.
func (c *call) chargeGiven(used *meter.Quantities) (most meter.Charge, err error) {
	for i := range c.candidates {
		charge, err := c.routing.book.ChargeGiven(c.priceQuery(c.candidates[i].Name), used)
		if err == nil {
			err = c.wholePriced(&charge)
		}
		if err != nil {
			return meter.Charge{}, err
		}
		if i == 0 || charge.Fee > most.Fee {
			most = charge
		}
	}
	return most, nil
}

// findPriced finds an endpoint that prices the model, if none was named, preferring one
// that the key may use. A model that no upstream serves has no price.
func (c *call) findPriced(allowed []string) error {
	prices := func(e *meter.Endpoint) bool { return c.routing.book.Priced(c.model(), e.Class, c.at) }
	priced := slices.DeleteFunc(c.routing.endpointsOf(c.model()), func(e *meter.Endpoint) bool { return !prices(e) })
	switch {
	case len(priced) == 0:
		return errUnknownModel(c.model())
	case c.endpoint == nil:
		usable := slices.IndexFunc(priced, func(e *meter.Endpoint) bool { return meter.MatchAnyModel(allowed, e.Name) })
		c.endpoint = priced[max(usable, 0)]
	case !slices.Contains(priced, c.endpoint):
		return c.errUnpriced()
	}
	return nil
}

// wholePriced refuses a charge of which a part has no price: a call that could use
// that is refused, and its fee is not what the rest costs.
func (c *call) wholePriced(charge *meter.Charge) error {
	for i := range charge.Lines {
		if line := &charge.Lines[i]; line.Unpriced {
			e := errNoPrice(c.model(), line.Dimension.String())
			e.param = "usage." + line.Dimension.String()
			return e
		}
	}
	return nil
}

// given tells whether a member is there: null is as good as none.
func given(member gjson.Result) bool { return member.Exists() && member.Type != gjson.Null }

func givenModel(member gjson.Result) (string, error) {
	switch {
	case given(member) && member.Type != gjson.String:
		return "", errInvalidRequest("model", "Invalid type for 'model': want a string.")
	case member.String() == "":
		return "", errInvalidRequest("model", "You must provide a model parameter.")
	}
	return member.String(), nil
}

func givenUsage(member gjson.Result) (used meter.Quantities, err error) {
	member.ForEach(func(name, count gjson.Result) bool {
		var d meter.Dimension
		if d, err = meter.ParseDimension(name.String()); err != nil {
			err = errInvalidRequest("usage."+name.String(), err.Error())
			return false
		}
		if count.Type != gjson.Number || count.Int() < 0 || count.Num != float64(count.Int()) {
			err = errInvalidRequest("usage."+name.String(), fmt.Sprintf("A quantity is a whole number from 0 to %d.", int64(meter.MaxCharge)))
			return false
		}
		used[d] = count.Int()
		return true
	})
	if err == nil && used.IsZero() {
		err = errInvalidRequest("usage", `There is nothing to price: give quantities, such as {"input": 1000, "output": 500}.`)
	}
	return used, err
}

// givenWhen reads the attributes that choose a row, such as {"size": "1024x1024"}.
func givenWhen(member gjson.Result, known []string) (when meter.Attributes, err error) {
	if !given(member) {
		return nil, nil
	}
	if !member.IsObject() {
		return nil, errInvalidRequest("when", `Invalid type for 'when': want an object, such as {"size": "1024x1024"}.`)
	}
	when = meter.Attributes{}
	member.ForEach(func(name, value gjson.Result) bool {
		switch {
		case !slices.Contains(known, name.String()):
			err = errInvalidRequest("when."+name.String(), fmt.Sprintf("No price goes by '%s': want %s.", name, strings.Join(known, ", ")))
		case value.Type != gjson.String && !value.IsBool():
			err = errInvalidRequest("when."+name.String(), fmt.Sprintf("Invalid type for 'when.%s': want a string, true or false.", name))
		}
		if err != nil {
			return false
		}
		when[name.String()] = value.String()
		return true
	})
	return when, err
}

// givenTime reads when the call comes: a time, or a date, which is its end.
func givenTime(member gjson.Result, zone *time.Location) (time.Time, error) {
	at, isDate, ok := meter.ReadMoment(member.String(), zone)
	switch {
	case !ok || member.Type != gjson.String:
		return at, errInvalidRequest("at", "Invalid value for 'at': want a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00+08:00.")
	case isDate:
		return meter.NextDay(at).Add(-time.Millisecond), nil
	}
	return at, nil
}
