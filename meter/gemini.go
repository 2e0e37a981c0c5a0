package meter

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
)

// The Gemini API's requests in one file; gemini_answer.go has its answers. Its model is in
// the path, and its JSON is protobuf's: each name has two spellings, a list of one may
// stand without its brackets, and both are read as its own readers read them.

const (
	// pictureTokens is for an image: at most 3,072 pixels square are looked at, in 16 tiles of 258.
	pictureTokens = 8192
	// soundTokensPerSecond is what sound is counted at.
	soundTokensPerSecond = 32
	// usualPages is how many pages a request may have read.
	usualPages = 20
)

// Hosted tools that only Gemini has, as the price tables call them; googleSearch is the
// engine of its web search, geminiEngine that of its code execution.
const (
	urlContext   = "url_context"
	googleMaps   = "google_maps"
	googleSearch = "google_search"
	geminiEngine = "gemini"
)

// geminiEndpoints are the rows of the Gemini API.
func geminiEndpoints() []*Endpoint {
	generate := &dialect{
		schema: generateSchema(), quantities: generateQuantities, without: estimateGenerated, results: splitGenerated,
		describe: describeTier, calls: generateCalls, tellsEnd: true, endsInText: true, usage: usageMetadata,
	}
	embed := &dialect{
		schema: embedSchema(), quantities: embedQuantities, without: estimateEmbeddings, usage: usageMetadata,
	}
	common := append([]parameter{{name: "model", value: func(r *requestReader) { r.namedModel("model") }}}, otherModelsParameters()...)
	conversation := join(common, contentsParameter("contents"), contentsParameter("systemInstruction"),
		storedInputParameter("cachedContent", "a prompt", "Send it in 'contents'; what is sent again is cached by itself."))
	generation := join(conversation, generationConfigParameter(), googleToolsParameter(), serviceTierParameter(),
		storedInputParameter("continuationToken", "an answer", "Send what it said until then in 'contents'."),
		unmeteredParameter("generationOutputConfig", writtenElsewhere))
	whole, streamed := map[string][]string{"alt": {"json"}}, map[string][]string{"alt": {"json", "sse"}}
	return []*Endpoint{
		{
			Path: "/models/{model}:generateContent", Name: "generateContent", Class: "chat", API: Gemini, Limit: "maxOutputTokens", Query: whole,
			parameters: generation, protobuf: true, ceiling: generateCeiling, dialect: generate,
		},
		{
			Path: "/models/{model}:streamGenerateContent", Name: "generateContent", Class: "chat", API: Gemini, Limit: "maxOutputTokens", Query: streamed,
			parameters: generation, protobuf: true, streams: true, ceiling: generateCeiling, dialect: generate,
		},
		{
			Path: "/models/{model}:embedContent", Name: "embedContent", Class: "embeddings", API: Gemini, Query: whole,
			parameters: join(common, contentsParameter("content")), protobuf: true, ceiling: embeddingsCeiling, dialect: embed,
		},
		{
			Path: "/models/{model}:batchEmbedContents", Name: "embedContent", Class: "embeddings", API: Gemini, Query: whole,
			parameters: join(common, embedRequestsParameter()), protobuf: true, ceiling: embeddingsCeiling, dialect: embed,
		},
		{
			Path: "/models/{model}:countTokens", Name: "countTokens", Class: "tokenizer", API: Gemini, Query: whole,
			parameters: join(conversation, countedRequestParameter()), protobuf: true, ceiling: oneCall,
			dialect: &dialect{
				schema:     compileSchema([]schemaPath{{path: "error", fact: factError}}),
				quantities: noQuantities, without: deriveCall, usage: usageMetadata,
			},
		},
	}
}

// usageMetadata is what Gemini calls its usage.
const usageMetadata = "usageMetadata"

// generateCeiling holds for the limit of each candidate, thoughts included: what may be
// thought is held for where it is more.
func generateCeiling(r *requestReader) {
	q := r.request
	q.generates, q.outputs = true, q.Choices
	q.usualOutput, q.OutputLimited = r.options.DefaultMaxOutput, r.maxTokens > 0
	q.Ceiling[Output] = outputCeiling(r.outputWithThoughts(), q.outputs)
	if len(q.Tools) > 0 {
		r.rereads(usualToolCalls)
	}
	q.Ceiling[Input] += r.inputBytes()
	q.mayMake(r.drawn, r.spoken)
}

