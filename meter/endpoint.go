package meter

import "slices"

// An Endpoint is one row of the endpoint table: how a request is read, how
// usage is found in the answer, what to do without, and so what is billed.
// Which pack pays follows from the dimensions (Dimension.Unit).
//
// Another endpoint, or another provider's dialect of one, is another row and
// its fixtures. The proxy knows no row by name.
type Endpoint struct {
	// Path is what follows the client's prefix: "/chat/completions". A row that has its
	// model there has {model} in its place.
	Path string
	// Name is what key limits, the journal and metrics call it. Endpoints that
	// are limited together share one.
	Name string
	// Class is what the `endpoints` of a price row call it.
	Class string
	// API is whose API it is a part of: an upstream serves all rows of an API, or none.
	API API
	// Limit is the parameter that bounds its output, as refusals name it; "" where none does.
	Limit string
	// Query lists what of the client's query goes upstream, with the values that it may have; nil:
	// whatever is no credential and no model.
	Query map[string][]string

	// bringsTask says that its answer names a task, whose end is asked for later: see Tap.Task.
	bringsTask bool
	// keepsAnswers says that its answers are kept upstream, unless a request says otherwise, and may be named
	// by later ones: see Request.Kept.
	keepsAnswers bool
	// protobuf says that its JSON is protobuf's, of whose names there are two spellings; parameters have
	// the one in camel case.
	protobuf bool
	// streams says that its answers are streams, whatever the body says: of events, or else one
	// JSON array, which is sent piece by piece.
	streams bool
	// model is the parameter that names the model; "" is "model".
	model string
	// unnamed is the model of a request that names none; "": each has to.
	unnamed string
	// parameters are the members of the request that decide about money.
	parameters []parameter
	// file is told of each file of a multipart form; nil where a request is no form.
	file func(*requestReader, []byte)
	// streamOptions says that usage in a stream has to be asked for.
	streamOptions bool
	// ceiling computes the most that the request can use.
	ceiling func(*requestReader)
	// dialect is how the answers speak of usage.
	dialect *dialect
}

// A dialect is how a family of answers speaks of usage.
type dialect struct {
	// schema says where in the answer the facts are.
	schema *answerSchema
	// quantities takes the upstream's counts apart into disjoint dimensions.
	quantities func(*usageCounts) usageDraft
	// without says what was used when the upstream does not.
	without func(*Tap) (Quantities, Source)
	// unit is what is counted if the upstream reports no tokens (images, characters).
	// inTokens is that count as estimated tokens, for tables priced by token; nil if the
	// upstream always reports tokens.
	unit     Dimension
	inTokens func(*Request, Quantities, Attributes) Quantities
	// results counts what is billed beside the upstream's counts, such as images.
	results func(*answerFacts, *Quantities)
	// describe notes the answer's own terms for the price rows.
	describe func(*Tap, *Usage)
	// calls counts what hosted tools were called for; nil: there are none.
	calls func(*Tap, *Usage)
	// tellsEnd says that its streams have an end mark, and report usage from their
	// beginning on: one without the mark was cut.
	tellsEnd bool
	// endsInText says that the event which tells the end brings text, too: none goes out
	// before it is whole.
	endsInText bool
	// usage is what a whole answer calls its usage object; "" is "usage".
	usage string
}

// An API is a family of endpoints that providers serve together.
type API string

// The APIs.
const (
	OpenAI    API = "openai"
	Responses API = "responses" // OpenAI's, too, and not of all that are compatible with it
	Anthropic API = "anthropic"
	Gemini    API = "gemini"
	BigModel  API = "bigmodel" // what it has beside OpenAI's
)

// FindEndpoint returns the row of a Path, such as "/chat/completions", or nil.
func FindEndpoint(path string) *Endpoint {
	for _, e := range endpoints {
		if e.Path == path {
			return e
		}
	}
	return nil
}

// Endpoints returns all rows of the table.
func Endpoints() []*Endpoint { return append([]*Endpoint(nil), endpoints...) }

// endpoints is the table. It is never changed.
var endpoints = endpointTable()

