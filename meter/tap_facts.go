package meter

import "bytes"

// answerFacts is what a scanner has found in an answer so far.
type answerFacts struct {
	// frame is about the event being read, the rest about the whole answer.
	frame frameFacts

	usage upstreamUsage
	// model, tier, speed, geo, size and quality are noted as the answer last said them.
	model, tier, speed, geo, size, quality noted

	// sample is the beginning of the text that the model wrote, still escaped
	// as in JSON; textBytes is the length of all of it. What it thought is in both,
	// under each of its names; thought and thoughtAgain are how much that was.
	sample                []byte
	textBytes             int64
	thought, thoughtAgain int64
	// again is the length of the text that was sent a second time, as a whole.
	again int64
	// framed is the length of the text in whole events; told is what it was when usage was
	// last reported, the reporting event included.
	framed, told int64

	// documents counts complete JSON objects; documentOpen says that one has begun.
	documents    int64
	documentOpen bool
	// noise says that there was something outside of any document.
	noise bool
	// choices counts choices in all frames, images those of data arrays.
	choices, images int64
	// imagesSeen is set by a data array, though it were empty.
	imagesSeen bool
	// searches and citations count results of hosted searches; searchesSeen is
	// set by an array of them, though it were empty.
	searches, citations int64
	searchesSeen        bool
	// calls are those of hosted tools.
	calls callFacts
	// found counts blocks of what searches found; container says that one was used.
	found     int64
	container bool
	// made is what Gemini's answers have beside text.
	made madeFacts
	// finished is set when an answer, or a choice of it, has said why it ends.
	finished bool
	// failed is set by an error member, refused by the code of an error beside
	// nothing else.
	failed, refused bool
	// object is what it says of what has been made upstream; nil: nothing.
	object *objectFacts
}

// frameFacts decide what happens to one event of a stream.
type frameFacts struct {
	// usage: a usage object at the top; choices: a choice; text: text that is not empty.
	usage, choices, text bool
	// finish: a choice ends here; failed: an error is reported.
	finish, failed bool
	// told: it has told usage, wherever in it.
	told bool
	// event is what its name tells.
	event event
	// calls are those of hosted tools that the event tells of, one by one.
	calls callCounts
	// counted is set when the images of the event have been counted.
	counted bool
}

// event is the kind of an event that has a name, in streams of images, responses and messages.
type event uint8

const (
	eventOther event = iota
	// eventGoesOn is not the last, nor is eventItemDone, which brings a whole item of a response.
	eventGoesOn
	eventItemDone
	// eventAside is not, either, and does not show that those before it were not.
	eventAside
	// eventEnding tells how a message ends, eventEnd that it, or a response, has.
	eventImageDone
	eventEnding
	eventEnd
)

// mayEnd reports whether it can be the last of a stream.
func (e event) mayEnd() bool { return e >= eventImageDone }

func parseEvent(name []byte) event {
	switch string(name) {
	case "message_start", "content_block_start", "content_block_delta", "content_block_stop", "ping":
		return eventAside
	case "message_delta":
		return eventEnding
	case "message_stop":
		return eventEnd
	case "image_generation.completed", "image_edit.completed":
		return eventImageDone
	case "image_generation.partial_image", "image_edit.partial_image":
		return eventGoesOn
	case "response.completed", "response.incomplete", "response.failed":
		return eventEnd
	case "response.output_item.done":
		return eventItemDone
	}
	if bytes.HasPrefix(name, []byte("response.")) {
		return eventGoesOn
	}
	return eventOther
}

// maxSample bounds the text kept for the tokenizer. Beyond it the estimate
// goes by length.
const maxSample = 8 << 10

// enter is told of an object or an array that begins.
func (f *answerFacts) enter(what fact, array bool) {
	switch what {
	case factUsage, factNestedUsage:
		if !array {
			f.usage.begin()
			f.frame.usage = f.frame.usage || what == factUsage
		}
	case factImages:
		f.imagesSeen = true
	case factSearches:
		f.searchesSeen = f.searchesSeen || array
	case factOutput:
		f.calls.whole = callCounts{}
	case factItem, factItemOfAll:
		f.calls.item = itemFacts{}
		if what == factItem { // those of all are elements
			f.choices++
		}
	case factError:
		f.failed, f.frame.failed = true, true
	case factRun:
		f.made.runs++
	case factMap:
		f.made.maps++
	}
}

// element is told of each element of an array.
func (f *answerFacts) element(array fact) {
	switch array {
	case factChoices, factOutput:
		f.choices++
		f.frame.choices = true
	case factImages:
		f.images++
	case factSearches:
		f.searches++
	}
}