// mayMake holds for outputs that may be images, or sound.
func (r *Request) mayMake(images, sound bool) {
	if images {
		r.Ceiling[OutputImage] = max(r.Ceiling[OutputImage], r.Ceiling[Output], outputCeiling(imageOutputTokens, r.outputs))
	}
	if sound {
		r.Ceiling[OutputAudio] = max(r.Ceiling[OutputAudio], r.Ceiling[Output])
	}
}

// mayGenerate raises the ceiling to what a model of this name makes unasked, and to as
// many searches as are billed of it.
func (r *Request) mayGenerate(model string) {
	if !r.generates {
		return
	}
	r.mayMake(strings.Contains(model, "image") || strings.Contains(model, "banana"), strings.Contains(model, "tts") || strings.Contains(model, "audio"))
	for i := range r.Tools {
		if tool := &r.Tools[i]; tool.Tool == webSearch && !isGroundedByPrompt(model) {
			tool.Count = usualUses
		}
	}
}

// isGroundedByPrompt tells the models that are billed one search for an answer,
// however many were made for it.
func isGroundedByPrompt(model string) bool {
	model = strings.TrimPrefix(model, "models/")
	return strings.HasPrefix(model, "gemini-1") || strings.HasPrefix(model, "gemini-2")
}

// namedModel reads the name of a model in the body: it must be the one that the path has.
func (r *requestReader) namedModel(param string) {
	first := r.peek()
	start := r.pos
	value := r.raw()
	switch {
	case r.err != nil || first == 'n':
		return
	case first != '"':
		r.wrongType(param, "a string", first)
		return
	}
	said := unescape(value[1 : len(value)-1])
	name := strings.TrimPrefix(said, "models/")
	switch {
	case said == "": // protobuf's own way to say nothing
		return
	case !isPathModel(name):
		r.fail(param, "Invalid value for '%s': want the name of a model, such as models/gemini-2.5-flash.", param)
	case r.request.Model == "":
		r.request.Model = name
	case r.request.Model != name:
		r.fail(param, "Invalid value for '%s': it names '%s', and the path '%s', which is what is called.", param, bounded(name), r.request.Model)
	}
	r.request.renames = append(r.request.renames, edit{start: start, end: r.pos, quoted: true, prefix: strings.TrimSuffix(said, name)})
}

// contentsParameter counts contents, and finds what in them is not text.
func contentsParameter(name string) parameter {
	return parameter{name: name, value: func(r *requestReader) { r.contents(name) }}
}

func (r *requestReader) contents(name string) {
	r.each(func() {
		r.request.messages++
		r.members(name+".", member{"parts", func() { r.each(r.contentPart) }})
	})
}

const inParts = "contents.parts."

func (r *requestReader) contentPart() {
	r.members(inParts,
		member{"inlineData", func() { r.each(r.inlineData) }},
		member{"fileData", func() { r.each(r.fileData) }},
		member{"functionResponse", func() {
			r.each(func() { r.members(inParts+"functionResponse.", member{"parts", func() { r.each(r.contentPart) }}) })
		}})
}

// inlineData counts what comes along, by what it says it is.
func (r *requestReader) inlineData() {
	kind, data := "", []byte(nil)
	r.members(inParts+"inlineData.", member{"mimeType", func() { kind = r.word() }}, member{"data", func() { data = r.raw() }})
	if len(data) <= len(`""`) {
		return
	}
	kind, _, _ = strings.Cut(strings.ToLower(kind), ";")
	switch kind = strings.TrimSpace(kind); kind {
	case "image/png", "image/jpeg", "image/jpg", "image/webp", "image/heic", "image/heif", "image/gif", "image/bmp", "image/avif":
		r.attach(InputImage, pictureTokens)
	case "audio/wav", "audio/x-wav", "audio/wave", "audio/mp3", "audio/mpeg":
		ms, ok := playsFor(data)
		if !ok {
			r.attachContext()
			break
		}
		r.attach(InputAudio, ms*soundTokensPerSecond/1000+audioTokens)
	default:
		if strings.HasPrefix(kind, "text/") || kind == "application/json" {
			return // its bytes are the text's
		}
		r.attachContext()
	}
	r.hidden += int64(len(data))
}

// playsFor is how long a recording plays, in ms, if its samples can be counted. data is
// base64 in a JSON string, of either alphabet.
func playsFor(data []byte) (ms int64, ok bool) {
	text := bytes.TrimRight(bytes.Trim(data, `"`), "=")
	if bytes.ContainsAny(text, `\-_`) {
		text = bytes.Map(func(r rune) rune {
			switch r {
			case '\\': // before a slash
				return -1
			case '-':
				return '+'
			case '_':
				return '/'
			}
			return r
		}, text)
	}
	sound := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(sound, text)
	if err != nil {
		return 0, false
	}
	ms, _, exact := soundLength(sound[:n])
	return ms, exact
}

