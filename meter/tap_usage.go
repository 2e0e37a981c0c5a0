package meter

import "slices"

// Usage returns what the answer has used so far, or in all, once the upstream
// is at its end. It is the upstream's word where there is one; else what
// follows from the answer, such as the images that came back; else an
// estimate, which is never zero for an answer that brought anything.
//
// An answer that brought nothing but an error has used nothing.
func (t *Tap) Usage() Usage {
	d := t.request.Endpoint.dialect
	u := Usage{Source: FromUpstream, Model: t.facts.model.String()}
	draft := d.quantities(&t.facts.usage.merged)
	switch {
	case !draft.IsZero():
		u.Quantities, u.Anomalies = draft.Quantities, draft.anomalies
		if d.results != nil {
			d.results(&t.facts, &u.Quantities)
		}
		t.addUnsaid(&u)
	case t.onlyFailed():
		u.Source = Estimated
		u.Anomalies = []string{anomalyErrorWithoutUse}
	default:
		u.Quantities, u.Source = d.without(t)
	}
	t.describe(&u)
	t.request.countInUnits(&u)
	return u
}

// UsageOfPart is the usage of an answer that broke off or is still running: what the
// upstream last reported plus an estimate of what was delivered since. Whole answers
// report last, so nothing is added.
func (t *Tap) UsageOfPart() Usage {
	u, f := t.Usage(), &t.facts
	untold := f.untold()
	estimated := !t.Reported() || slices.Contains(u.Anomalies, AnomalyOutputMissing) // all of the output
	if estimated || untold == 0 || t.frames.done && !t.request.Endpoint.dialect.tellsEnd || t.request.echoes {
		return u
	}
	output := (f.estimateText()*untold + f.textBytes - 1) / f.textBytes
	if t.request.OutputLimited {
		output = max(min(output, t.request.Ceiling.TotalOutput()-u.TotalOutput()), 0)
	}
	u.Quantities[Output] += output
	u.Source = Estimated
	u.Anomalies = append(u.Anomalies, AnomalyOutputMissing)
	return u
}

// UsageAtEnd is the usage of an answer that came to its end. Where streams of its kind
// report from their beginning on, one that did not report again at its end is a part.
func (t *Tap) UsageAtEnd() Usage {
	if t.stream && t.request.Endpoint.dialect.tellsEnd {
		return t.UsageOfPart()
	}
	return t.Usage()
}

// lacksEnd reports whether a stream lacks the end mark that its API has.
func (t *Tap) lacksEnd() bool {
	return t.stream && t.request.Endpoint.dialect.tellsEnd && !t.frames.done && (t.array.opened || !t.facts.finished)
}

// Reported reports whether the upstream reported usage: an error with usage costs, one
// without does not.
func (t *Tap) Reported() bool {
	draft := t.request.Endpoint.dialect.quantities(&t.facts.usage.merged)
	return !draft.IsZero()
}

// Failed reports whether the upstream has said that it failed, and nothing else, even if
// its answer broke off: it does not bill what it did until then.
func (t *Tap) Failed() bool { return t.facts.failed && t.onlyFailed() && !t.Reported() }

// addUnsaid estimates a side that the upstream's usage leaves out: the input, of which
// there is always some, and the output if some was delivered, as after a stream that was
// cut once it had reported usage at its beginning. Text that begins with the prompt shows
// no output. Calls and time stand for themselves.
func (t *Tap) addUnsaid(u *Usage) {
	if u.Quantities[Unsplit] > 0 || u.Quantities[Call] > 0 || u.Quantities[AudioMS] > 0 {
		return
	}
	if u.TotalInput() == 0 {
		u.Quantities[Input], u.Source = t.request.estimateInput(), Estimated
		u.Anomalies = append(u.Anomalies, anomalyInputMissing)
	}
	if t.facts.textBytes+t.facts.again > 0 && u.TotalOutput() == 0 && !t.request.echoes {
		u.Quantities[Output], u.Source = t.estimateOutput(), Estimated
		u.Anomalies = append(u.Anomalies, AnomalyOutputMissing)
	}
}

