package meter

import (
	"strings"
)

// Input ceilings, in tokens, of what Anthropic's Messages can have beyond the text of a body.
const (
	// documentsTokens is for all documents of a request that are not text: a hundred pages, the
	// most that it may have, are more than the context of a model holds, and that is this.
	documentsTokens = 200_000
	// toolUseTokens is the system prompt that comes with tools, builtInTokens the definition of a tool
	// that is known by its type alone, toolsetTokens that of a set of them.
	toolUseTokens = 1024
	builtInTokens = 2048
	toolsetTokens = 8192
	// usualUses is how often a hosted tool is taken to be used where the request does not limit it: the
	// vendor pauses a turn after ten. maxUses bounds the limit.
	usualUses, maxUses = 10, 1000
	// containerMS is what a call pays for its container: five minutes, the least that is billed for one.
	// No answer tells how long it ran.
	containerMS = 5 * 60 * 1000
)

// codeExecution is the hosted tool's name in the price tables.
const codeExecution = "code_execution"

// messagesEndpoints are the rows of Anthropic's Messages API.
func messagesEndpoints(common []parameter) []*Endpoint {
	conversation := join(common, turnsParameter(), thinkingParameter(), containerParameter(), contextParameter(),
		attributeParameter("speed"), attributeParameter("inference_geo"),
		unmeteredParameter("compaction", "its tokens are not in the usage of the answer"),
		unmeteredParameter("thread", "a conversation that is kept upstream is not in the body, and not bounded by it"))
	return []*Endpoint{{
		Path: "/messages", Name: "messages", Class: "chat", API: Anthropic,
		parameters: join(conversation, limitParameter("max_tokens"), declaredToolsParameter(), mcpServersParameter()),
		ceiling:    messagesCeiling,
		dialect: &dialect{
			schema: messagesSchema(), quantities: messageQuantities, without: estimateChat, describe: describeMessage, tellsEnd: true,
		},
	}, {
		Path: "/messages/count_tokens", Name: "count_tokens", Class: "tokenizer", API: Anthropic,
		parameters: conversation, ceiling: oneCall, dialect: countDialect(),
	}}
}

// countDialect is of counts of tokens, which use nothing: each is one call.
func countDialect() *dialect {
	return &dialect{
		schema:     compileSchema([]schemaPath{{path: "type", fact: factType}, {path: "error", fact: factError}}),
		quantities: noQuantities, without: deriveCall,
	}
}

// messagesCeiling takes the limit as the most, thoughts included. With interleaved
// thinking their budget may be above it. The API requires a limit; without one the
// upstream decides.
func messagesCeiling(r *requestReader) {
	q := r.request
	q.outputs, q.usualOutput, q.OutputLimited = 1, r.options.DefaultMaxOutput, r.maxTokens > 0
	q.Ceiling[Output] = r.outputWithThoughts()
	q.Ceiling[Input] += r.inputBytes()
	if r.tools > 0 {
		q.Ceiling[Input] += toolUseTokens
	}
	if q.Attributes["speed"] == "" {
		q.setAttribute("speed", "standard") // or the price of the other one would be held for
	}
}

// names notes that the request names something that is kept upstream.
func (r *requestReader) names(param string) {
	r.refersTo(param, "a file, a container or a skill", "Send the content itself.")
}

// namesIfGiven passes over an id, which names something unless it is null.
func (r *requestReader) namesIfGiven(param string) {
	if r.given() {
		r.names(param)
	}
}

// turnsParameter counts messages, as messagesParameter does, and finds what in them is not text.
func turnsParameter() parameter {
	return parameter{name: "messages", value: func(r *requestReader) {
		r.elements(func() {
			r.request.messages++
			r.turn()
		})
	}}
}

func (r *requestReader) turn() { r.members("messages.", member{"content", r.blocks}) }

// blocks reads content: a text, a block, or a list of blocks.
func (r *requestReader) blocks() {
	switch r.peek() {
	case '[':
		r.elements(r.block)
	case '{':
		r.block()
	default:
		r.skip()
	}
}

func (r *requestReader) block() {
	const inside = "messages.content."
	var (
		kind  string
		from  source
		names bool
	)
	r.members(inside,
		member{"type", func() { kind = r.word() }},
		member{"source", func() { from = r.source() }},
		member{"content", r.blocks}, // of what a tool has found
		member{"file_id", func() { names = r.given() }})
	switch {
	case kind == "tool_addition":
		r.fail(inside+"type", "Unsupported content block: 'tool_addition': name all tools in 'tools', where it can be seen what they cost.")
	case names && kind == "container_upload": // what an answer has named, and is told again, is read by nobody
		r.names(inside + "file_id")
	case kind == "image" && from.given:
		r.attach(InputImage, imageTokens)
	case from.given && !from.text:
		r.attachTogether(InputImage, documentsTokens)
	}
}

