package meter

import "strings"

// Responses in one file: what its requests may ask for beyond what chat has
// (items, hosted tools, state that is kept upstream), and how its answers tell
// usage, text and calls of hosted tools.

// A hostedTool is a tool that the upstream runs, by its name in requests and in the
// price tables, and by the type of the items of an answer that are its calls.
type hostedTool struct {
	name, item string
	dimension  Dimension
}

// hostedTools is the table of them. It is never changed. Tools that are not in it
// leave nothing in an answer that could be counted, and are refused.
var hostedTools = [...]hostedTool{
	{webSearch, "web_search_call", Search},
	{"file_search", "file_search_call", ToolCall},
	{"code_interpreter", "code_interpreter_call", ToolCall},
	{"image_generation", "image_generation_call", ToolCall},
	{"computer_use_preview", "computer_call", ToolCall},
	{"mcp", "mcp_call", ToolCall},
	{"shell", "shell_call", ToolCall},
	{"local_shell", "local_shell_call", ToolCall},
	{"apply_patch", "apply_patch_call", ToolCall},
	{"tool_search", "tool_search_call", ToolCall},
}

// previewSearch is the older of OpenAI's two searches, which has a price of its own:
// that of the engine of this name.
const previewSearch = "web_search_preview"

// findHosted finds a tool by the type that a request gives it: -1 if there is none.
// Searches have dated names, too.
func findHosted(kind string) int {
	if strings.HasPrefix(kind, webSearch) {
		kind = webSearch
	}
	if kind == "computer" {
		kind = "computer_use_preview"
	}
	for i := range hostedTools {
		if hostedTools[i].name == kind {
			return i
		}
	}
	return -1
}

// hostedUse is a call of the i-th tool, as the request has it.
func (r *Request) hostedUse(i int) ToolUse {
	for _, use := range r.Tools {
		if use.Tool == hostedTools[i].name {
			return use
		}
	}
	return ToolUse{Tool: hostedTools[i].name, Dimension: hostedTools[i].dimension}
}

const (
	// usualToolCalls are held for a request that may call hosted tools and does not
	// say how often.
	usualToolCalls = 4
	maxToolCalls   = 1000
	// originalImageTokens is for an image that is not scaled down.
	originalImageTokens = 16384
	// contextTokens is more than any model takes in at once: no file has more.
	contextTokens = 1_100_000
)

// responsesCeiling is chatCeiling where hosted tools may be called: after each call
// the model reads all of its input again, with what it wrote and found until then,
// and the upstream counts that each time.
func responsesCeiling(r *requestReader) {
	q := r.request
	if q.background && q.Stream {
		r.fail("background", "Unsupported value: 'background' together with 'stream'. Leave one of them out: what is made in the background is asked for by GET /v1/responses/{id}.")
	}
	calls := r.toolCalls
	if calls == 0 {
		calls = usualToolCalls
	}
	if len(q.Tools) > 0 {
		for i := range q.Tools {
			q.Tools[i].Count = calls // the limit is of all tools together, and each may take it up
		}
		r.rereads(calls)
	}
	chatCeiling(r)
}

// compactCeiling is that of what makes one item of a whole conversation: no tool is called for it.
func compactCeiling(r *requestReader) {
	r.request.Tools = nil
	chatCeiling(r)
}

func maxToolCallsParameter() parameter {
	return parameter{name: "max_tool_calls", integer: func(r *requestReader, n int64) {
		if r.between("max_tool_calls", n, 1, maxToolCalls) {
			r.toolCalls = n
		}
	}}
}

// backgroundParameter makes a task of the response. As a stream it would be both: who reads that to its end pays there,
// and who does not would find the rest by asking.
func backgroundParameter() parameter {
	return parameter{name: "background", boolean: func(r *requestReader, on bool) { r.request.background = on }}
}

// inputItemsParameter counts the items of the input and finds what in them is not text.
func inputItemsParameter() parameter {
	return parameter{name: "input", value: func(r *requestReader) {
		if r.peek() != '[' {
			r.request.messages++
		}
		r.elements(r.inputItem)
	}}
}

// An inputItem is what of an item decides whether it is all there.
type inputItem struct {
	kind, id string
	// role: it has one. content: something of it is here, thoughts: encrypted
	// ones, result: an image.
	role, content, thoughts, result bool
}

