package proxy

import (
	"cmp"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// report publishes how the call ended: metrics, one log line, and the observers. All of it
// is drawn from the receipt or from the refusal.
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

// outcome is charged, charged_later (it is in the settlement log), the code of a refusal, or what
// happened instead.
func (c *call) outcome() string {
	switch {
	case c.receipt != nil && c.receipt.Pending:
		return "charged_later"
	case c.receipt != nil:
		return "charged"
	case c.refused != nil:
		return c.refused.code
	}
	return cmp.Or(c.ending, "broken_off")
}

func (c *call) level() zapcore.Level {
	if c.refused != nil {
		return c.refused.level()
	}
	if c.lost {
		return zapcore.WarnLevel
	}
	return zapcore.InfoLevel
}

// level is a warning for what is not the client's doing. An upstream's own 401
// is about our credential there.
func (e *apiError) level() zapcore.Level {
	if e.status >= 500 || e.code == codeUpstreamError && e.status == http.StatusUnauthorized {
		return zapcore.WarnLevel
	}
	return zapcore.InfoLevel
}

// blame notes for the log what an upstream did wrong. A call that was cut, other than for
// the upstream's silence, is not its fault.
func (c *call) blame(err error) {
	switch cause := c.cut.cause(); {
	case cause == nil:
	case errors.Is(cause, errUpstreamTimeout):
		err = cause
	default:
		return
	}
	c.faults = append(c.faults, c.upstream.Name+": "+fault(err))
}

// reportRefusal tells of a request that never became a call.
func (p *Proxy) reportRefusal(r *http.Request, id string, e *apiError, cause error) {
	p.metrics.refused(e.code)
	path := withoutKeys(r.URL.Path)
	fields := []zap.Field{
		zap.String("request_id", id),
		zap.String("outcome", e.code),
		zap.String("method", r.Method),
		zap.String("path", path[:min(len(path), loggedPath)]),
		zap.Error(cause),
	}
	fields = appendRefused(fields, r, e)
	known, ok := credential(r, p.apiOf(r.URL.Path))
	if ok {
		fields = append(fields, zap.String("account", known.Account), zap.String("key", known.KeyID()))
	}
	p.log.Log(e.level(), "request", fields...)
	if p.onRefusal != nil {
		p.onRefusal(Refused{RequestID: id, Account: known.Account, Status: e.status, Code: e.code, Message: e.message})
	}
}

// appendRefused says how a request was refused, and where it came from if that is why: it may be a load balancer's address.
func appendRefused(fields []zap.Field, r *http.Request, e *apiError) []zap.Field {
	fields = append(fields, zap.Int("status", e.status))
	if e.code == codeNetwork {
		fields = append(fields, zap.Stringer("from", clientAddr(r)))
	}
	return fields
}

// loggedPath bounds what a stranger can write into the log.
const loggedPath = 200

// keyForm is a key of ours wherever a client has put it: into its base_url, or in
// the model's place.
var keyForm = regexp.MustCompile(`(tg-[a-z0-9][a-z0-9._-]*-)[0-9A-Za-z]{20,}`)

// withoutKeys hides the secrets of keys in what a client wrote.
func withoutKeys(s string) string {
	if !strings.Contains(s, "tg-") {
		return s
	}
	return keyForm.ReplaceAllString(s, "${1}***")
}

// appendLogFields never tells a prompt, an answer or a secret.
func (c *call) appendLogFields(fields []zap.Field, took time.Duration) []zap.Field {
	fields = append(fields,
		zap.String("request_id", c.id),
		zap.String("outcome", c.outcome()),
		zap.String("account", c.credential.Account),
		zap.String("endpoint", c.endpoint.Name),
		zap.String("model", withoutKeys(c.model())),
		zap.Duration("took", took),
	)
	switch {
	case c.hold != nil:
		fields = append(fields, zap.String("key", c.hold.Key), zap.Stringer("hold", c.hold.Cash))
	case c.credential != ledger.Credential{}:
		fields = append(fields, zap.String("key", c.credential.KeyID()))
	}
	if c.attempts > 0 {
		fields = append(fields, zap.String("upstream", c.upstream.Name), zap.Int("attempts", c.attempts), zap.Duration("first_byte", c.firstByte))
	}
	if c.taskOf != "" {
		fields = append(fields, zap.String("task_of", c.taskOf))
	}
	if len(c.faults) > 0 {
		fields = append(fields, zap.Strings("upstream_faults", c.faults))
	}
	if c.refused != nil {
		fields = appendRefused(fields, c.r, c.refused)
	}
	if c.trouble != nil {
		fields = append(fields, zap.String("error", withoutKeys(c.trouble.Error())))
	}
	if c.client.left.Load() {
		fields = append(fields, zap.Bool("client_left", true))
	}
	return appendReceipt(fields, c.receipt)
}

// loggedUsage is what was used by dimension, without the detour of a map's encoding.
type loggedUsage meter.Quantities

func (u *loggedUsage) MarshalLogObject(to zapcore.ObjectEncoder) error {
	for d, n := range u {
		if n != 0 {
			to.AddInt64(meter.Dimension(d).String(), n)
		}
	}
	return nil
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
		zap.Object("usage", (*loggedUsage)(&r.Usage.Quantities)), zap.String("usage_source", string(r.UsageSource)))
	if len(r.Anomalies) > 0 {
		fields = append(fields, zap.Strings("anomalies", r.Anomalies))
	}
	return fields
}