// source is where a block has its content from, if it says so.
type source struct{ given, text bool }

func (r *requestReader) source() (s source) {
	if r.peek() != '{' { // that of a search result is a text
		r.skip()
		return s
	}
	const inside = "messages.content.source."
	var (
		kind string
		data int64
	)
	r.members(inside,
		member{"type", func() { kind = r.word() }},
		member{"data", func() { data = int64(len(r.raw())) }},
		member{"content", r.blocks},
		member{"file_id", func() { r.namesIfGiven(inside + "file_id") }})
	if kind == "base64" {
		r.hidden += data
	}
	return source{given: true, text: kind == "text" || kind == "content"}
}

// thinkingParameter learns how many tokens may be thought.
func thinkingParameter() parameter {
	return parameter{name: "thinking", value: func(r *requestReader) {
		r.members("thinking.", member{"budget_tokens", func() { r.budget = r.limit("thinking.budget_tokens", maxOutput, 0) }})
	}}
}

// containerParameter finds a container, or a skill, that was made by an earlier call.
func containerParameter() parameter {
	return parameter{name: "container", value: func(r *requestReader) {
		if r.peek() != '{' {
			r.namesIfGiven("container")
			return
		}
		r.members("container.",
			member{"id", func() { r.namesIfGiven("container.id") }},
			member{"skills", func() { r.elements(r.skill) }})
	}}
}

// skill reads one skill: those of the vendor are everybody's.
func (r *requestReader) skill() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	kind := ""
	r.members("container.skills.", member{"type", func() { kind = r.word() }})
	if kind != "anthropic" {
		r.names("container.skills")
	}
}

// contextParameter refuses edits of a conversation whose tokens no usage reports:
// summarizing it is a call of its own.
func contextParameter() parameter {
	return parameter{name: "context_management", value: func(r *requestReader) {
		r.members("context_management.", member{"edits", func() { r.elements(r.contextEdit) }})
	}}
}

func (r *requestReader) contextEdit() {
	r.members("context_management.edits.", member{"type", func() {
		if kind := r.word(); strings.HasPrefix(kind, "compact") {
			r.fail("context_management", "Unsupported edit: '%s': its tokens are not in the usage of the answer.", kind)
		}
	}})
}

// mcpServersParameter counts servers whose tools are called upstream: what these find is input.
func mcpServersParameter() parameter {
	return parameter{name: "mcp_servers", value: func(r *requestReader) {
		r.elements(func() {
			r.request.Ceiling[Input] += usualUses * searchTokens
			r.skip()
		})
	}}
}

// declaredToolsParameter finds the hosted ones among the tools. Those that the client runs are free.
func declaredToolsParameter() parameter {
	return parameter{name: "tools", value: func(r *requestReader) {
		r.elements(func() {
			r.tools++
			r.declaredTool()
		})
	}}
}

func (r *requestReader) declaredTool() {
	kind, uses, found := "", int64(usualUses), int64(documentTokens)
	r.members("tools.",
		member{"type", func() { kind = r.word() }},
		member{"max_uses", func() { uses = r.limit("tools.max_uses", maxUses, uses) }},
		member{"max_content_tokens", func() { found = r.limit("tools.max_content_tokens", maxOutput, found) }})
	if r.err == nil {
		r.addDeclared(kind, uses, found)
	}
}

// addDeclared notes what a tool of that type can cost.
func (r *requestReader) addDeclared(kind string, uses, found int64) {
	q := r.request
	switch name := withoutDate(kind); name {
	case "", "custom":
	case "bash", "text_editor", "computer", "memory", "tool_search_tool_regex", "tool_search_tool_bm25":
		q.Ceiling[Input] += builtInTokens
	case "computer_toolset", "browser_toolset", "mcp_toolset":
		q.Ceiling[Input] += toolsetTokens
	case webSearch:
		q.addTool(ToolUse{Tool: webSearch, Dimension: Search, Count: uses})
		q.Ceiling[Input] += builtInTokens + uses*searchTokens
	case "web_fetch":
		q.Ceiling[Input] += builtInTokens + uses*found
	case codeExecution:
		q.addTool(ToolUse{Tool: codeExecution, Dimension: SessionMS, Count: containerMS})
		q.Ceiling[Input] += builtInTokens + usualUses*searchTokens
	default:
		r.fail("tools", "Unsupported tool type: '%.100s': what it costs is not known here.", kind)
	}
}

