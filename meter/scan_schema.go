package meter

import (
	"fmt"
	"strings"
)

// A fact says why a member of an answer matters.
type fact uint8

const (
	factNone fact = iota
	// factUsage is the usage object of the document, factNestedUsage one further down.
	factUsage
	factNestedUsage
	// factNumber is a count inside a usage object.
	factNumber
	// factModel, factTier, factSpeed, factGeo, factSize and factQuality are strings to be noted.
	factModel
	factTier
	factSpeed
	factGeo
	factSize
	factQuality
	// factType is the name of an event.
	factType
	// factText is text that the model wrote. factThought and factThoughtAgain are
	// too: what it thought, by two names, of which some upstreams send both.
	factText
	factThought
	factThoughtAgain
	// factTextAgain is text that was sent before, in pieces.
	factTextAgain
	// factFinish is null until the answer, or one choice of it, is complete.
	factFinish
	// factChoices, factImages and factSearches are arrays whose elements are counted.
	factChoices
	factImages
	factSearches
	// factAnnotation is the type of an annotation, factBlock that of a block of content.
	factAnnotation
	// factOutput is the array of all items of a response, factItemOfAll one of them,
	// factItem one that comes by itself. The others are members of either.
	factOutput
	factItemOfAll
	factItem
	factItemType
	factItemStatus
	factItemAction
	factBlock
	// factContainer is the id of a container that was used.
	factContainer
	// factDetails is a list of counts by modality, factDetail an entry of it, factModality what that is of.
	factDetails
	factDetail
	factModality
	// factQuery is what was searched for, factPage a page that was read, factMap a place that was
	// found, factRun code that was run; factInline is the kind of data that is no text, factData is itself.
	factQuery
	factPage
	factMap
	factRun
	factInline
	factData
	// factError is null or absent when all is well.
	factError
	// factCode is absent, 0 or 200 when all is well.
	factCode
	// factObjectID is what the answer is called where it is kept, or its task; factPartID what an item of it is.
	// factTaskStatus is how far a task is.
	factObjectID
	factPartID
	factTaskStatus
)

// maxSchemaDepth bounds the containers on a scanner's stack.
const maxSchemaDepth = 8

// isUsage reports whether it is a usage object, wherever it stands.
func (f fact) isUsage() bool { return f == factUsage || f == factNestedUsage }

// isText reports whether it is text that the model wrote.
func (f fact) isText() bool { return f >= factText && f <= factTextAgain }

// isPassed reports whether its pieces are told as they come, however long it is.
func (f fact) isPassed() bool {
	return f.isText() || f == factQuery || f == factPage || f == factData
}

type nodeID int16

const (
	rootNode nodeID = 0
	noNode   nodeID = -1
)

// An answerSchema is the set of members that a dialect's answers are searched
// for, as a tree. It is made once, by compileSchema, and only read afterwards.
type answerSchema struct{ nodes []schemaNode }

type schemaNode struct {
	fact    fact
	field   usageField
	members []schemaMember
	element nodeID
}

type schemaMember struct {
	name string
	node nodeID
}

// A schemaPath names one member: "choices.#.text", where # is any element.
type schemaPath struct {
	path  string
	fact  fact
	field usageField
}

func compileSchema(groups ...[]schemaPath) *answerSchema {
	s := &answerSchema{nodes: []schemaNode{{element: noNode}}}
	for _, group := range groups {
		for _, p := range group {
			s.add(p)
		}
	}
	return s
}

func (s *answerSchema) add(p schemaPath) {
	names := strings.Split(p.path, ".")
	if len(names) > maxSchemaDepth {
		panic(fmt.Sprintf("meter: path %q is deeper than %d", p.path, maxSchemaDepth))
	}
	at := rootNode
	for _, name := range names {
		next := s.element(at)
		if name != "#" {
			next = s.member(at, []byte(name))
		}
		if next == noNode {
			next = nodeID(len(s.nodes))
			s.nodes = append(s.nodes, schemaNode{element: noNode})
			if name == "#" {
				s.nodes[at].element = next
			} else {
				s.nodes[at].members = append(s.nodes[at].members, schemaMember{name, next})
			}
		}
		at = next
	}
	s.nodes[at].fact, s.nodes[at].field = p.fact, p.field
}

var unnamedNode = schemaNode{element: noNode}

func (s *answerSchema) at(n nodeID) *schemaNode {
	if n == noNode {
		return &unnamedNode
	}
	return &s.nodes[n]
}

func (s *answerSchema) element(parent nodeID) nodeID { return s.at(parent).element }

func (s *answerSchema) member(parent nodeID, name []byte) nodeID {
	members := s.at(parent).members
	for i := range members {
		if members[i].name == string(name) {
			return members[i].node
		}
	}
	return noNode
}

