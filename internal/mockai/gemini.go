package mockai

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// geminiPrefix begins the paths of the Gemini API, which have the model in them: models/{model}:{method}.
const geminiPrefix = "/v1beta/"

// splitGemini takes a path of the Gemini API apart. Its methods are routes of their own.
func splitGemini(path string) (model, method string, ok bool) {
	rest, ok := strings.CutPrefix(path, geminiPrefix)
	if !ok {
		return "", "", false
	}
	if name, named := strings.CutPrefix(rest, "models/"); named {
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			return name[:i], name[i+1:], true
		}
	}
	return "", rest, true
}

// oneOf is the first of a member's names, or its spellings, that is there and not null.
func oneOf(object gjson.Result, names ...string) gjson.Result {
	for _, name := range names {
		if value := object.Get(name); value.Exists() && value.Type != gjson.Null {
			return value
		}
	}
	return gjson.Result{}
}

// readGenerate reads the body of generateContent and streamGenerateContent.
func readGenerate(r *request, _ string, body []byte) *problem {
	r.family = familyGenerate
	if p := r.readGemini(body); p != nil {
		return p
	}
	root := gjson.ParseBytes(body)
	contents := int64(0)
	for _, content := range root.Get("contents").Array() {
		contents++
		if text := r.readContentParts(content); content.Get("role").Str != "model" {
			r.text = text
		}
	}
	if contents == 0 {
		return errMissing("contents")
	}
	r.promptTokens += 3
	if system := oneOf(root, "systemInstruction", "system_instruction"); system.Exists() {
		r.readContentParts(system)
	}
	if tools := root.Get("tools"); tools.IsArray() {
		r.promptTokens += tokens(len(tools.Raw))
		tools.ForEach(func(_, tool gjson.Result) bool {
			r.webSearch = r.webSearch || oneOf(tool, "googleSearch", "google_search").Exists()
			oneOf(tool, "functionDeclarations", "function_declarations").ForEach(func(_, declared gjson.Result) bool {
				r.addFunction(declared.Get("name").Str, oneOf(declared, "parameters", "parametersJsonSchema", "parameters_json_schema"))
				return true
			})
			return true
		})
	}
	calling := oneOf(oneOf(root, "toolConfig", "tool_config"), "functionCallingConfig", "function_calling_config")
	if calling.Get("mode").Str == "ANY" {
		r.mustCall = cmp.Or(oneOf(calling, "allowedFunctionNames", "allowed_function_names").Get("0").Str, "*")
	}
	config := oneOf(root, "generationConfig", "generation_config")
	if schema := oneOf(config, "responseJsonSchema", "response_json_schema", "responseSchema", "response_schema"); schema.Exists() {
		r.format = inSchema(schema)
	} else if oneOf(config, "responseMimeType", "response_mime_type").Str == "application/json" {
		r.format = gjson.Parse(`{"type":"json_object"}`)
	}
	if limit := oneOf(config, "maxOutputTokens", "max_output_tokens"); limit.Exists() {
		r.maxTokens = limit.Int()
	}
	if n := oneOf(config, "candidateCount", "candidate_count"); n.Exists() {
		r.n = n.Int()
	}
	return r.check()
}

// readGemini checks a body, whose model is in the path: one that it names, too, must be the same.
func (r *request) readGemini(body []byte) *problem {
	if !gjson.ValidBytes(body) || !gjson.ParseBytes(body).IsObject() {
		return errNotJSON
	}
	r.maxTokens, r.n = -1, 1
	root := gjson.ParseBytes(body)
	named := append([]gjson.Result{root.Get("model")}, root.Get("requests.#.model").Array()...)
	for _, model := range named {
		if model.Exists() && strings.TrimPrefix(model.Str, "models/") != r.model {
			return errInvalid("model", "the model of the path")
		}
	}
	return r.check()
}

// readParts counts a content, and returns its first text.
func (r *request) readContentParts(content gjson.Result) (text string) {
	r.promptTokens += 3
	parts := content.Get("parts")
	if parts.IsObject() {
		parts = gjson.Parse("[" + parts.Raw + "]")
	}
	parts.ForEach(func(_, part gjson.Result) bool {
		piece := part.Get("text")
		switch {
		case piece.Exists():
			r.promptTokens += tokens(len(piece.Str))
			if text == "" {
				text = piece.Str
			}
		case oneOf(part, "functionCall", "function_call").Exists(), oneOf(part, "functionResponse", "function_response").Exists():
			r.promptTokens += tokens(len(part.Raw))
		default:
			r.promptTokens += 258
		}
		return true
	})
	return text
}