// withoutDate takes the date off the name of a tool's version, such as web_search_20250305.
func withoutDate(kind string) string {
	name, date := kind, ""
	if i := strings.LastIndexByte(kind, '_'); i > 0 {
		name, date = kind[:i], kind[i+1:]
	}
	if len(date) == len("20250305") && strings.Trim(date, "0123456789") == "" {
		return name
	}
	return kind
}

// messagesSchema covers a message, whole and streamed: then its head is in message_start, its text
// in the deltas of its blocks, and its end in message_delta, with usage in both.
func messagesSchema() *answerSchema {
	paths := []schemaPath{
		{path: "type", fact: factType},
		{path: "model", fact: factModel},
		{path: "message.model", fact: factModel},
		{path: "error", fact: factError},
		{path: "stop_reason", fact: factFinish},
		{path: "delta.stop_reason", fact: factFinish},
		{path: "container.id", fact: factContainer},
		{path: "delta.container.id", fact: factContainer},
		{path: "content.#.type", fact: factBlock},
		{path: "content_block.type", fact: factBlock},
	}
	for _, path := range []string{
		"content.#.text", "content.#.thinking", "content.#.name", "content.#.input",
		"content_block.text", "content_block.thinking", "content_block.name",
		"delta.text", "delta.thinking", "delta.partial_json",
	} {
		paths = append(paths, schemaPath{path: path, fact: factText})
	}
	groups := [][]schemaPath{paths}
	for _, usage := range []string{"usage", "message.usage"} {
		groups = append(groups, usageObject(usage, messageCounts()), []schemaPath{
			{path: usage + ".service_tier", fact: factTier},
			{path: usage + ".speed", fact: factSpeed},
			{path: usage + ".inference_geo", fact: factGeo},
		})
	}
	return compileSchema(groups...)
}

// messageCounts are the counts of a message's usage.
func messageCounts() []usageCount {
	return []usageCount{
		{"input_tokens", usageInput},
		{"output_tokens", usageOutput},
		{"cache_read_input_tokens", usageCached},
		{"cache_creation_input_tokens", usageCacheWrite},
		{"cache_creation.ephemeral_5m_input_tokens", usageCacheWrite5m},
		{"cache_creation.ephemeral_1h_input_tokens", usageCacheWrite1h},
		{"output_tokens_details.thinking_tokens", usageReasoning},
		{"server_tool_use.web_search_requests", usageSearches},
	}
}

// messageQuantities reads the usage of a message, whose input is beside what it read from a cache and
// wrote to one. What is not said to be written for an hour was for five minutes.
func messageQuantities(c *usageCounts) (d usageDraft) {
	minutes, hour, written := c.value[usageCacheWrite5m], c.value[usageCacheWrite1h], c.value[usageCacheWrite]
	if !c.given[usageCacheWrite] {
		written = minutes + hour
	}
	if minutes+hour > written {
		d.flag(anomalyInputParts)
	}
	hour = min(hour, written)
	d.Quantities = Quantities{
		Input: c.value[usageInput], CachedInput: c.value[usageCached], CacheWrite5m: written - hour, CacheWrite1h: hour,
		Output: c.value[usageOutput],
	}
	d.cut(Output, Reasoning, c.value[usageReasoning], anomalyReasonExceeds)
	return d
}

// describeMessage notes what a message was served with, its searches (from its usage, else
// from its blocks), and a container.
func describeMessage(t *Tap, u *Usage) {
	f := &t.facts
	u.note(serviceTier, &f.tier)
	u.note("speed", &f.speed)
	if f.geo.String() != "not_available" {
		u.note("inference_geo", &f.geo)
	}
	searches := f.usage.merged.value[usageSearches]
	if !f.usage.merged.given[usageSearches] {
		searches = f.found
	}
	if searches > 0 {
		u.ToolCalls = append(u.ToolCalls, ToolUse{Tool: webSearch, Dimension: Search, Count: searches})
	}
	for _, tool := range t.request.Tools {
		if tool.Tool == codeExecution && f.container {
			u.ToolCalls = append(u.ToolCalls, tool)
			break
		}
	}
}