// A usageCount names a count inside a usage object.
type usageCount struct {
	path  string
	field usageField
}

// usageObject lists a usage object at path and its counts.
func usageObject(path string, counts []usageCount) []schemaPath {
	kind := factUsage
	if strings.Contains(path, ".") {
		kind = factNestedUsage
	}
	paths := []schemaPath{{path: path, fact: kind}}
	for _, c := range counts {
		paths = append(paths, schemaPath{path: path + "." + c.path, fact: factNumber, field: c.field})
	}
	return paths
}

// textAt lists the members under path that carry what the model wrote, of a
// whole message or of a delta.
func textAt(path string) []schemaPath {
	var paths []schemaPath
	for _, name := range []string{
		"content", "content.#.text", "refusal", "audio.transcript",
		"function_call.name", "function_call.arguments",
		"tool_calls.#.function.name", "tool_calls.#.function.arguments", "tool_calls.#.custom.input",
	} {
		paths = append(paths, schemaPath{path: path + "." + name, fact: factText})
	}
	return append(paths,
		schemaPath{path: path + ".reasoning_content", fact: factThought},
		schemaPath{path: path + ".reasoning", fact: factThoughtAgain},
		schemaPath{path: path + ".annotations.#.type", fact: factAnnotation})
}

// tokenCounts are the counts of the chat family's usage. The names in the
// second half are others' for what the first half has: DeepSeek's, Moonshot's,
// Qwen's, and those of Responses.
func tokenCounts() []usageCount {
	return []usageCount{
		{"prompt_tokens", usagePrompt},
		{"completion_tokens", usageCompletion},
		{"total_tokens", usageTotal},
		{"prompt_tokens_details.cached_tokens", usageCached},
		{"prompt_tokens_details.cache_write_tokens", usageCacheWrite},
		{"prompt_tokens_details.audio_tokens", usagePromptAudio},
		{"prompt_tokens_details.image_tokens", usagePromptImage},
		{"prompt_tokens_details.video_tokens", usagePromptVideo},
		{"completion_tokens_details.reasoning_tokens", usageReasoning},
		{"completion_tokens_details.audio_tokens", usageCompletionAudio},
		{"completion_tokens_details.image_tokens", usageCompletionImage},

		{"prompt_cache_hit_tokens", usageCacheHit},
		{"prompt_cache_miss_tokens", usageCacheMiss},
		{"cached_tokens", usageCacheHit},
		{"prompt_tokens_details.cache_creation_input_tokens", usageCacheWrite},
		{"input_tokens", usageInput},
		{"output_tokens", usageOutput},
	}
}

// imageTokenCounts are the counts of the usage of token-priced image models.
func imageTokenCounts() []usageCount {
	return []usageCount{
		{"input_tokens", usagePrompt},
		{"output_tokens", usageCompletion},
		{"total_tokens", usageTotal},
		{"input_tokens_details.image_tokens", usagePromptImage},
		{"input_tokens_details.cached_tokens", usageCached},
		{"output_tokens_details.image_tokens", usageCompletionImage},
		{"output_tokens_details.text_tokens", usageCompletionText},
	}
}

// chatSchema covers chat and text completions, whole and streamed. Usage is
// looked for where OpenAI puts it, and where Moonshot (in the choice) and
// Groq (in x_groq) do.
func chatSchema(more ...schemaPath) *answerSchema {
	return compileSchema(
		more,
		[]schemaPath{
			{path: "model", fact: factModel},
			{path: "service_tier", fact: factTier},
			{path: "error", fact: factError},
			{path: "code", fact: factCode},
			{path: "choices", fact: factChoices},
			{path: "choices.#.finish_reason", fact: factFinish},
			{path: "choices.#.text", fact: factText},
			{path: "web_search", fact: factSearches},
			{path: "web_search.#", fact: factNone},
		},
		textAt("choices.#.delta"),
		textAt("choices.#.message"),
		usageObject("usage", tokenCounts()),
		usageObject("choices.#.usage", tokenCounts()),
		usageObject("x_groq.usage", tokenCounts()),
	)
}

// inputSchema covers answers of which no text is billed: embeddings, rankings, moderations.
func inputSchema(counts []usageCount) *answerSchema {
	return compileSchema(
		[]schemaPath{{path: "model", fact: factModel}, {path: "error", fact: factError}, {path: "code", fact: factCode}},
		usageObject("usage", counts),
	)
}

func imagesSchema() *answerSchema {
	return compileSchema(
		[]schemaPath{
			{path: "type", fact: factType},
			{path: "model", fact: factModel},
			{path: "size", fact: factSize},
			{path: "quality", fact: factQuality},
			{path: "error", fact: factError},
			{path: "code", fact: factCode},
			{path: "data", fact: factImages},
			{path: "data.#", fact: factNone},
		},
		usageObject("usage", imageTokenCounts()),
	)
}