// text is told of the pieces of what the model wrote, still escaped.
func (f *answerFacts) text(what fact, p []byte) {
	if len(p) == 0 {
		return
	}
	switch what {
	case factQuery:
		f.made.queries.add(p)
		return
	case factPage:
		f.made.pages.add(p)
		return
	case factData:
		f.made.bytes += int64(len(p))
		f.frame.text = true
		return
	}
	if what == factTextAgain {
		f.again += int64(len(p))
		if f.textBytes > 0 {
			return // it is in the sample
		}
	} else {
		f.frame.text = true
		f.textBytes += int64(len(p))
	}
	switch what {
	case factThought:
		f.thought += int64(len(p))
	case factThoughtAgain:
		f.thoughtAgain += int64(len(p))
	}
	if room := maxSample - len(f.sample); room > 0 {
		f.sample = append(f.sample, p[:min(room, len(p))]...)
	}
}

// string is told of short strings.
func (f *answerFacts) string(what fact, text []byte) {
	switch what {
	case factModel:
		f.model.set(text)
	case factTier:
		f.tier.set(text)
	case factSpeed:
		f.speed.set(text)
	case factGeo:
		f.geo.set(text)
	case factSize:
		f.size.set(text)
	case factQuality:
		f.quality.set(text)
	case factType:
		f.named(text)
	case factFinish:
		// Some upstreams say "" where others say null, and protobuf's that it is not said.
		if len(text) > 0 && !bytes.HasSuffix(text, []byte("_UNSPECIFIED")) {
			f.frame.finish, f.finished = true, true
		}
	case factItemType, factItemStatus, factItemAction:
		f.calls.item.note(what, text)
	case factInline:
		if bytes.HasPrefix(text, []byte("audio/")) {
			f.made.sound++
		} else {
			f.made.images++
		}
	case factModality:
		f.usage.modality(text)
	case factQuery:
		f.made.queries.end()
	case factPage:
		f.made.pages.end()
	case factBlock:
		if string(text) == "web_search_tool_result" {
			f.found++
		}
	case factContainer:
		f.container = f.container || len(text) > 0
	case factAnnotation:
		if string(text) == "url_citation" {
			f.citations++
		}
	case factError:
		if len(text) > 0 {
			f.failed, f.frame.failed = true, true
		}
	case factCode:
		f.code(text)
	case factObjectID, factPartID, factTaskStatus:
		f.noteObject(what, text)
	}
}

// code is told of a code at the top, which some upstreams send with their errors
// and HTTP 200.
func (f *answerFacts) code(text []byte) {
	n, ok := parseDigits(text)
	f.refused = f.refused || ok && n != 0 && n != 200
}

// scalar is told of numbers and literals.
func (f *answerFacts) scalar(what fact, field usageField, text []byte) {
	if string(text) == "null" {
		return
	}
	switch what {
	case factNumber:
		f.usage.number(field, text)
	case factCode:
		f.code(text)
	case factFinish:
		if string(text) != "false" {
			f.frame.finish, f.finished = true, true
		}
	case factError:
		if string(text) != "false" {
			f.failed, f.frame.failed = true, true
		}
	}
}

// named is told of the event's name, from an "event:" line or from the
// payload, whichever comes, or both.
func (f *answerFacts) named(name []byte) {
	if string(name) == "error" {
		f.failed, f.frame.failed = true, true
	}
	if e := parseEvent(name); e != eventOther {
		f.frame.event = e
	}
	if f.frame.event == eventImageDone && !f.frame.counted {
		f.frame.counted = true
		f.images++
		f.imagesSeen = true
	}
}

// frameEnd is told of the end of each event.
func (f *answerFacts) frameEnd() {
	f.framed = f.textBytes
	if f.frame.event == eventItemDone {
		f.calls.single.add(&f.frame.calls)
	}
	if f.frame.told {
		f.told = f.framed
	}
	f.frame = frameFacts{}
}

// untold is the length of the text in whole events that came after usage was last
// reported. An event that reports it does not count, even before its end has come.
func (f *answerFacts) untold() int64 {
	if f.frame.told {
		return 0
	}
	return f.framed - f.told
}

// documentEnd is told of the end of each JSON document.
func (f *answerFacts) documentEnd() {
	f.documents++
	f.documentOpen = false
}

// isDocument reports whether all that came is one whole JSON object.
func (f *answerFacts) isDocument() bool {
	return f.documents == 1 && !f.documentOpen && !f.noise
}

// noted is a short string of the answer, still escaped.
type noted struct {
	text [96]byte
	n    int
}

func (s *noted) set(text []byte) { s.n = copy(s.text[:], text) }

func (s *noted) String() string { return unescape(s.text[:s.n]) }