// attachContext counts what can be as long as the model takes in, whatever its size: videos,
// documents, packed sound, what is elsewhere. All together are no longer.
func (r *requestReader) attachContext() { r.attachTogether(InputVideo, contextTokens) }

// fileData counts a file that is elsewhere. One that is not everybody's is somebody's upstream.
func (r *requestReader) fileData() {
	r.members(inParts+"fileData.", member{"fileUri", func() { r.each(r.fileURI) }})
}

func (r *requestReader) fileURI() {
	where := r.word()
	if where == "" {
		return
	}
	if !isPublic(where) {
		r.refersTo(inParts+"fileData.fileUri", "a file", "Send the file itself, as inlineData.")
	}
	r.attachContext()
}

// isPublic reports whether an address is of the web, and not of the provider, where our credential
// may open what is not everybody's.
func isPublic(address string) bool {
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.User != nil || at.Port() != "" || strings.ContainsRune(address, '\\') {
		return false
	}
	host := strings.ToLower(at.Hostname())
	for _, b := range []byte(host) {
		if !(b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '.') {
			return false
		}
	}
	if name, top := lastTwo(host); !strings.ContainsAny(top, "abcdefghijklmnopqrstuvwxyz") || strings.HasPrefix(name, "google") || strings.HasPrefix(name, "gstatic") {
		return false
	}
	return true
}

// lastTwo are the last two labels of a host's name.
func lastTwo(host string) (name, top string) {
	labels := strings.Split(host, ".")
	if len(labels) < 2 || labels[len(labels)-1] == "" {
		return "", ""
	}
	return labels[len(labels)-2], labels[len(labels)-1]
}

// writtenElsewhere is why an answer must come here.
const writtenElsewhere = "what is written elsewhere is not seen in the answer, and so not metered"

// generationConfigParameter learns how much may come out, and of which kinds.
func generationConfigParameter() parameter {
	const inside = "generationConfig."
	refused := func(r *requestReader, name string) member {
		return member{name, func() {
			if r.given() {
				r.refuseOtherModels(inside + name)
			}
		}}
	}
	return parameter{name: "generationConfig", value: func(r *requestReader) {
		made := func(what *bool) func() { return func() { *what = r.given() || *what } }
		r.members(inside,
			member{"maxOutputTokens", func() { r.maxTokens = max(r.maxTokens, r.limit(inside+"maxOutputTokens", maxOutput, -1)) }},
			member{"candidateCount", func() { r.request.Choices = max(r.request.Choices, r.limit(inside+"candidateCount", maxChoices, 1)) }},
			member{"responseModalities", func() { r.each(r.modality) }},
			member{"thinkingConfig", func() {
				r.members(inside+"thinkingConfig.", member{"thinkingBudget", r.thinkingBudget})
			}},
			member{"imageConfig", made(&r.drawn)}, member{"speechConfig", r.speech},
			member{"generationOutputConfig", func() {
				if r.given() {
					r.fail(inside+"generationOutputConfig", "Unsupported parameter: '%sgenerationOutputConfig': %s.", inside, writtenElsewhere)
				}
			}},
			member{"responseFormat", func() {
				if r.given() {
					r.drawn, r.spoken = true, true
				}
			}},
			refused(r, "modelSelectionConfig"), refused(r, "modelConfig"), refused(r, "routingConfig"))
	}}
}

// speech finds voices that are kept upstream. Those of the vendor have a name of their own.
func (r *requestReader) speech() {
	const inside = "generationConfig.speechConfig."
	r.spoken = r.peek() != 'n' || r.spoken
	voice := member{"voiceConfig", func() {
		r.members(inside+"voiceConfig.", member{"voice", func() {
			if r.given() {
				r.refersTo(inside+"voiceConfig.voice", "a voice", "Name one of the vendor's, in 'prebuiltVoiceConfig'.")
			}
		}})
	}}
	r.members(inside, voice, member{"multiSpeakerVoiceConfig", func() {
		r.members(inside+"multiSpeakerVoiceConfig.", member{"speakerVoiceConfigs", func() { r.each(func() { r.members(inside, voice) }) }})
	}})
}

