package meter

import "bytes"

// opening is how the events of a stream begin, up to the first text that the
// model wrote. In most streams they all begin alike, to the byte (id, model and
// so on), and that is most of their bytes: what the scanner finds there is
// found once, and of later events only compared.
type opening struct {
	text []byte
	// scanner is the scanner at the end of text. The others are what it found:
	// choices counts them, event is the name's, model and tier are those that text names, if any.
	scanner     scanner
	choices     int64
	event       event
	model, tier noted
	// credit is how many more openings may be learned; each use gives one
	// back, so that events which never begin alike are not read twice for long.
	credit int
}

const maxOpeningCredit = 4

// skip takes p past the opening, if it begins with it, as if the scanner had
// read that. It returns what is left of p.
func (o *opening) skip(p []byte, s *scanner, f *answerFacts) []byte {
	if len(o.text) == 0 || !bytes.HasPrefix(p, o.text) {
		return p
	}
	o.credit = min(o.credit+1, maxOpeningCredit)
	*s = o.scanner
	f.documentOpen = true
	f.choices += o.choices
	f.frame.choices = f.frame.choices || o.choices > 0
	if o.event != eventOther {
		f.frame.event = o.event
	}
	if o.model.n > 0 {
		f.model = o.model
	}
	if o.tier.n > 0 {
		f.tier = o.tier
	}
	return p[len(o.text):]
}

// learn remembers an opening, unless it has more in it than can be told again.
func (o *opening) learn(text []byte, schema *answerSchema) {
	if o.credit == 0 {
		return
	}
	o.credit--
	s, f := scanner{schema: schema}, answerFacts{}
	s.feed(text, &f)
	if s.usageOpen >= 0 || s.usageClose >= 0 || !f.isPlainOpening() {
		return
	}
	o.text = append(o.text[:0], text...)
	o.scanner, o.choices, o.event, o.model, o.tier = s, f.choices, f.frame.event, f.model, f.tier
}

// isPlainOpening reports whether nothing was found but a document that is
// open, choices, the name of the event, a model and a tier.
func (f *answerFacts) isPlainOpening() bool {
	return f.documentOpen && f.documents == 0 && !f.noise &&
		f.usage == upstreamUsage{} && f.frame == frameFacts{choices: f.choices > 0, event: f.frame.event} &&
		f.size.n == 0 && f.speed.n == 0 && f.geo.n == 0 && f.found == 0 && !f.container && !f.finished && f.quality.n == 0 && f.textBytes == 0 &&
		f.images == 0 && !f.imagesSeen && f.searches == 0 && !f.searchesSeen && f.citations == 0 && !f.failed && !f.refused &&
		f.again == 0 && f.made == madeFacts{} && f.calls == callFacts{}
}
