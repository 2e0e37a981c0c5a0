package mockai

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// family is a kind of API.
type family uint8

const (
	familyChat family = iota
	familyCompletions
	familyEmbeddings
	familyImages
	familyRerank
	familyModerations
	familySpeech
	familyTranscriptions
	familyResponses
	familyMessages
	familyCount
	familyGenerate
	familyEmbed
	familyCountTokens
	familyTokenizer
	familySearch
	familyVideos
)

// request is what the simulated upstream understands of a body.
type request struct {
	bigModel  bool
	anthropic bool
	gemini    bool
	array     bool // a stream of Gemini's that is no events
	family    family
	model     string
	// user and text may carry a directive: text is the last user message, the
	// prompt, or the first input.
	user, text string

	stream, hasStreamOptions, includeUsage bool
	maxTokens                              int64 // -1: not given
	n                                      int64
	tier                                   string
	format                                 gjson.Result // response_format
	functions                              []function   // that may be called
	mustCall                               string       // the name of one of them, or "*" for any; "": none need be
	promptTokens                           int64
	// webSearch: the search is on; hideSearch: the answer does not tell what it found.
	webSearch, hideSearch bool
	maxCalls              int64 // responses; 0: not given
	encrypted             bool  // responses: reasoning comes along, encrypted
	// Of responses: the one that it goes on from, its input, the items that are named in that, and whether it is
	// not to be kept.
	previous, input string
	named           []string
	unkept          bool
	background      bool
	compacts        bool // its input ends with the order to make one item of it

	inputs int64 // embeddings; documents to be ranked, texts to be moderated
	topN   int64 // of them to be returned
	base64 bool  // embeddings and images
	dims   int64

	soundSent     int64  // bytes to be transcribed
	captions      string // the format of the transcript
	quality       string // images
	imagesSent    int64
	partialImages int64

	// What settle works out from the request and its plan.
	used  usage
	reply reply
}

// A function is a tool of the client's.
type function struct {
	name   string
	schema gjson.Result // of its arguments
}

// A reader reads one route's body.
type reader func(r *request, contentType string, body []byte) *problem

// A route is how its bodies are read, and how they are answered: whole, and as a stream, where there is one.
type route struct {
	read          reader
	whole, stream func(*answer)
}

// routes is the table of them. It is never changed.
var routes = map[string]route{
	"chat/completions":     {readChat, (*answer).chat, (*answer).chatStream},
	"completions":          {readCompletions, (*answer).chat, (*answer).chatStream},
	"responses":            {readResponses, (*answer).responses, (*answer).responseStream},
	compactRoute:           {readResponses, (*answer).compact, nil},
	inputTokensRoute:       {countOf(readResponses, "input"), (*answer).inputTokens, nil},
	"embeddings":           {readEmbeddings, (*answer).embeddings, nil},
	"images/generations":   {readImages, (*answer).images, (*answer).imageStream},
	"images/edits":         {readImages, (*answer).images, (*answer).imageStream},
	"images/variations":    {readImages, (*answer).images, (*answer).imageStream},
	"rerank":               {readRerank, (*answer).rerank, nil},
	"moderations":          {readModerations, (*answer).moderations, nil},
	"audio/speech":         {readSpeech, (*answer).speech, nil},
	"audio/transcriptions": {readTranscription, (*answer).transcription, nil},
	"audio/translations":   {readTranscription, (*answer).transcription, nil},
	messagesRoute:          {readMessages, (*answer).wholeMessage, (*answer).messageStream},
	countRoute:             {countOf(readMessages, "max_tokens"), (*answer).count, nil},
	"tokenizer":            {readTokenizer, (*answer).tokenizer, nil},
	"web_search":           {readSearch, (*answer).search, nil},

	"videos/generations":       {readVideo, (*answer).submit, nil},
	"async/chat/completions":   {readAsyncChat, (*answer).submit, nil},
	"async/images/generations": {readAsyncImages, (*answer).submit, nil},

	"generateContent":       {readGenerate, (*answer).generate, nil},
	"streamGenerateContent": {readGenerate, (*answer).generateStream, nil},
	"embedContent":          {readEmbed, (*answer).embedOne, nil},
	"batchEmbedContents":    {readEmbedBatch, (*answer).embedMany, nil},
	"countTokens":           {readCountTokens, (*answer).countTokens, nil},
}