// readEmbed reads the body of embedContent, readEmbedBatch that of batchEmbedContents.
func readEmbed(r *request, _ string, body []byte) *problem {
	r.family = familyEmbed
	if p := r.readGemini(body); p != nil {
		return p
	}
	return r.readEmbedRequest(gjson.ParseBytes(body))
}

func readEmbedBatch(r *request, _ string, body []byte) (p *problem) {
	r.family = familyEmbed
	if p = r.readGemini(body); p != nil {
		return p
	}
	gjson.GetBytes(body, "requests").ForEach(func(_, one gjson.Result) bool {
		p = r.readEmbedRequest(one)
		return p == nil
	})
	if p == nil && r.inputs == 0 {
		return errMissing("requests")
	}
	return p
}

func (r *request) readEmbedRequest(one gjson.Result) *problem {
	if !one.Get("content").Exists() {
		return errMissing("content")
	}
	r.inputs++
	if text := r.readContentParts(one.Get("content")); r.text == "" {
		r.text = text
	}
	r.dims = oneOf(one, "outputDimensionality", "output_dimensionality").Int()
	if r.dims < 0 || r.dims > maxDims {
		return errInvalid("outputDimensionality", "a number from 1 to 4096")
	}
	return nil
}

// readCountTokens reads the body of countTokens: contents, or a whole request.
func readCountTokens(r *request, contentType string, body []byte) *problem {
	if inner := oneOf(gjson.ParseBytes(body), "generateContentRequest", "generate_content_request"); inner.Exists() {
		body = []byte(inner.Raw)
	}
	p := readGenerate(r, contentType, body)
	r.family = familyCountTokens
	return p
}

