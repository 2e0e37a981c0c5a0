package proxy

import (
	"maps"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// settlement turns usage into the charge to book.
func (c *call) settlement(usage meter.Usage) ledger.Settlement {
	charge, err := c.routing.book.Charge(c.priceQuery(c.upstream.Name), &usage)
	if err != nil {
		// Numbers that cannot be a charge: book what was held, and say so.
		charge = c.quote
		usage.Source = meter.Estimated
		usage.Anomalies = append(usage.Anomalies, meter.AnomalyOutOfRange)
	}
	if charge.TokensEstimated {
		usage.Source = meter.Estimated
		usage.Anomalies = append(usage.Anomalies, meter.AnomalyOutputMissing)
	}
	s := ledger.Settlement{
		ID: c.id, Account: c.hold.Account, Key: c.hold.Key, Model: c.request.Model, Endpoint: c.endpoint.Name,
		Upstream: c.upstream.Name, At: c.at, Source: usage.Source, Anomalies: usage.Anomalies,
		// A copy: a checkpoint is written down while the call may go on to another upstream, for which they change.
		Attributes: maps.Clone(c.request.Attributes), AnswerAttributes: usage.Attributes, Charge: charge,
	}
	if usage.Model != c.request.Model {
		s.AnswerModel = usage.Model
	}
	return s
}

// learnExcess notices a model that writes more than its clients allow: the upstream
// ignores their limit, or does not apply it to thoughts. From now on its calls are held
// for as if they had no limit.
func (c *call) learnExcess(usage *meter.Usage) {
	if c.request.ExceedsLimit(usage) && c.routing.learnExcess(c.upstream.upstream, c.request.Model) {
		c.proxy.log.Warn("an answer was longer than its client's limit: calls to this model are now held for as if they had none"+
			" (if its upstream passes over max_completion_tokens, ignores_max_completion_tokens: true in the settings does so from the beginning)",
			zap.String("upstream", c.upstream.Name), zap.String("model", c.request.Model), zap.String("request_id", c.id))
	}
}

// partialUsage is the usage of an answer that broke off.
func (c *call) partialUsage() meter.Usage {
	usage := c.tap.usageOfPart()
	usage.Anomalies = append(usage.Anomalies, meter.AnomalyIncomplete)
	if usage.IsZero() && len(usage.ToolCalls) == 0 && !c.tap.failed() {
		return c.request.Unseen()
	}
	return usage
}

// usageAfterPanic is partialUsage, unless the tap is what panics.
func (c *call) usageAfterPanic() (usage meter.Usage) {
	defer func() {
		if recover() != nil {
			usage = c.request.Unseen()
		}
	}()
	return c.partialUsage()
}

// checkpoint is what the call would be charged if it ended here; false when
// it is ending, or has not been sent to anybody yet.
func (c *call) checkpoint() (ledger.Checkpoint, bool) {
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	if c.resolved.Load() || c.upstream.upstream == nil {
		return ledger.Checkpoint{}, false
	}
	var usage meter.Usage // nothing delivered: nothing to charge
	if c.client.delivered.Load() && c.tap.tap.Began() {
		usage = c.tap.tap.UsageOfPart()
	}
	return ledger.Checkpoint{Settlement: c.settlement(usage)}, true
}

// feeIsCertain reports whether the fee is the list price whenever the charge is booked: a
// call that no pack fits is paid in cash.
func (c *call) feeIsCertain() bool { return !c.hold.Standing.HasPacks }