// onlyFailed reports an answer that is an error and nothing else.
func (t *Tap) onlyFailed() bool {
	f := &t.facts
	return (f.failed || f.refused) && f.choices == 0 && f.images == 0 && f.textBytes == 0
}

// describe adds what is not a quantity.
func (t *Tap) describe(u *Usage) {
	f := &t.facts
	if f.usage.negative {
		u.Anomalies = append(u.Anomalies, anomalyNegative)
	}
	if f.usage.absurd {
		u.Anomalies = append(u.Anomalies, anomalyAbsurd)
	}
	if describe := t.request.Endpoint.dialect.describe; describe != nil {
		describe(t, u)
	}
	if calls := t.request.Endpoint.dialect.calls; calls != nil {
		calls(t, u)
	}
}

// chatCalls finds the search that an answer of the chat family shows.
func chatCalls(t *Tap, u *Usage) {
	f := &t.facts
	switch {
	case f.searches > 0, f.searchesSeen && len(t.request.Tools) > 0, f.citations > 0 && t.request.citesSearch, t.request.searches && !u.IsZero():
		u.ToolCalls = []ToolUse{t.search()}
	case t.request.hidesSearch && !u.IsZero():
		u.Anomalies = append(u.Anomalies, anomalySearchNotShown)
	}
}

// search is the hosted search that the answer shows: one call, of the engine
// that the request chose.
func (t *Tap) search() ToolUse {
	for _, tool := range t.request.Tools {
		if tool.Tool == webSearch {
			return tool
		}
	}
	return ToolUse{Tool: webSearch, Dimension: Search, Count: 1}
}

func describeTier(t *Tap, u *Usage) { u.note(serviceTier, &t.facts.tier) }

func describeImage(t *Tap, u *Usage) {
	u.note("size", &t.facts.size)
	u.note("quality", &t.facts.quality)
}

func (u *Usage) note(attribute string, s *noted) {
	if s.n == 0 || string(s.text[:s.n]) == undecided { // an echo of the request, which is not what was served
		return
	}
	if u.Attributes == nil {
		u.Attributes = make(Attributes)
	}
	u.Attributes[attribute] = s.String()
}

// countImages adds the images that came back.
func countImages(f *answerFacts, q *Quantities) { q[Image] = f.images }

// estimateChat counts the request's text and the delivered one.
func estimateChat(t *Tap) (Quantities, Source) {
	var q Quantities
	q[Input] = t.request.estimateInput()
	q[Output] = t.estimateOutput()
	return q, Estimated
}

func estimateEmbeddings(t *Tap) (Quantities, Source) {
	var q Quantities
	q[Input] = t.request.estimateInput()
	return q, Estimated
}

// deriveCall counts the call: what it answers is not what it used.
func deriveCall(*Tap) (Quantities, Source) { return Quantities{Call: 1}, Derived }

// deriveImages counts the images that came back. From an answer that is not
// understood, as many as were asked for; from a stream that ended among
// partial images, one.
func deriveImages(t *Tap) (Quantities, Source) {
	var q Quantities
	countImages(&t.facts, &q)
	switch {
	case t.facts.imagesSeen:
		return q, Derived
	case t.stream && t.size > 0:
		q[Image] = 1
	case t.size > 0:
		q[Image] = t.request.Choices
	}
	return q, Estimated
}

// estimateOutput counts the text that was delivered, but for the prompt that it
// repeats; of an answer that is not understood, its bytes. It is at least one if
// anything came, and never more than the request's own limit.
func (t *Tap) estimateOutput() int64 {
	f := &t.facts
	n := f.estimateText()
	if t.request.echoes {
		n = max(n-t.request.Choices*t.request.estimateInput(), 0)
	}
	switch {
	case n > 0 || t.size == 0:
	case f.choices > 0, !t.stream && f.isDocument():
		n = 1
	case !t.stream:
		n = (t.size + 3) / 4
	case f.documents == 0:
		n = (t.frames.payload + 3) / 4
	}
	if t.request.OutputLimited {
		n = min(n, t.request.Ceiling.TotalOutput())
	}
	return n
}