func endpointTable() []*Endpoint {
	chat := &dialect{
		schema: chatSchema(), quantities: tokenQuantities,
		without: estimateChat, describe: describeTier, calls: chatCalls,
	}
	responses := &dialect{
		schema: responsesSchema(), quantities: tokenQuantities,
		without: estimateChat, describe: describeTier, calls: responsesCalls,
	}
	compacted := *responses
	compacted.calls = nil  // those that are in it were paid for
	inputOnly := &dialect{ // of embeddings, and of rankings
		schema: inputSchema(tokenCounts()), quantities: embeddingQuantities,
		without: estimateEmbeddings,
	}
	images := &dialect{
		schema: imagesSchema(), quantities: imageQuantities,
		without: deriveImages, results: countImages, describe: describeImage,
		unit: Image, inTokens: (*Request).imagesInTokens,
	}
	moderation := &dialect{
		schema: inputSchema(moderationCounts()), quantities: moderationQuantities,
		without: deriveCall,
		unit:    Call, inTokens: inputTokens,
	}
	speech := &dialect{
		schema: speechSchema(), quantities: noQuantities,
		without: deriveSpeech,
		unit:    Character, inTokens: (*Request).spokenInTokens,
	}
	transcription := &dialect{
		schema: transcriptionSchema(), quantities: transcriptionQuantities,
		without: measureRecording,
		unit:    AudioMS, inTokens: (*Request).recordingInTokens,
	}
	limit := limitParameter("max_tokens")
	common := append([]parameter{modelParameter(), streamParameter()}, otherModelsParameters()...)
	recorded := join(recordingParameters(), otherModelsParameters()...)
	chats := []parameter{
		limit, limitParameter("max_completion_tokens"), choicesParameter(),
		attributeParameter(serviceTier), messagesParameter(), modalitiesParameter(), toolsParameter(), webSearchOptionsParameter(),
	}
	image := join(common, choicesParameter(), attributeParameter("size"), attributeParameter("quality"), promptTextParameter())
	edited := join(image, inputImagesParameter("image"), inputImagesParameter("images"), inputImagesParameter("mask"))
	return slices.Concat([]*Endpoint{
		{
			Path: "/chat/completions", Name: "chat", Class: "chat", API: OpenAI, Limit: "max_tokens",
			parameters:    join(common, append(chats, streamOptionsParameter())...),
			streamOptions: true, ceiling: chatCeiling, dialect: chat,
		},
		{
			Path: "/completions", Name: "completions", Class: "chat", API: OpenAI, Limit: "max_tokens",
			parameters: join(common, limit, choicesParameter(), bestOfParameter(), streamOptionsParameter(),
				attributeParameter(serviceTier), promptsParameter(), echoParameter()),
			streamOptions: true, ceiling: chatCeiling, dialect: chat,
		},
		{
			Path: "/responses", Name: "responses", Class: "chat", API: Responses, Limit: "max_output_tokens", keepsAnswers: true,
			parameters: join(common, limitParameter("max_output_tokens"), attributeParameter(serviceTier), inputItemsParameter(),
				hostedToolsParameter(), maxToolCallsParameter(), backgroundParameter(), storeParameter(), previousParameter(),
				storedParameter("conversation", "a conversation", wholeInput), storedParameter("prompt", "a prompt", "Send its text in 'instructions' or 'input'.")),
			ceiling: responsesCeiling, dialect: responses,
		},
		{
			Path: "/responses/compact", Name: "responses", Class: "chat", API: Responses,
			parameters: join(common, attributeParameter(serviceTier), inputItemsParameter(), previousParameter()),
			ceiling:    compactCeiling, dialect: &compacted,
		},
		{
			Path: "/responses/input_tokens", Name: "input_tokens", Class: "tokenizer", API: Responses,
			parameters: join(common, inputItemsParameter(), previousParameter(), storedParameter("conversation", "a conversation", wholeInput)),
			ceiling:    oneCall, dialect: countDialect(),
		},
		{
			Path: "/embeddings", Name: "embeddings", Class: "embeddings", API: OpenAI,
			parameters: common, ceiling: embeddingsCeiling, dialect: inputOnly,
		},
		{
			Path: "/images/generations", Name: "images", Class: "images", API: OpenAI,
			parameters: join(image, attributeParameter("style")), ceiling: imagesCeiling, dialect: images,
		},
		{
			Path: "/images/edits", Name: "images", Class: "images", API: OpenAI,
			parameters: edited, file: editedImage, ceiling: imagesCeiling, dialect: images,
		},
		{
			Path: "/images/variations", Name: "images", Class: "images", API: OpenAI,
			parameters: edited, file: editedImage, ceiling: imagesCeiling, dialect: images,
		},
		{
			Path: "/rerank", Name: "rerank", Class: "rerank", API: OpenAI,
			parameters: join(common, queryParameter(), documentsParameter("documents"), documentsParameter("texts")), ceiling: rerankCeiling, dialect: inputOnly,
		},
		{
			Path: "/moderations", Name: "moderations", Class: "moderations", API: OpenAI, unnamed: "omni-moderation-latest",
			parameters: join(common, documentsParameter("input")), ceiling: moderationCeiling, dialect: moderation,
		},
		{
			Path: "/audio/speech", Name: "speech", Class: "speech", API: OpenAI,
			parameters: join(common, speechTextParameter(), speechFormatParameter()), ceiling: speechCeiling, dialect: speech,
		},
		{
			Path: "/audio/transcriptions", Name: "transcriptions", Class: "transcriptions", API: OpenAI,
			parameters: recorded, file: recording, ceiling: transcriptionCeiling, dialect: transcription,
		},
		{
			Path: "/audio/translations", Name: "transcriptions", Class: "transcriptions", API: OpenAI,
			parameters: recorded, file: recording, ceiling: transcriptionCeiling, dialect: transcription,
		},
	}, messagesEndpoints(common), geminiEndpoints(), bigModelEndpoints(common), taskEndpoints(chats, image))
}

// join returns a list of its own: rows share parameters, not slices.
func join(base []parameter, more ...parameter) []parameter {
	return append(append([]parameter(nil), base...), more...)
}