func (r *requestReader) inputItem() {
	r.request.messages++
	if r.peek() != '{' {
		r.skip()
		return
	}
	var item inputItem
	var seen uint64
	for r.open('{'); r.more('}'); {
		switch key, first := r.key(), r.peek(); string(key) {
		case "type":
			r.once(&seen, 0, "input.type")
			item.kind = r.word()
		case "id":
			r.once(&seen, 1, "input.id")
			item.id = r.word()
		case "role":
			item.role = first == '"'
			r.skip()
		case "content", "output":
			item.content = r.itemContent() || item.content
		case "encrypted_content":
			r.once(&seen, 2, "input.encrypted_content")
			item.thoughts = len(r.raw()) > len(`""`) && first == '"'
		case "result":
			r.once(&seen, 3, "input.result")
			if item.result = first == '"'; item.result {
				r.attach(InputImage, imageTokens)
			}
			r.payload()
		case "container_id", "environment":
			if first == '"' || first == '{' && namesStored(r.peekRaw()) {
				r.refersTo("input."+string(key), "a container", "Leave the earlier calls of this tool out of 'input'.")
			}
			r.skip()
		case "tools":
			r.elements(r.hostedTool)
		default:
			r.refuseOddCase(key, "input.", "type", "id", "role", "content", "output", "encrypted_content", "result", "container_id", "environment", "tools")
			r.skip()
		}
	}
	switch {
	case item.kind == "item_reference", item.kind == "" && item.id != "" && !item.role:
		r.goesOnFrom(item.id, "input.id", "an item")
	case item.kind == "reasoning" && item.id != "" && !item.content && !item.thoughts:
		r.goesOnFrom(item.id, "input.id", "reasoning, of which nothing else is given, and")
	case item.kind == "image_generation_call" && !item.result:
		r.refersTo("input.id", "an image", "Send the image itself, in 'result' or as an input_image.")
	}
}

// itemContent reads a text, a part or a list of parts, and reports whether there is any.
func (r *requestReader) itemContent() (some bool) {
	switch r.peek() {
	case '[':
		r.elements(func() {
			some = true
			r.itemPart()
		})
	case '{':
		some = true
		r.itemPart()
	default:
		some = r.peek() == '"'
		r.skip()
	}
	return some
}

// itemPart reads one part of an item's content, or the output of a computer.
func (r *requestReader) itemPart() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	image, original := false, false
	for r.open('{'); r.more('}'); {
		key := r.key()
		if r.peek() == 'n' {
			r.skip()
			continue
		}
		switch string(key) {
		case "image_url":
			image = true
			r.payload()
		case "detail":
			original = r.word() == "original"
		case "file_data":
			hidden, _ := r.payload()
			r.attach(InputImage, max(documentTokens, min(hidden/4*3, contextTokens)))
		case "file_url", "video_url":
			r.payload()
			r.attach(InputImage, documentTokens)
		case "input_audio":
			r.attach(InputAudio, r.audioCeiling())
		case "file_id":
			r.refersTo("input.content.file_id", "a file", "Send the file itself, as 'image_url' (a data URL) or as 'file_data'.")
			r.skip()
		default:
			r.refuseOddCase(key, "input.content.", "image_url", "detail", "file_data", "file_url", "video_url", "input_audio", "file_id")
			r.skip()
		}
	}
	switch {
	case image && original:
		r.attach(InputImage, originalImageTokens)
	case image:
		r.attach(InputImage, imageTokens)
	}
	if image {
		r.images++
	}
}

// hostedToolsParameter finds the hosted ones among the tools. Those that the client
// runs itself, functions and custom ones, are free.
func hostedToolsParameter() parameter {
	return parameter{name: "tools", value: func(r *requestReader) { r.elements(r.hostedTool) }}
}

func (r *requestReader) hostedTool() {
	r.tools++
	if r.peek() != '{' {
		r.skip()
		return
	}
	var seen uint64
	kind, start := "", r.pos
	for r.open('{'); r.more('}'); {
		switch key := r.key(); string(key) {
		case "type":
			r.once(&seen, 0, "tools.type")
			kind = r.word()
		case "tools": // of a namespace
			r.elements(r.hostedTool)
		default:
			r.refuseOddCase(key, "tools.", "type", "tools")
			r.skip()
		}
	}
	if r.err != nil {
		return
	}
	switch kind {
	case "", "function", "custom", "namespace":
	default:
		r.addHosted(kind, r.body[start:r.pos])
	}
}

// addHosted notes a hosted tool, described by raw.
func (r *requestReader) addHosted(kind string, raw []byte) {
	i, q := findHosted(kind), r.request
	if i < 0 {
		r.fail("tools", "Unsupported tool type '%s': nothing in an answer tells its calls, so that they have no price here.", bounded(kind))
		return
	}
	if kind != "mcp" && namesStored(raw) {
		r.refersTo("tools", "files, a container or another object", `Leave it out; of a container say {"type": "auto"}.`)
	}
	use := ToolUse{Tool: hostedTools[i].name, Dimension: hostedTools[i].dimension, Count: 1}
	if use.Tool == webSearch {
		use.Attributes = Attributes{"engine": webSearch}
		if strings.HasPrefix(kind, previewSearch) {
			use.Attributes["engine"] = previewSearch
		}
	}
	for _, other := range q.Tools {
		switch {
		case other.Tool != use.Tool:
		case other.Attributes["engine"] != use.Attributes["engine"]:
			r.fail("tools", "Invalid value for 'tools': at most one web search can be used in a request.")
			return
		default:
			return // two of a kind, such as two servers, are counted together
		}
	}
	q.Tools = append(q.Tools, use)
}

