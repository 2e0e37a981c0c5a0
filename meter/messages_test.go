package meter

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMessagesErrors checks that what cannot be metered is refused, with a word that helps.
func TestMessagesErrors(t *testing.T) {
	tool := func(members string) string { return `{"model":"m","tools":[{` + members + `}]}` }
	block := func(members string) string {
		return `{"model":"m","messages":[{"role":"user","content":[{` + members + `}]}]}`
	}
	for _, c := range []struct{ name, body, param, message string }{
		{"compaction", `{"model":"m","compaction":{"type":"summarize"}}`, "compaction", "not in the usage"},
		{"compaction at a threshold", `{"model":"m","context_management":{"edits":[{"type":"clear_tool_uses_20250919"},{"type":"compact_20260112"}]}}`, "context_management", "'compact_20260112': its tokens"},
		{"a thread", `{"model":"m","thread":{"type":"continue","previous_message_id":"msg_1"}}`, "thread", "kept upstream"},
		{"fallbacks", `{"model":"m","fallbacks":"default"}`, "fallbacks", "another model"},
		{"an advisor", tool(`"type":"advisor_20260301","name":"advisor","model":"claude-opus-9"`), "tools", "'advisor_20260301': what it costs is not known"},
		{"a new server tool", tool(`"type":"moon_20301224"`), "tools", "Unsupported tool type: 'moon_20301224'"},
		{"tools on the way", block(`"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"web_search_20250305"}}`), "messages.content.type", "name all tools in 'tools'"},
		{"no end of uses", tool(`"type":"web_search_20250305","max_uses":100000`), "tools.max_uses", "not between 0 and 1000"},
		{"uses in words", tool(`"type":"web_search_20250305","max_uses":"two"`), "tools.max_uses", "expected an integer, but got a string"},
		{"a negative budget", `{"model":"m","thinking":{"type":"enabled","budget_tokens":-1}}`, "thinking.budget_tokens", "-1 is not between"},
		{"two types of a tool", tool(`"type":"custom","type":"web_search_20250305"`), "tools.type", "more than once"},
		{"a type in another case", tool(`"Type":"web_search_20250305"`), "tools.type", "Did you mean 'type'"},
		{"two limits of uses", tool(`"type":"web_search_20250305","max_uses":1,"max_uses":1000`), "tools.max_uses", "more than once"},
		{"two sources", block(`"type":"image","source":{"type":"text"},"source":{"type":"file","file_id":"x"}`), "messages.content.source", "more than once"},
		{"a source in another case", block(`"type":"document","Source":{"type":"file","file_id":"x"}`), "messages.content.source", "Did you mean"},
		{"two types of a source", block(`"type":"document","source":{"type":"base64","type":"text","data":"x"}`), "messages.content.source.type", "more than once"},
		{"two files", block(`"type":"document","source":{"file_id":null,"file_id":"x"}`), "messages.content.source.file_id", "more than once"},
		{"content in another case", `{"model":"m","messages":[{"Content":[{"type":"image"}]}]}`, "messages.content", "Did you mean"},
		{"two containers", `{"model":"m","container":null,"container":"c"}`, "container", "more than once"},
		{"two budgets", `{"model":"m","thinking":{"budget_tokens":1,"budget_tokens":9}}`, "thinking.budget_tokens", "more than once"},
	} {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, "/messages", c.body, c.param, c.message) })
	}
}

// TestMessagesObjects checks which requests name what is kept upstream.
func TestMessagesObjects(t *testing.T) {
	block := func(b string) string { return `"messages":[{"role":"user","content":[` + b + `]}]` }
	for member, want := range map[string]string{
		`"container":"container_1"`:        "container",
		`"container":null`:                 "",
		`"container":{"id":"container_1"}`: "container.id",
		`"container":{"id":null,"skills":[{"type":"anthropic","skill_id":"pptx"}]}`:                                                                                              "",
		`"container":{"skills":[{"type":"custom","skill_id":"skill_01"}]}`:                                                                                                       "container.skills",
		block(`{"type":"image","source":{"type":"file","file_id":"file_1"}}`):                                                                                                    "messages.content.source.file_id",
		block(`{"type":"tool_result","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}`):                                                              "messages.content.source.file_id",
		block(`{"type":"container_upload","file_id":"file_1"}`):                                                                                                                  "messages.content.file_id",
		block(`{"type":"bash_code_execution_tool_result","content":{"type":"bash_code_execution_result","content":[{"type":"bash_code_execution_output","file_id":"file_1"}]}}`): "",
		block(`{"type":"image","source":{"type":"url","url":"https://x/y.png"}}`):                                                                                                "",
		`"messages":[]`: "",
	} {
		if got := storedParam(mustRead(t, FindEndpoint("/messages"), `{"model":"m",`+member+`}`)); got != want {
			t.Errorf("%s: names by %q, want %q", member, got, want)
		}
	}
}

