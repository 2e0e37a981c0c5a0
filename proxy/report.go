package proxy

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tollgate/tollgate/ledger"
)

// report tells how the call ended: metrics, one log line, and who else wants to
// know. All of it is drawn from the receipt or from the refusal.
func (c *call) report() {
	took := time.Since(c.at)
	p := c.proxy
	p.metrics.ended(c, took)
	if entry := p.log.Check(c.level(), "request"); entry != nil {
		fields := p.logFields.Get().(*[]zap.Field)
		*fields = c.appendLogFields((*fields)[:0], took)
		entry.Write(*fields...)
		clear(*fields) // they hold the call
		p.logFields.Put(fields)
	}
	switch {
	case c.receipt != nil && p.onReceipt != nil:
		p.onReceipt(c.receipt)
	case c.receipt == nil && c.refused != nil && p.onRefusal != nil:
		p.onRefusal(Refused{
			RequestID: c.id, Account: c.credential.Account, Model: c.model(),
			Status: c.refused.status, Code: c.refused.code, Message: c.refused.message,
		})
	}
}

// outcome is charged, charged_later (it is in the settlement log), or the code of what happened instead.
func (c *call) outcome() string {
	switch {
	case c.receipt != nil && c.receipt.Pending:
		return "charged_later"
	case c.receipt != nil:
		return "charged"
	case c.refused != nil:
		return c.refused.code
	}
	return "broken_off"
}

func (c *call) level() zapcore.Level {
	if c.refused != nil && c.refused.status >= 500 {
		return zapcore.WarnLevel
	}
	return zapcore.InfoLevel
}

// appendLogFields never tells a prompt, an answer or a secret.
func (c *call) appendLogFields(fields []zap.Field, took time.Duration) []zap.Field {
	fields = append(fields,
		zap.String("request_id", c.id),
		zap.String("outcome", c.outcome()),
		zap.String("account", c.credential.Account),
		zap.String("endpoint", c.endpoint.Name),
		zap.String("model", c.model()),
		zap.Duration("took", took),
	)
	if c.hold != nil {
		fields = append(fields, zap.String("key", c.hold.Key), zap.Stringer("hold", c.hold.Cash))
	}
	if c.attempts > 0 {
		fields = append(fields, zap.String("upstream", c.upstream.Name), zap.Int("attempts", c.attempts), zap.Duration("first_byte", c.firstByte))
	}
	if c.refused != nil {
		fields = append(fields, zap.Int("status", c.refused.status))
	}
	if c.trouble != nil {
		fields = append(fields, zap.Error(c.trouble))
	}
	if c.client.left.Load() {
		fields = append(fields, zap.Bool("client_left", true))
	}
	return appendReceipt(fields, c.receipt)
}

// usageOf is what was used by dimension, without the detour of a map's encoding.
func usageOf(r *ledger.Receipt) zapcore.ObjectMarshalerFunc {
	return func(to zapcore.ObjectEncoder) error {
		for d, n := range r.Usage.NonZero() {
			to.AddInt64(d.String(), n)
		}
		return nil
	}
}

func appendReceipt(fields []zap.Field, r *ledger.Receipt) []zap.Field {
	if r == nil {
		return fields
	}
	if !r.Pending {
		fields = append(fields, zap.String("entry", r.ID))
	}
	fields = append(fields,
		zap.Int("shard", r.Shard), zap.Stringer("fee", r.FeeDue()),
		zap.Object("usage", usageOf(r)), zap.String("usage_source", string(r.UsageSource)))
	if len(r.Anomalies) > 0 {
		fields = append(fields, zap.Strings("anomalies", r.Anomalies))
	}
	return fields
}
