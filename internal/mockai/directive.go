package mockai

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// directiveMark opens a directive.
const directiveMark = "mock:"

// A plan says how a request is to be treated. Counts are -1 where the request
// itself decides.
type plan struct {
	prompt, completion int64
	cached, reasoning  int64
	cacheWrite         int64
	cacheWriteHour     int64
	total              int64
	images             int64
	toolResults        int64
	dims               int64
	bytes, chunks      int64
	polls              int64

	noUsage, nullUsage, floatUsage, cumulative bool

	tier, model, finish, toolCall, task string

	latency, delay time.Duration

	status              int
	retryAfter          int64
	rejectStreamOptions bool
	close               bool
	hang, cut           point
	errorEvent          bool

	noDone, noBlank, crlf, noSpace, comments, preamble, gzip bool
}

// point is a place in an answer where it stops.
type point string

const (
	atHead   point = "head"
	atMiddle point = "mid"       // hang
	midBody  point = "mid-body"  // cut
	midFrame point = "mid-frame" // cut
	atEnd    point = "end"
	clean    point = "clean" // cut
)

// newPlan is the plan of a request without a directive.
func newPlan(o Options) plan {
	return plan{
		prompt: -1, completion: -1, cached: -1, reasoning: -1, cacheWrite: -1, cacheWriteHour: -1, total: -1, images: -1, toolResults: -1,
		dims: -1, bytes: -1, chunks: -1, polls: -1, retryAfter: -1,
		latency: o.Latency, delay: o.Delay,
	}
}

// apply lays the directive that text begins with over the plan. A text that
// does not begin with one changes nothing.
func (p *plan) apply(text string) error {
	if !strings.HasPrefix(text, directiveMark) {
		return nil
	}
	text = text[len(directiveMark):]
	if end := strings.IndexAny(text, " \t\r\n"); end >= 0 {
		text = text[:end]
	}
	seen := make(map[string]bool)
	for item := range strings.SplitSeq(text, ";") {
		name, value, hasValue := strings.Cut(item, "=")
		if seen[name] {
			return fmt.Errorf("mock directive: %q is there twice", name)
		}
		seen[name] = true
		if err := p.set(name, value, hasValue); err != nil {
			return fmt.Errorf("mock directive %q: %w", item, err)
		}
	}
	return nil
}

// set applies one item.
func (p *plan) set(name, value string, hasValue bool) error {
	if flag := p.flag(name); flag != nil {
		if hasValue {
			return fmt.Errorf("takes no value")
		}
		*flag = true
		return nil
	}
	if name == "hang" && !hasValue {
		p.hang = atHead
		return nil
	}
	if !hasValue || value == "" {
		return p.missing(name)
	}
	if number := p.number(name); number != nil {
		return setNumber(number, value)
	}
	if word := p.word(name); word != nil {
		*word = value
		return nil
	}
	return p.setOther(name, value)
}

// missing says whether a bare name lacks its value or is not known at all.
func (p *plan) missing(name string) error {
	if p.number(name) != nil || p.word(name) != nil ||
		slices.Contains([]string{"usage", "latency", "delay", "status", "hang", "cut"}, name) {
		return fmt.Errorf("needs a value")
	}
	return errUnknownItem
}

var errUnknownItem = fmt.Errorf("is not known")

func (p *plan) flag(name string) *bool {
	switch name {
	case "no-usage":
		return &p.noUsage
	case "null-usage":
		return &p.nullUsage
	case "float-usage":
		return &p.floatUsage
	case "cumulative":
		return &p.cumulative
	case "reject-stream-options":
		return &p.rejectStreamOptions
	case "close":
		return &p.close
	case "error-event":
		return &p.errorEvent
	case "no-done":
		return &p.noDone
	case "no-blank":
		return &p.noBlank
	case "crlf":
		return &p.crlf
	case "no-space":
		return &p.noSpace
	case "comments":
		return &p.comments
	case "preamble":
		return &p.preamble
	case "gzip":
		return &p.gzip
	}
	return nil
}

func (p *plan) number(name string) *int64 {
	switch name {
	case "cached":
		return &p.cached
	case "reasoning":
		return &p.reasoning
	case "cache-write":
		return &p.cacheWrite
	case "cache-write-1h":
		return &p.cacheWriteHour
	case "total":
		return &p.total
	case "images":
		return &p.images
	case "tool-results":
		return &p.toolResults
	case "dims":
		return &p.dims
	case "bytes":
		return &p.bytes
	case "chunks":
		return &p.chunks
	case "polls":
		return &p.polls
	case "retry-after":
		return &p.retryAfter
	}
	return nil
}

func (p *plan) word(name string) *string {
	switch name {
	case "tier":
		return &p.tier
	case "model":
		return &p.model
	case "finish":
		return &p.finish
	case "tool-call":
		return &p.toolCall
	case "task":
		return &p.task
	}
	return nil
}

func (p *plan) setOther(name, value string) (err error) {
	switch name {
	case "usage":
		prompt, completion, ok := strings.Cut(value, ",")
		if !ok {
			return fmt.Errorf("wants PROMPT,COMPLETION")
		}
		if err := setNumber(&p.prompt, prompt); err != nil {
			return err
		}
		return setNumber(&p.completion, completion)
	case "latency":
		return setDuration(&p.latency, value)
	case "delay":
		return setDuration(&p.delay, value)
	case "status":
		p.status, err = strconv.Atoi(value)
		if err != nil || p.status < 400 || p.status > 599 {
			return fmt.Errorf("wants 400 to 599")
		}
		return nil
	case "hang":
		return setPoint(&p.hang, value, atHead, atMiddle, atEnd)
	case "cut":
		return setPoint(&p.cut, value, atHead, midBody, midFrame, atEnd, clean)
	}
	return errUnknownItem
}

// maxNumber bounds every number, so that no directive can ask for what memory does not hold.
const maxNumber = 1_000_000_000

func setNumber(to *int64, value string) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > maxNumber {
		return fmt.Errorf("wants a whole number from 0 to %d", maxNumber)
	}
	*to = n
	return nil
}

func setDuration(to *time.Duration, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return fmt.Errorf("wants a duration such as 10ms")
	}
	*to = d
	return nil
}

func setPoint(to *point, value string, allowed ...point) error {
	if !slices.Contains(allowed, point(value)) {
		return fmt.Errorf("wants one of %v", allowed)
	}
	*to = point(value)
	return nil
}