// settleGenerate works out what is said, and what it used. What searches found is beside the prompt.
func (r *request) settleGenerate(p *plan) {
	r.settleReply(p)
	if p.finish == "" {
		r.reply.finish = map[string]string{"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}[r.reply.finish]
	}
	if r.webSearch {
		r.reply.search = orElse(p.toolResults, 1)
	}
	r.reply.images = orElse(p.images, flag(strings.Contains(r.model, "image")))
	r.used.completion += r.reply.images * generatedImageTokens
	r.used.images = r.reply.images
}

// generatedImageTokens is what one image comes to.
const generatedImageTokens = 1290

// generate answers generateContent with one JSON object.
func (a *answer) generate() { a.json(a.generated(nil, 0, 1)) }

// generateStream answers streamGenerateContent with events, or with one array.
func (a *answer) generateStream() {
	chunks := int(max(a.request.reply.chunks, 1))
	frames := chunks
	if a.request.array && !a.plan.noDone {
		frames++ // the bracket that closes it
	}
	a.stream(frames, func(dst []byte, i int) []byte {
		if !a.request.array {
			return a.lineEnd(a.generated(a.data(dst), i, chunks))
		}
		switch i {
		case 0:
			dst = append(dst, '[')
		case chunks:
			return append(dst, "\n]\n"...)
		default:
			dst = append(dst, "\n,\r\n"...)
		}
		return a.generated(dst, i, chunks)
	}, !a.request.used.absent && !a.request.used.null)
}

// generated appends the i-th of n pieces of the answer, with the usage until then.
func (a *answer) generated(dst []byte, i, n int) []byte {
	r := &a.request
	last := i == n-1
	dst = append(dst, '{')
	if r.reply.finish == "blocked" {
		dst = append(dst, `"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}`...)
	} else {
		dst = append(dst, `"candidates":[`...)
		for c := range r.n {
			if c > 0 {
				dst = append(dst, ',')
			}
			dst = a.candidate(dst, c, int64(i), int64(n))
		}
		dst = append(dst, ']')
	}
	if !r.used.absent {
		dst = append(dst, `,"usageMetadata":`...)
		used := r.used
		if !last {
			used = used.shown(int64(i+1), int64(n))
		}
		dst = used.appendGemini(dst, r.reply.search*searchTokens, r.reply.images, a.plan.tier)
	}
	dst = appendJSON(append(dst, `,"modelVersion":`...), r.model)
	dst = append(append(dst, `,"responseId":"`...), a.id()...)
	return append(dst, `"}`...)
}

// candidate appends the i-th of n pieces of a candidate.
func (a *answer) candidate(dst []byte, index, i, n int64) []byte {
	r := &a.request
	var parts []string
	if a.plan.reasoning > 0 && i == 0 {
		parts = append(parts, `{"text":`+string(append(appendSaid([]byte{'"'}, 0, 4*a.plan.reasoning), '"'))+`,"thought":true}`)
	}
	switch from, to := r.reply.bytes*i/n, r.reply.bytes*(i+1)/n; {
	case r.reply.call != "" && i == n-1:
		parts = append(parts, `{"functionCall":{"name":`+string(appendJSON(nil, r.reply.call))+`,"args":`+r.reply.arguments+`}}`)
	case to > from || len(parts) == 0:
		parts = append(parts, `{"text":`+string(r.reply.appendContent(nil, from, to))+`}`)
	}
	if i == n-1 {
		for range r.reply.images {
			parts = append(parts, `{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}`)
		}
	}
	dst = append(dst, `{"content":{"parts":[`+strings.Join(parts, ",")+`],"role":"model"}`...)
	if i == n-1 {
		dst = append(append(dst, `,"finishReason":"`...), r.reply.finish...)
		dst = append(dst, '"')
		if r.reply.search > 0 {
			dst = append(dst, `,"groundingMetadata":{"webSearchQueries":[`...)
			for q := range r.reply.search {
				if q > 0 {
					dst = append(dst, ',')
				}
				dst = append(strconv.AppendInt(append(dst, `"query `...), q+1, 10), '"')
			}
			dst = append(dst, `],"groundingChunks":[{"web":{"uri":"https://search.mock.invalid/1","title":"Result 1"}}]}`...)
		}
	}
	return append(strconv.AppendInt(append(dst, `,"index":`...), index, 10), '}')
}

// appendGemini writes the usage object of the Gemini API: thoughts are beside the candidates, what tools
// found beside the prompt.
func (u *usage) appendGemini(dst []byte, found, images int64, tier string) []byte {
	if u.null {
		return append(dst, "null"...)
	}
	thoughts := max(u.reasoning, 0)
	said := max(u.completion-thoughts, 0)
	dst = u.appendCount(append(dst, `{"promptTokenCount":`...), u.prompt)
	dst = u.appendCount(append(dst, `,"candidatesTokenCount":`...), said)
	dst = u.appendCount(append(dst, `,"totalTokenCount":`...), u.total+found)
	if u.cached >= 0 {
		dst = u.appendCount(append(dst, `,"cachedContentTokenCount":`...), u.cached)
	}
	if thoughts > 0 {
		dst = u.appendCount(append(dst, `,"thoughtsTokenCount":`...), thoughts)
	}
	if found > 0 {
		dst = u.appendCount(append(dst, `,"toolUsePromptTokenCount":`...), found)
	}
	dst = append(u.appendCount(append(dst, `,"promptTokensDetails":[{"modality":"TEXT","tokenCount":`...), u.prompt), "}]"...)
	if images > 0 {
		dst = append(u.appendCount(append(dst, `,"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":`...), min(images*generatedImageTokens, said)), "}]"...)
	}
	if tier != "" {
		dst = appendJSON(append(dst, `,"serviceTier":`...), tier)
	}
	return append(dst, '}')
}

// embedOne answers embedContent, embedMany batchEmbedContents: both tell their usage only if a directive does.
func (a *answer) embedOne()  { a.embedded(`{"embedding":`, "") }
func (a *answer) embedMany() { a.embedded(`{"embeddings":[`, "]") }

func (a *answer) embedded(open, end string) {
	r := &a.request
	dst := []byte(open)
	for i := range r.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(a.server.vectors.append(append(dst, `{"values":`...), i, r.dims, false), '}')
	}
	dst = append(dst, end...)
	if !r.used.absent {
		dst = append(r.used.appendCount(append(dst, `,"usageMetadata":{"promptTokenCount":`...), r.used.prompt), '}')
	}
	a.json(append(dst, '}'))
}

// countTokens answers countTokens.
func (a *answer) countTokens() {
	a.json(append(strconv.AppendInt([]byte(`{"totalTokens":`), a.request.used.prompt, 10), '}'))
}

// appendGemini writes the error in Google's style.
func (p *problem) appendGemini(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"error":{"code":`...), int64(p.status), 10)
	dst = appendJSON(append(dst, `,"message":`...), p.message)
	dst = appendJSON(append(dst, `,"status":`...), googleStatus(p.status))
	return append(dst, "}}"...)
}

func googleStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	}
	if status < http.StatusInternalServerError {
		return "INVALID_ARGUMENT"
	}
	return "INTERNAL"
}