// namesStored reports whether the description of a tool, or of where it runs, has an
// id of something that is kept upstream anywhere in it. It is valid JSON.
func namesStored(raw []byte) bool {
	c := cursor{body: raw}
	return c.namesStored()
}

func (c *cursor) namesStored() (found bool) {
	switch c.peek() {
	case '{':
		for c.open('{'); c.more('}'); {
			switch key := strings.ToLower(string(c.key())); key {
			case "file_id", "file_ids", "vector_store_id", "vector_store_ids", "container_id", "skill_id":
				value := string(c.raw())
				found = found || value != "null" && strings.Trim(value, "[] \t\r\n") != ""
			case "container":
				found = c.peek() == '"' || found
				found = c.namesStored() || found
			default:
				found = c.namesStored() || found
			}
		}
	case '[':
		c.elements(func() { found = c.namesStored() || found })
	default:
		c.skip()
	}
	return found
}

// callCounts are the calls of each of the hosted tools.
type callCounts [len(hostedTools)]int32

func (n *callCounts) add(more *callCounts) {
	for i := range n {
		n[i] += more[i]
	}
}

// callFacts are the calls of hosted tools that an answer shows: single is those that
// came by themselves, whole those in the list of all items, which has them again.
type callFacts struct {
	single, whole callCounts
	item          itemFacts
}

// itemFacts are of the item that is being read.
type itemFacts struct {
	// tool is the place of its tool in the table, plus one; 0: it is no call.
	tool int8
	// uncounted says that it is not over, has failed, or was no search but the
	// opening of a page.
	uncounted bool
}

// note is told of an item's type, its status, and what a search does.
func (i *itemFacts) note(what fact, text []byte) {
	switch what {
	case factItemType:
		for n := range hostedTools {
			if hostedTools[n].item == string(text) {
				i.tool = int8(n + 1)
			}
		}
	case factItemStatus:
		switch string(text) {
		case "in_progress", "searching", "failed":
			i.uncounted = true
		}
	case factItemAction:
		switch string(text) {
		case "open_page", "find", "find_in_page":
			i.uncounted = true
		}
	}
}

// itemEnd counts an item that is a call.
func (f *answerFacts) itemEnd(what fact) {
	i := f.calls.item
	switch {
	case i.tool == 0 || i.uncounted:
	case what == factItem:
		f.frame.calls[i.tool-1]++
	default:
		f.calls.whole[i.tool-1]++
	}
}

// responsesCalls counts the calls that an answer shows.
func responsesCalls(t *Tap, u *Usage) {
	f := &t.facts.calls
	for i := range hostedTools {
		if n := max(f.single[i], f.whole[i]); n > 0 {
			use := t.request.hostedUse(i)
			use.Count = int64(n)
			u.ToolCalls = append(u.ToolCalls, use)
		}
	}
}

// responseTokenCounts are the counts of a response's usage.
func responseTokenCounts() []usageCount {
	return []usageCount{
		{"input_tokens", usagePrompt},
		{"output_tokens", usageCompletion},
		{"total_tokens", usageTotal},
		{"input_tokens_details.cached_tokens", usageCached},
		{"input_tokens_details.cache_write_tokens", usageCacheWrite},
		{"output_tokens_details.reasoning_tokens", usageReasoning},
	}
}

// responsesSchema covers responses, whole and streamed. A stream tells all of the
// text in pieces, and again in its last event, which has the whole response.
func responsesSchema() *answerSchema {
	return compileSchema(
		[]schemaPath{{path: "type", fact: factType}, {path: "code", fact: factCode}, {path: "delta", fact: factText}},
		responseAt("", factText), itemAt("output.#", factItemOfAll),
		responseAt("response.", factTextAgain), itemAt("response.output.#", factItemOfAll),
		itemAt("item", factItem),
		usageObject("usage", responseTokenCounts()),
		usageObject("response.usage", responseTokenCounts()),
	)
}

// responseAt lists the members of a response, with the text in them.
func responseAt(path string, text fact) []schemaPath {
	paths := []schemaPath{
		{path: path + "id", fact: factObjectID},
		{path: path + "status", fact: factTaskStatus},
		{path: path + "output.#.id", fact: factPartID},
		{path: path + "model", fact: factModel},
		{path: path + "service_tier", fact: factTier},
		{path: path + "error", fact: factError},
		{path: path + "output", fact: factOutput},
	}
	for _, name := range []string{"content.#.text", "content.#.refusal", "summary.#.text", "name", "arguments", "input", "code"} {
		paths = append(paths, schemaPath{path: path + "output.#." + name, fact: text})
	}
	return paths
}

// itemAt lists what tells a call of a hosted tool from other items.
func itemAt(path string, kind fact) []schemaPath {
	return []schemaPath{
		{path: path, fact: kind},
		{path: path + ".type", fact: factItemType},
		{path: path + ".status", fact: factItemStatus},
		{path: path + ".action.type", fact: factItemAction},
	}
}
