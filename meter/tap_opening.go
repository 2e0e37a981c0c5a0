package meter

import "bytes"

// opening is how the events of a stream begin, up to the first text that the
// model wrote. In most streams they all begin alike, to the byte (id, model and
// so on), and that is most of their bytes: what the scanner finds there is
// found once, and of later events only compared. So is, in most streams, how they
// go on after the text, to their end.
type opening struct {
	text []byte
	// scanner is the scanner at the end of text. The others are what it found:
	// choices counts them, event is the name's, model and tier are those that text names, if any.
	scanner     scanner
	choices     int64
	event       event
	model, tier noted
	// ending is the rest of the document, from the quote that closes the model's text; empty: none is
	// known of those that begin so. Nothing is found in it.
	ending []byte
	// credit is how many more openings may be learned, endingCredit how many endings; each use gives one
	// back, so that events which never are alike are not read twice for long.
	credit, endingCredit int
}

const maxOpeningCredit = 4

// skip takes p past the opening, if it begins with it, as if the scanner, which is at
// its start, had read that; and past all of it, if it also ends as others did. It returns what is left of p.
func (o *opening) skip(p []byte, s *scanner, f *answerFacts) []byte {
	if len(o.text) == 0 || !bytes.HasPrefix(p, o.text) {
		return p
	}
	o.credit = min(o.credit+1, maxOpeningCredit)
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
	rest := p[len(o.text):]
	if text, isWhole := o.cutEnding(rest); isWhole {
		o.endingCredit = min(o.endingCredit+1, maxOpeningCredit)
		f.text(s.schema.at(o.scanner.node).fact, text)
		f.documentEnd()
		return nil
	}
	*s = o.scanner
	return rest
}

// cutEnding returns what stands before the ending: the text, if there is no quote in it that might
// close it earlier, and no backslash before the one that does.
func (o *opening) cutEnding(rest []byte) (text []byte, isWhole bool) {
	if len(o.ending) == 0 {
		return nil, false
	}
	text, isWhole = bytes.CutSuffix(rest, o.ending)
	return text, isWhole && bytes.IndexByte(text, '"') < 0 && !bytes.HasSuffix(text, []byte{'\\'})
}

// learnEnding remembers how an event, of which rest is what follows the opening, went on after its text, unless
// there is something to be found in that. All of its document has been read.
func (o *opening) learnEnding(rest []byte) {
	if o.endingCredit == 0 {
		return
	}
	o.endingCredit--
	s, f := o.scanner, answerFacts{documentOpen: true}
	after, _ := s.stringEnd(rest, 0) // of a whole document, all strings are whole
	ending := rest[after-1:]
	s.feed(ending, &f)
	if s.usageOpen < 0 && s.usageClose < 0 && f.isPlainEnding() {
		o.ending = append(o.ending[:0], ending...)
	}
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
	o.text, o.ending = append(o.text[:0], text...), o.ending[:0]
	o.scanner, o.choices, o.event, o.model, o.tier = s, f.choices, f.frame.event, f.model, f.tier
}

// isPlainOpening reports whether nothing was found but a document that is
// open, choices, the name of the event, a model and a tier.
func (f *answerFacts) isPlainOpening() bool {
	return f.documentOpen && f.documents == 0 && f.isPlain()
}

// isPlainEnding reports whether nothing was found but the end of one document.
func (f *answerFacts) isPlainEnding() bool {
	return f.documents == 1 && f.isPlain() && f.object == nil && f.choices == 0 && f.frame.event == eventOther && f.model.n == 0 && f.tier.n == 0
}

// isPlain reports whether nothing was found in documents but choices, the name of the event, a model and a tier.
func (f *answerFacts) isPlain() bool {
	return !f.noise && f.usage == upstreamUsage{} && f.frame == frameFacts{choices: f.choices > 0, event: f.frame.event} &&
		f.size.n == 0 && f.speed.n == 0 && f.geo.n == 0 && f.found == 0 && !f.container && !f.finished && f.quality.n == 0 && f.textBytes == 0 &&
		f.images == 0 && !f.imagesSeen && f.searches == 0 && !f.searchesSeen && f.citations == 0 && !f.failed && !f.refused &&
		f.again == 0 && f.made == madeFacts{} && f.calls == callFacts{}
}