// readFields walks the members of a JSON body, with those that all routes share.
func (r *request) readFields(body []byte, field func(name string, value gjson.Result)) *problem {
	if !json.Valid(body) { // gjson's own check has no bound of nesting
		return errNotJSON
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return errNotJSON
	}
	r.maxTokens, r.n = -1, 1
	root.ForEach(func(key, value gjson.Result) bool {
		if value.Type == gjson.Null { // is as good as not there
			return true
		}
		switch key.Str {
		case "model":
			r.model = value.Str
		case "user":
			r.user = value.Str
		case "n":
			r.n = value.Int()
		case "stream":
			r.stream = value.Bool()
		default:
			field(key.Str, value)
		}
		return true
	})
	return r.check()
}

// check refuses what no route accepts, and settles the style.
func (r *request) check() *problem {
	r.bigModel = (r.bigModel || isBigModel(r.model)) && !r.anthropic && !r.gemini
	switch {
	case r.model == "":
		return errMissing("model")
	case r.n < 1 || r.n > 128:
		return errInvalid("n", "a number from 1 to 128")
	}
	return nil
}

func isBigModel(model string) bool {
	for _, prefix := range [...]string{"glm-", "cogview", "embedding-2", "embedding-3", "charglm-", "codegeex-"} {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	return false
}

func (r *request) readOutputField(name string, value gjson.Result) {
	switch name {
	case "max_tokens", "max_completion_tokens":
		r.maxTokens = value.Int()
	case "stream_options":
		r.hasStreamOptions = true
		r.includeUsage = value.Get("include_usage").Bool()
	case "service_tier":
		r.tier = value.Str
	case "response_format":
		r.format = value
	}
}

func readChat(r *request, _ string, body []byte) *problem {
	r.family = familyChat
	messages := int64(0)
	p := r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "messages":
			value.ForEach(func(_, message gjson.Result) bool {
				messages++
				r.readMessage(message)
				return true
			})
		case "tools":
			r.promptTokens += tokens(len(value.Raw))
			value.ForEach(func(_, tool gjson.Result) bool {
				r.readTool(tool)
				return true
			})
		case "tool_choice":
			r.mustCall = called(value, "required", value.Get("function.name").Str)
		default:
			r.readOutputField(name, value)
		}
	})
	if p == nil && messages == 0 {
		return errMissing("messages")
	}
	r.promptTokens += 3
	return p
}

// called is the function that a choice of tools demands: the one that it names, or any if it is this word.
func called(choice gjson.Result, anyOne, name string) string {
	if choice.Str == anyOne {
		return "*"
	}
	return name
}

// addFunction notes a function that may be called.
func (r *request) addFunction(name string, schema gjson.Result) {
	if name != "" {
		r.functions = append(r.functions, function{name, schema})
	}
}

// readTool finds functions, and BigModel's search.
func (r *request) readTool(tool gjson.Result) {
	r.addFunction(tool.Get("function.name").Str, tool.Get("function.parameters"))
	if tool.Get("type").Str == "web_search" {
		r.webSearch = tool.Get("web_search.enable").Type != gjson.False
		r.hideSearch = tool.Get("web_search.search_result").Type == gjson.False
	}
}

// readMessage counts one message, and notes the text of a user's.
func (r *request) readMessage(message gjson.Result) {
	r.promptTokens += 3
	var role, text string
	message.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "role":
			role = value.Str
		case "content":
			text = r.readContent(value)
		case "tool_calls":
			value.ForEach(func(_, call gjson.Result) bool {
				r.promptTokens += tokens(len(call.Get("function.arguments").Str))
				return true
			})
		}
		return true
	})
	if role == "user" {
		r.text = text
	}
}

