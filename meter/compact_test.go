package meter

import "testing"

// What makes one item of a conversation is billed by its usage. The calls of tools that are in what it makes, and
// those in what it is made of, were paid for.
func TestCompactionIsBilledByItsUsage(t *testing.T) {
	r := mustRead(t, FindEndpoint("/responses/compact"),
		`{"model":"m","instructions":"Be brief.","input":[{"type":"tool_search_output","tools":[{"type":"web_search"}]},{"role":"user","content":"Hello"}],"tools":[{"type":"web_search"}]}`)
	if r.Kept() || r.Stream || len(r.Tools) > 0 || r.OutputLimited || r.Ceiling[Output] != defaultMaxOutput || r.Ceiling[Input] < int64(len("Be brief.Hello")) {
		t.Errorf("read %+v", r)
	}
	const usage = `"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":40},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":130}`
	u := answered(r, "application/json", `{"id":"resp_1","object":"response.compaction","output":[{"id":"ws_1","type":"web_search_call","status":"completed"},{"id":"cmp_1","type":"compaction","encrypted_content":"gAAA"}],`+usage+`}`)
	if u.Quantities != (Quantities{Input: 60, CachedInput: 40, Output: 30}) || u.Source != FromUpstream || len(u.ToolCalls) > 0 {
		t.Errorf("used %v, %s, tools %v", u.Map(), u.Source, u.ToolCalls)
	}
	if u = answered(r, "application/json", `{"error":{"message":"no"}}`); u.Quantities != (Quantities{}) {
		t.Errorf("refused, and used %v", u.Map())
	}
	for _, refused := range []string{`"previous_response_id":"resp_1"`, `"input":[{"type":"item_reference","id":"msg_1"}]`} {
		if r := mustRead(t, FindEndpoint("/responses/compact"), `{"model":"m",`+refused+`}`); r.Stored() == nil || len(r.Named()) != 1 {
			t.Errorf("%s is named by nobody: %v", refused, r.Named())
		}
	}
}

// To count the tokens of a response is one call, whatever it would cost to make it.
func TestCountOfAResponseIsACall(t *testing.T) {
	r := mustRead(t, FindEndpoint("/responses/input_tokens"), `{"model":"m","input":[{"type":"tool_search_output","tools":[{"type":"web_search"}]}],"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}`)
	if r.Ceiling != (Quantities{Call: 1}) || len(r.Tools) > 0 {
		t.Errorf("held for %v, tools %v", r.Ceiling, r.Tools)
	}
	if u := answered(r, "application/json", `{"object":"response.input_tokens","input_tokens":11}`); u.Quantities != (Quantities{Call: 1}) || len(u.ToolCalls) > 0 {
		t.Errorf("used %v", u.Map())
	}
	if u := answered(r, "application/json", `{"error":{"message":"no"}}`); u.Quantities != (Quantities{}) {
		t.Errorf("refused, and used %v", u.Map())
	}
	for _, refused := range []string{`"conversation":"conv_1"`, `"previous_response_id":"resp_1"`} {
		if r := mustRead(t, FindEndpoint("/responses/input_tokens"), `{"model":"m",`+refused+`}`); r.Stored() == nil {
			t.Errorf("%s is anybody's", refused)
		}
	}
}