func messagesTap(t testing.TB, body string) *Tap {
	t.Helper()
	return mustRead(t, FindEndpoint("/messages"), body).NewTap("text/event-stream")
}

const streamedMessage = `{"model":"m","stream":true,"max_tokens":5000,"messages":[{"role":"user","content":"Tell me"}]}`

func namedEvent(name, members string) string {
	return "event: " + name + "\ndata: {\"type\":\"" + name + "\"" + members + "}\n\n"
}

var (
	messageStart = namedEvent("message_start", `,"message":{"model":"m","usage":{"input_tokens":100,"output_tokens":1}}`)
	blockStart   = namedEvent("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	blockStop    = namedEvent("content_block_stop", `,"index":0`)
	messageDelta = namedEvent("message_delta", `,"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":40}`)
	messageStop  = namedEvent("message_stop", "")
	ping         = namedEvent("ping", "")
	overloaded   = namedEvent("error", `,"error":{"type":"overloaded_error"}`)
)

func textDelta(text string) string {
	return namedEvent("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"`+text+`"}`)
}

// unnamed is an event whose name stands in its data alone.
func unnamed(event string) string { return event[strings.IndexByte(event, '\n')+1:] }

// TestHoldMessages plays streams event by event: all goes out as it comes, but for the end.
func TestHoldMessages(t *testing.T) {
	type step struct{ in, out string }
	pass := func(s string) step { return step{s, s} }
	hold := func(s string) step { return step{s, ""} }
	for _, c := range []struct {
		name  string
		steps []step
		end   string
	}{
		{"an ordinary stream", []step{pass(messageStart), pass(ping), pass(blockStart), pass(textDelta("a")), pass(textDelta("")), pass(textDelta("b")), pass(blockStop), hold(messageDelta), hold(messageStop)}, messageDelta + messageStop},
		{"a ping within the end", []step{pass(messageStart), hold(messageDelta), hold(ping), hold(messageStop)}, messageDelta + ping + messageStop},
		{"no message_delta", []step{pass(messageStart), hold(messageStop)}, messageStop},
		{"two of them", []step{pass(messageStart), hold(messageDelta), hold(messageDelta), hold(messageStop)}, messageDelta + messageDelta + messageStop},
		{"it goes on", []step{pass(messageStart), hold(messageDelta), {textDelta("a"), messageDelta + textDelta("a")}, hold(messageDelta)}, messageDelta},
		{"an error", []step{pass(messageStart), hold(overloaded)}, overloaded},
		{"the end in pieces", []step{pass(textDelta("a")), hold("event: message_delta\n"), hold(`data: {"type":"mess`), hold(`age_delta"}` + "\n"), hold("\n")}, "event: message_delta\ndata: {\"type\":\"message_delta\"}\n\n"},
		{"deltas with names in the data alone", []step{pass(unnamed(textDelta("a"))), pass(unnamed(textDelta(""))), pass(unnamed(textDelta("b")))}, ""},
		{"names in the data alone", []step{pass("data: {\"type\":\"ping\"}\n\n"), hold("data: {\"type\":\"message_stop\"}\n\n")}, "data: {\"type\":\"message_stop\"}\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tap := messagesTap(t, streamedMessage)
			for i, s := range c.steps {
				// The line that names an event may be known before its data is.
				if got := tap.Pass(nil, []byte(s.in)); string(got) != s.out {
					t.Fatalf("piece %d, %q: %q went out, want %q", i, s.in, got, s.out)
				}
			}
			if got := tap.End(); string(got) != c.end {
				t.Errorf("the end is %q, want %q", got, c.end)
			}
		})
	}
}

// TestUsageOfMessageStreams: a message tells its usage from the beginning, and so one that comes to
// no end is not billed by that alone, whoever ends it, and however.
func TestUsageOfMessageStreams(t *testing.T) {
	text := strings.Repeat(textDelta("one two three four "), 50)
	begun := messageStart + blockStart + text
	estimated := []string{AnomalyOutputMissing}
	for _, c := range []struct {
		name, stream string
		least, most  int64
		cut, done    bool
		flags        []string
	}{
		{"whole", begun + blockStop + messageDelta + messageStop, 40, 40, false, true, nil},
		{"without its last event", begun + blockStop + messageDelta, 40, 40, false, false, nil},
		{"without its last line end", begun + blockStop + messageDelta + strings.TrimSpace(messageStop), 40, 40, false, false, nil},
		{"cut in its text", begun, 150, 250, true, false, estimated},
		{"cut after its text", begun + blockStop + ping, 150, 250, true, false, estimated},
		{"failed in its text", begun + overloaded, 150, 250, false, false, estimated},
		{"failed in its text, and done", begun + overloaded + "data: [DONE]\n\n", 150, 250, false, true, estimated},
		{"done in its text", begun + "data: [DONE]\n\n", 150, 250, false, true, estimated},
		{"without its message_delta", begun + blockStop + messageStop, 150, 250, false, true, estimated},
		{"no usage in its message_delta", begun + blockStop + namedEvent("message_delta", `,"delta":{"stop_reason":"end_turn"}`) + messageStop, 150, 250, false, true, estimated},
		{"cut before its text", messageStart + blockStart, 1, 1, true, false, nil},
		{"nothing", "", 0, 0, true, false, nil},
	} {
		tap := messagesTap(t, streamedMessage)
		tap.Pass(nil, []byte(c.stream))
		u := tap.UsageAtEnd()
		if n := u.Quantities[Output]; n < c.least || n > c.most || tap.Cut() != c.cut || tap.Done() != c.done || !slices.Equal(u.Anomalies, c.flags) {
			t.Errorf("%s: %v, %v, cut %t, done %t", c.name, u.Map(), u.Anomalies, tap.Cut(), tap.Done())
		}
	}
	limited := messagesTap(t, strings.Replace(streamedMessage, "5000", "30", 1))
	limited.Pass(nil, []byte(begun))
	if n := limited.UsageAtEnd().Quantities[Output]; n != 30 {
		t.Errorf("of a request for 30 tokens, %d", n)
	}
	chat := streamTap(t, true)
	chat.Pass(nil, []byte(content("a")))
	if chat.Cut() {
		t.Error("a chat whose upstream sends no [DONE] is taken for cut")
	}
}

// TestMessagesCost checks that the cost is put into the last usage of a stream, and nowhere else.
func TestMessagesCost(t *testing.T) {
	tap := messagesTap(t, streamedMessage)
	out := tap.Pass(nil, []byte(messageStart+blockStart+textDelta("a")+blockStop+messageDelta+messageStop))
	out = append(out, tap.EndWithCost([]byte(`"cost":"0.1"`))...)
	want := messageStart + blockStart + textDelta("a") + blockStop + strings.Replace(messageDelta, `"output_tokens":40`, `"output_tokens":40,"cost":"0.1"`, 1) + messageStop
	if string(out) != want {
		t.Errorf("got %s\nwant %s", out, want)
	}
}

// TestMessagesStayWithinTheirQuote holds the charges of all recorded messages against what
// the table that comes with Tollgate quotes for their requests.
func TestMessagesStayWithinTheirQuote(t *testing.T) {
	table, err := os.ReadFile("../prices/anthropic.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "anthropic.yaml", Data: table}}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	request := mustRead(t, FindEndpoint("/messages"), fmt.Sprintf(`{"model":"claude-sonnet-4-5","max_tokens":1024,
		"messages":[{"role":"user","content":%q}],"tools":[{"type":"web_search_20250305","max_uses":1}]}`, strings.Repeat("x", 200_000)))
	query := PriceQuery{Model: request.Model, Class: "chat", Attributes: request.Attributes, At: at}
	quote, err := book.Quote(query, &request.Ceiling, request.Tools)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, dir := range []string{"answers", "streams"} {
		for _, file := range fixtures(t, dir) {
			if fixtureEndpoint(t, file) != request.Endpoint {
				continue
			}
			tried++
			tap := request.NewTap(contentTypeOf(file))
			tap.Pass(nil, readFile(t, file))
			u := tap.UsageAtEnd()
			charge, err := book.Charge(query, &u)
			if err != nil || charge.Fee > quote.Fee {
				t.Errorf("%s: charged %s, quoted %s, %v", file, charge.Fee, quote.Fee, err)
			}
			if charge.Fee == 0 && !u.IsZero() || slices.ContainsFunc(charge.Lines, func(l Line) bool { return l.Unpriced }) {
				t.Errorf("%s: lines %+v", file, charge.Lines)
			}
		}
	}
	if tried < 15 {
		t.Errorf("only %d recorded messages", tried)
	}
}

// A limit of 0 is none to some, as it is of the output: what has no price is refused with it, too.
func TestMessagesLimitsOfZero(t *testing.T) {
	for _, tool := range []string{`"type":"web_search_20250305","max_uses":`, `"type":"web_fetch_20250910","max_content_tokens":`} {
		read := func(limit string) *Request {
			return mustRead(t, FindEndpoint("/messages"), `{"model":"m","max_tokens":10,"tools":[{`+tool+limit+`}]}`)
		}
		zero, none := read("0   "), read("null")
		if zero.Ceiling != none.Ceiling || len(zero.Tools) > 0 && zero.Tools[0].Count != usualUses {
			t.Errorf("%s0: a ceiling of %v and %v, want %v", tool, zero.Ceiling.Map(), zero.Tools, none.Ceiling.Map())
		}
	}
}

// A hosted tool without a price is refused before the call.
func TestMessagesToolsWithoutPrice(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "p.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [m], rates: {input: 3/1M, output: 15/1M}}
  - {tools: [web_search], rates: {search: 10/1K}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for tools, want := range map[string]bool{
		`{"type":"web_search_20250305"}`:     true,
		`{"type":"web_fetch_20250910"}`:      true,
		`{"type":"bash_20250124"}`:           true,
		`{"name":"mine","input_schema":{}}`:  true,
		`{"type":"code_execution_20250825"}`: false,
	} {
		r := mustRead(t, FindEndpoint("/messages"), `{"model":"m","max_tokens":10,"tools":[`+tools+`]}`)
		if _, err := book.Quote(PriceQuery{Model: "m", Class: "chat", At: time.Unix(0, 0)}, &r.Ceiling, r.Tools); (err == nil) != want {
			t.Errorf("%s: %v", tools, err)
		}
	}
}

// What comes with a tool of the vendor's, and what it finds, is held for.
func TestMessagesToolsAreHeldFor(t *testing.T) {
	read := func(tool string) *Request {
		return mustRead(t, FindEndpoint("/messages"), `{"model":"m","max_tokens":10,"tools":[`+tool+`]}`)
	}
	plain := read(`{"name":"mine"}`).Ceiling[Input]
	for tool, least := range map[string]int64{
		`"type":"custom"`: 0, `"type":"bash_20250124"`: builtInTokens, `"type":"text_editor_20250728"`: builtInTokens, `"type":"computer_20250124"`: builtInTokens,
		`"type":"memory_20250818"`: builtInTokens, `"type":"tool_search_tool_regex_20251119"`: builtInTokens, `"type":"tool_search_tool_bm25_20251119"`: builtInTokens,
		`"type":"computer_toolset_20260801"`: toolsetTokens, `"type":"browser_toolset_20260801"`: toolsetTokens, `"type":"mcp_toolset"`: toolsetTokens,
		`"type":"web_search_20250305","max_uses":3`:                           builtInTokens + 3*searchTokens,
		`"type":"web_fetch_20250910","max_uses":3,"max_content_tokens":20000`: builtInTokens + 3*20000,
		`"type":"code_execution_20250825"`:                                    builtInTokens + usualUses*searchTokens,
	} {
		if held := read("{" + tool + "}").Ceiling[Input] - plain; held < least || held > least+int64(len(tool)) {
			t.Errorf("%s: held for %d more, want %d and its bytes", tool, held, least)
		}
	}
	servers := mustRead(t, FindEndpoint("/messages"), `{"model":"m","max_tokens":10,"mcp_servers":[{},{}]}`).Ceiling[Input]
	if servers < 2*usualUses*searchTokens {
		t.Errorf("two servers: held for %d", servers)
	}
}

// A container is billed to the tool that runs in it, and to no other.
func TestMessagesContainer(t *testing.T) {
	tap := mustRead(t, FindEndpoint("/messages"), `{"model":"m","tools":[{"type":"web_search_20250305"},{"type":"code_execution_20250825"}]}`).NewTap("application/json")
	tap.Pass(nil, []byte(`{"type":"message","container":{"id":"c"},"content":[],"usage":{"input_tokens":1,"output_tokens":1}}`))
	if u := tap.Usage(); len(u.ToolCalls) != 1 || u.ToolCalls[0].Tool != codeExecution || u.ToolCalls[0].Count != containerMS {
		t.Errorf("got %v", u.ToolCalls)
	}
}

// What is said to be written to a cache for a time needs no sum of it.
func TestMessagesCacheWrites(t *testing.T) {
	for usage, want := range map[string]Quantities{
		`"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":4}`:                                  {Input: 1, Output: 2, CacheWrite5m: 30, CacheWrite1h: 4},
		`"cache_creation_input_tokens":50,"cache_creation":{"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":4}`: {Input: 1, Output: 2, CacheWrite5m: 46, CacheWrite1h: 4},
		`"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":4}`:                                 {Input: 1, Output: 2, CacheWrite1h: 3},
	} {
		tap := mustRead(t, FindEndpoint("/messages"), `{"model":"m"}`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"type":"message","content":[],"usage":{"input_tokens":1,"output_tokens":2,`+usage+`}}`))
		if u := tap.Usage(); u.Quantities != want {
			t.Errorf("%s: %v, want %v", usage, u.Map(), want.Map())
		}
	}
}