// readContent counts a message's content and returns its first text.
func (r *request) readContent(content gjson.Result) (text string) {
	if !content.IsArray() {
		r.promptTokens += tokens(len(content.Str))
		return content.Str
	}
	content.ForEach(func(_, part gjson.Result) bool {
		if part.Get("type").Str != "text" {
			r.promptTokens += 85
			return true
		}
		piece := part.Get("text").Str
		r.promptTokens += tokens(len(piece))
		if text == "" {
			text = piece
		}
		return true
	})
	return text
}

func readCompletions(r *request, _ string, body []byte) *problem {
	r.family = familyCompletions
	prompts := int64(1)
	p := r.readFields(body, func(name string, value gjson.Result) {
		if name == "prompt" {
			r.promptTokens, prompts, r.text = countInput(value)
			return
		}
		r.readOutputField(name, value)
	})
	r.n *= max(prompts, 1)
	return p
}

func readEmbeddings(r *request, _ string, body []byte) *problem {
	r.family = familyEmbeddings
	p := r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "input":
			r.promptTokens, r.inputs, r.text = countInput(value)
		case "encoding_format":
			r.base64 = value.Str == "base64"
		case "dimensions":
			r.dims = value.Int()
		}
	})
	switch {
	case p != nil:
		return p
	case r.inputs == 0:
		return errMissing("input")
	case r.dims < 0 || r.dims > maxDims:
		return errInvalid("dimensions", "a number from 1 to 4096")
	}
	return nil
}

// countInput counts a text, texts, token ids, or lists of token ids.
func countInput(value gjson.Result) (n, inputs int64, text string) {
	if !value.IsArray() {
		return tokens(len(value.Str)), 1, value.Str
	}
	ids := int64(0)
	value.ForEach(func(_, item gjson.Result) bool {
		switch {
		case item.Type == gjson.Number:
			ids++
		case item.IsArray():
			inputs++
			n += item.Get("#").Int()
		default:
			inputs++
			n += tokens(len(item.Str))
			if text == "" {
				text = item.Str
			}
		}
		return true
	})
	if ids > 0 {
		return n + ids, inputs + 1, text
	}
	return n, inputs, text
}

func readImages(r *request, contentType string, body []byte) *problem {
	r.family = familyImages
	if strings.HasPrefix(contentType, "multipart/") {
		p := r.readForm(contentType, body)
		if p == nil && r.imagesSent == 0 {
			return errMissing("image")
		}
		return p
	}
	return r.readFields(body, func(name string, value gjson.Result) { r.readImageField(name, value.String()) })
}

func (r *request) readImageField(name, value string) {
	switch name {
	case "prompt":
		r.text = value
		r.promptTokens = tokens(len(value))
	case "response_format":
		r.base64, r.captions = value == "b64_json", value
	case "quality":
		r.quality = value
	case "partial_images":
		r.partialImages, _ = strconv.ParseInt(value, 10, 64)
	}
}

// readForm reads a multipart body. Files are counted, not kept.
func (r *request) readForm(contentType string, body []byte) *problem {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return errNotMultipart
	}
	r.maxTokens, r.n = -1, 1
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return errNotMultipart
		}
		if p := r.readPart(part); p != nil {
			return p
		}
	}
	return r.check()
}

func (r *request) readPart(part *multipart.Part) *problem {
	content, err := io.ReadAll(part)
	if err != nil {
		return errNotMultipart
	}
	value := string(content)
	switch name := part.FormName(); name {
	case "image", "image[]":
		r.imagesSent++
	case "file":
		r.soundSent = int64(len(content))
	case "model":
		r.model = value
	case "user":
		r.user = value
	case "stream":
		r.stream = value == "true"
	case "n":
		r.n, err = strconv.ParseInt(value, 10, 64)
		if err != nil {
			return errInvalid("n", "a number from 1 to 128")
		}
	default:
		r.readImageField(name, value)
	}
	return nil
}