func (r *requestReader) modality() {
	const param = "generationConfig.responseModalities"
	first := r.peek()
	if first != '"' { // a number would be one, too
		r.wrongType(param, "names such as \"TEXT\"", first)
		return
	}
	switch kind := strings.ToUpper(r.word()); kind {
	case "TEXT", "MODALITY_UNSPECIFIED":
	case "IMAGE":
		r.drawn = true
	case "AUDIO":
		r.spoken = true
	default:
		r.fail(param, "Unsupported value: '%s' is '%s': what that costs is not known here.", param, bounded(kind))
	}
}

// thinkingBudget is how many tokens may be thought; -1 leaves that to the model.
func (r *requestReader) thinkingBudget() {
	if first := r.peek(); first == '-' {
		if n, ok := parseInteger(r.raw()); !ok || n != -1 {
			r.fail("generationConfig.thinkingConfig.thinkingBudget", "Invalid value for 'thinkingBudget': want -1 or a number of tokens.")
		}
		return
	}
	r.budget = r.limit("generationConfig.thinkingConfig.thinkingBudget", maxOutput, 0)
}

// serviceTierParameter notes the tier for the price rows, unless it is the usual one.
func serviceTierParameter() parameter {
	return parameter{name: "serviceTier", text: func(r *requestReader, tier string) {
		switch tier = strings.TrimPrefix(strings.ToLower(tier), "service_tier_"); tier {
		case "", "standard", "unspecified":
		default:
			r.request.setAttribute(serviceTier, bounded(tier))
		}
	}}
}

// googleToolsParameter finds the hosted ones among the tools. Functions are the client's own, and free.
func googleToolsParameter() parameter {
	return parameter{name: "tools", value: func(r *requestReader) { r.each(r.googleTool) }}
}

func (r *requestReader) googleTool() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	for r.open('{'); r.more('}'); {
		kind := string(r.key())
		if kind == "functionDeclarations" {
			r.each(func() { r.tools++; r.skip() })
			continue
		}
		if r.given() {
			r.addGoogleTool(kind)
		}
	}
}

// addGoogleTool notes what a hosted tool can cost. Whatever it finds is input.
func (r *requestReader) addGoogleTool(kind string) {
	q := r.request
	switch kind {
	case "googleSearch", "googleSearchRetrieval":
		r.mayUse(ToolUse{Tool: webSearch, Dimension: Search, Count: 1, Attributes: Attributes{"engine": googleSearch}})
	case "googleMaps":
		r.mayUse(ToolUse{Tool: googleMaps, Dimension: ToolCall, Count: 1})
	case "codeExecution":
		r.mayUse(ToolUse{Tool: codeExecution, Dimension: ToolCall, Count: usualUses, Attributes: Attributes{"engine": geminiEngine}})
	case "urlContext":
		r.mayUse(ToolUse{Tool: urlContext, Dimension: ToolCall, Count: usualPages})
		q.Ceiling[Input] += contextTokens
	case "fileSearch":
		r.refersTo("tools.fileSearch", "a store of files", "Send the files themselves, as inlineData.")
		q.Ceiling[Input] += contextTokens
	case "computerUse": // the client's, but for its description
		q.Ceiling[Input] += builtInTokens
	default:
		r.fail("tools", "Unsupported tool: '%s': what it costs is not known here.", bounded(kind))
	}
}

// mayUse notes a hosted tool, once.
func (r *requestReader) mayUse(use ToolUse) {
	for _, other := range r.request.Tools {
		if other.Tool == use.Tool {
			return
		}
	}
	r.request.Tools = append(r.request.Tools, use)
}

// embedRequestsParameter reads the requests of a batch, each of which names the model again.
func embedRequestsParameter() parameter {
	return parameter{name: "requests", value: func(r *requestReader) {
		r.each(func() {
			r.members("requests.",
				member{"model", func() { r.namedModel("requests.model") }},
				member{"content", func() { r.contents("requests.content") }})
		})
	}}
}

// countedRequestParameter reads the request whose tokens are to be counted.
func countedRequestParameter() parameter {
	const inside = "generateContentRequest."
	return parameter{name: "generateContentRequest", value: func(r *requestReader) {
		r.members(inside,
			member{"model", func() { r.namedModel(inside + "model") }},
			member{"contents", func() { r.contents(inside + "contents") }},
			member{"systemInstruction", func() { r.contents(inside + "systemInstruction") }},
			member{"cachedContent", func() {
				r.storedInput(inside+"cachedContent", "a prompt", "Leave it out: it is counted once it is sent.")
			}})
	}}
}
