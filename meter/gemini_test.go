package meter

import (
	"bytes"
	"strings"
	"testing"
)

const generateRow, embedBatchRow, countTokensRow = "/models/{model}:generateContent", "/models/{model}:batchEmbedContents", "/models/{model}:countTokens"

// generated reads a request whose path names the model m.
func generated(t testing.TB, members string) *Request {
	t.Helper()
	r, err := FindEndpoint(generateRow).ReadRequest("", []byte(`{`+members+`}`), ReadOptions{Model: "m"})
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return r
}

func TestPathsThatNameAModel(t *testing.T) {
	for path, want := range map[string]string{
		"/models/gemini-2.5-flash:generateContent":                 "gemini-2.5-flash",
		"/models/a_b~c@001+x:generateContent":                      "a_b~c@001+x",
		"/models/:generateContent":                                 "",
		"/models/a:b:generateContent":                              "",
		"/models/a/b:generateContent":                              "",
		"/models/models/a:generateContent":                         "",
		"/models/a%2Fb:generateContent":                            "",
		"/models/a b:generateContent":                              "",
		"/models/a?x=:generateContent":                             "",
		"/models/ä:generateContent":                                "",
		"/models/a:generateContentX":                               "",
		"/models/a:GenerateContent":                                "",
		"/models/a:streamGenerateContent":                          "",
		"/models:generateContent":                                  "",
		"/tunedModels/a:generateContent":                           "",
		"/models/{model}:generateContent":                          "",
		"/models/" + strings.Repeat("m", 257) + ":generateContent": "",
		"/models/a:generateContent/models/a:generateContent":       "",
		"models/a:generateContent":                                 "",
		"/models/" + strings.Repeat("m", 50) + ":countTokens":      "",
	} {
		model, ok := FindEndpoint(generateRow).Matches(path)
		if ok != (want != "") || ok && model != want {
			t.Errorf("%s: %q, %t, want %q", path, model, ok, want)
		}
		if ok && FindEndpoint(generateRow).PathFor(model) != path {
			t.Errorf("%s: is built as %s", path, FindEndpoint(generateRow).PathFor(model))
		}
	}
	if _, ok := FindEndpoint("/embeddings").Matches("/embeddings"); !ok || FindEndpoint("/embeddings").PathFor("m") != "/embeddings" || FindEndpoint("/embeddings").NamesModel() {
		t.Error("a row without a model in its path")
	}
}

// What is not known to be metered is refused, whichever of its spellings is used.
func TestGeminiRequestErrors(t *testing.T) {
	part := func(members string) string { return `{"model":"m","contents":[{"parts":[{` + members + `}]}]}` }
	for _, c := range []struct{ name, path, body, param, message string }{
		{"no model", generateRow, `{"contents":[]}`, "model", "must provide a model"},
		{"model by number", generateRow, `{"model":5}`, "model", "expected a string"},
		{"odd model", generateRow, `{"model":"tunedModels/m"}`, "model", "want the name of a model"},
		{"half a name of a model", generateRow, `{"model":"models/"}`, "model", "want the name of a model"},
		{"two names of a model", generateRow, `{"model":"m","model":"m"}`, "model", "more than once"},
		{"other models", generateRow, `{"model":"m","fallbacks":["n"]}`, "fallbacks", "another model"},
		{"model chosen elsewhere", generateRow, `{"model":"m","generationConfig":{"modelSelectionConfig":{}}}`, "generationConfig.modelSelectionConfig", "another model"},
		{"model routed", generateRow, `{"model":"m","generation_config":{"routing_config":{"autoMode":{}}}}`, "generationConfig.routingConfig", "another model"},
		{"both spellings", generateRow, `{"model":"m","generationConfig":{},"generation_config":{}}`, "generationConfig", "more than once"},
		{"both spellings within", generateRow, `{"model":"m","generationConfig":{"maxOutputTokens":9,"max_output_tokens":9000}}`, "generationConfig.maxOutputTokens", "more than once"},
		{"another case", generateRow, `{"model":"m","GenerationConfig":{}}`, "generationConfig", "Did you mean"},
		{"without humps", generateRow, `{"model":"m","generationconfig":{}}`, "generationConfig", "Did you mean"},
		{"half of either", generateRow, `{"model":"m","generation_Config":{}}`, "generationConfig", "Did you mean"},
		{"underlined twice", generateRow, `{"model":"m","generation__config":{}}`, "generationConfig", "Did you mean"},
		{"underlined before", generateRow, part(`"_inlineData":{}`), "contents.parts.inlineData", "Did you mean"},
		{"escaped", generateRow, `{"model":"m","generationConfig":{},"generation\u005fconfig":{}}`, "generationConfig", "more than once"},
		{"two payloads", generateRow, part(`"inlineData":{},"inline_data":{}`), "contents.parts.inlineData", "more than once"},
		{"limit as text", generateRow, `{"model":"m","generationConfig":{"maxOutputTokens":"9"}}`, "generationConfig.maxOutputTokens", "expected an integer"},
		{"limit below 0", generateRow, `{"model":"m","generationConfig":{"maxOutputTokens":-1}}`, "generationConfig.maxOutputTokens", "not between"},
		{"candidates", generateRow, `{"model":"m","generationConfig":{"candidateCount":1000}}`, "generationConfig.candidateCount", "not between"},
		{"candidates in a list", generateRow, `{"model":"m","generationConfig":[{"candidateCount":1000}]}`, "generationConfig.candidateCount", "not between"},
		{"thoughts", generateRow, `{"model":"m","generationConfig":{"thinkingConfig":{"thinkingBudget":-2}}}`, "generationConfig.thinkingConfig.thinkingBudget", "want -1"},
		{"modality by number", generateRow, `{"model":"m","generationConfig":{"responseModalities":[3]}}`, "generationConfig.responseModalities", "names such as"},
		{"video", generateRow, `{"model":"m","generationConfig":{"responseModalities":["VIDEO"]}}`, "generationConfig.responseModalities", "not known here"},
		{"unknown tool", generateRow, `{"model":"m","tools":[{"enterpriseWebSearch":{}}]}`, "tools", "'enterpriseWebSearch'"},
		{"tool in another case", generateRow, `{"model":"m","tools":{"GoogleSearch":{}}}`, "tools", "'GoogleSearch'"},
		{"tool in lists", generateRow, `{"model":"m","tools":[[{"mcpServers":[{}]}]]}`, "tools", "'mcpServers'"},
		{"output elsewhere", generateRow, `{"model":"m","generation_config":{"generation_output_config":{"output_uri_prefix":"gs://a"}}}`, "generationConfig.generationOutputConfig", "not metered"},
		{"output elsewhere, at the top", generateRow, `{"model":"m","generationOutputConfig":{}}`, "generationOutputConfig", "not metered"},
		{"tier by number", generateRow, `{"model":"m","serviceTier":1}`, "serviceTier", "expected a string"},
		{"other model in a batch", embedBatchRow, `{"model":"m","requests":[{"model":"models/n"}]}`, "requests.model", "it names 'n', and the path 'm'"},
		{"other model to be counted", countTokensRow, `{"model":"m","generate_content_request":{"model":"n"}}`, "generateContentRequest.model", "it names 'n'"},
		{"model in a batch twice", embedBatchRow, `{"model":"m","requests":[{"model":"m","model":"m"}]}`, "requests.model", "more than once"},
	} {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, c.path, c.body, c.param, c.message) })
	}
}

// A path's model is what is called, and the body cannot name another.
func TestModelOfAPath(t *testing.T) {
	r := generated(t, `"contents":[]`)
	if body, _, err := r.UpstreamBody("other", true); r.Model != "m" || string(body) != `{"contents":[]}` || err != nil {
		t.Errorf("model %q, body %s, %v", r.Model, body, err)
	}
	for said, want := range map[string]string{`"models/m"`: `"models/other"`, `"m"`: `"other"`, `null`: `null`, `""`: `""`} {
		r := generated(t, `"model":`+said)
		if body, _, err := r.UpstreamBody("other", true); string(body) != `{"model":`+want+`}` || err != nil {
			t.Errorf("%s became %s, %v", said, body, err)
		}
	}
	if _, err := FindEndpoint(generateRow).ReadRequest("", []byte(`{"model":"n"}`), ReadOptions{Model: "m"}); err == nil {
		t.Error("a body names another model than its path")
	}
	if !mustRead(t, FindEndpoint("/models/{model}:streamGenerateContent"), `{"model":"m"}`).Stream || generated(t, `"stream":true`).Stream {
		t.Error("whether it streams is not told by the path")
	}
}

// Whatever spelling is used, as much is held for.
func TestGeminiCeilings(t *testing.T) {
	image, long := `{"mimeType":"image/png","data":"AAAA"}`, `"data":"`+strings.Repeat("A", 4000)+`"}`
	parts := func(list string) string { return `"contents":[{"parts":` + list + `}]` }
	for name, c := range map[string]struct {
		members string
		want    Quantities // but for Input
	}{
		"nothing said":           {parts(`[]`), Quantities{Output: 4096}},
		"a limit":                {`"generationConfig":{"maxOutputTokens":100}`, Quantities{Output: 100}},
		"in snake case":          {`"generation_config":{"max_output_tokens":100,"candidate_count":3}`, Quantities{Output: 300}},
		"in a list":              {`"generationConfig":[{"maxOutputTokens":100,"candidateCount":3}]`, Quantities{Output: 300}},
		"no limit":               {`"generationConfig":{"maxOutputTokens":0,"candidateCount":null}`, Quantities{Output: 4096}},
		"thoughts":               {`"generationConfig":{"maxOutputTokens":100,"thinkingConfig":{"thinkingBudget":5000}}`, Quantities{Output: 5000}},
		"thoughts, no limit":     {`"generationConfig":{"thinking_config":{"thinking_budget":5000}}`, Quantities{Output: 9096}},
		"thoughts as it likes":   {`"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}`, Quantities{Output: 4096}},
		"images":                 {`"generationConfig":{"responseModalities":["Text","image"]}`, Quantities{Output: 4096, OutputImage: 8192}},
		"images, a limit":        {`"generationConfig":{"responseModalities":"IMAGE","maxOutputTokens":30000}`, Quantities{Output: 30000, OutputImage: 30000}},
		"images of a size":       {`"generationConfig":{"imageConfig":{"imageSize":"4K"},"candidateCount":2}`, Quantities{Output: 8192, OutputImage: 16384}},
		"sound":                  {`"generationConfig":{"response_modalities":["AUDIO"]}`, Quantities{Output: 4096, OutputAudio: 4096}},
		"sound of a voice":       {`"generationConfig":{"speech_config":{}}`, Quantities{Output: 4096, OutputAudio: 4096}},
		"any format":             {`"generationConfig":{"responseFormat":[{"audio":{}}]}`, Quantities{Output: 4096, OutputAudio: 4096, OutputImage: 8192}},
		"images, and no format":  {`"generationConfig":{"responseModalities":["IMAGE"],"responseFormat":null}`, Quantities{Output: 4096, OutputImage: 8192}},
		"sound, and no format":   {`"generationConfig":[{"speechConfig":{}},{"responseFormat":null}]`, Quantities{Output: 4096, OutputAudio: 4096}},
		"an image":               {parts(`[{"inlineData":` + image + `},{"inline_data":` + image + `}]`), Quantities{Output: 4096, InputImage: 2 * pictureTokens}},
		"without a list":         {parts(`{"inlineData":` + image + `}`), Quantities{Output: 4096, InputImage: pictureTokens}},
		"of a tool":              {parts(`[{"functionResponse":{"parts":[{"inlineData":` + image + `}]}}]`), Quantities{Output: 4096, InputImage: pictureTokens}},
		"of the system":          {`"system_instruction":{"parts":{"inline_data":` + image + `}}`, Quantities{Output: 4096, InputImage: pictureTokens}},
		"kind behind data":       {parts(`[{"inlineData":{"data":"AAAA","mime_type":"IMAGE/PNG; x=y"}}]`), Quantities{Output: 4096, InputImage: pictureTokens}},
		"of no kind":             {parts(`[{"inlineData":{` + long + `}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"an odd image":           {parts(`[{"inlineData":{"mimeType":"image/svg+xml",` + long + `}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"videos and documents":   {parts(`[{"inlineData":{"mimeType":"video/mp4",` + long + `},{"inlineData":{"mimeType":"application/pdf",` + long + `}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"sound that is packed":   {parts(`[{"inlineData":{"mimeType":"audio/flac",` + long + `}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"sound that is none":     {parts(`[{"inlineData":{"mimeType":"audio/wav",` + long + `}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"a film of the web":      {parts(`[{"fileData":{"fileUri":"https://youtu.be/x"}}]`), Quantities{Output: 4096, InputVideo: contextTokens}},
		"no data":                {parts(`[{"inlineData":{"mimeType":"video/mp4"}},{"fileData":{"fileUri":null}}]`), Quantities{Output: 4096}},
		"functions, no tool set": {`"tools":[{"functionDeclarations":[{"name":"f"}],"googleSearch":null}]`, Quantities{Output: 4096}},
	} {
		t.Run(name, func(t *testing.T) {
			r := generated(t, c.members)
			got := r.Ceiling
			if got[Input] < 64 || got[Input] > 2000 {
				t.Errorf("input: %d", got[Input])
			}
			got[Input] = 0
			if got != c.want {
				t.Errorf("got %v, want %v", got.Map(), c.want.Map())
			}
		})
	}
	for tier, want := range map[string]string{"FLEX": "flex", "SERVICE_TIER_PRIORITY": "priority", "standard": "", "SERVICE_TIER_UNSPECIFIED": ""} {
		if r := generated(t, `"service_tier":"`+tier+`"`); r.Attributes["service_tier"] != want {
			t.Errorf("tier %s: %v", tier, r.Attributes)
		}
	}
	for _, kept := range []string{
		`"continuation_token":"eA=="`, `"cachedContent":"cachedContents/a"`, `"generationConfig":{"speechConfig":{"voiceConfig":{"voice":"voices/a"}}}`,
		parts(`[{"fileData":{"fileUri":["gs://bucket/a"]}}]`), parts(`[{"fileData":{"fileUri":["gs://bucket/a","https://youtu.be/x"]}}]`),
		`"generation_config":{"speech_config":{"multi_speaker_voice_config":{"speaker_voice_configs":[{"voice_config":{"voice":"a"}}]}}}`, `"tools":[{"file_search":{}}]`,
	} {
		if generated(t, kept).Stored() == nil {
			t.Errorf("%s: names nothing that is stored", kept)
		}
	}
	if r := generated(t, `"generationConfig":{"speechConfig":{"voiceConfig":{"prebuiltVoiceConfig":{"voiceName":"Kore"}}}}`); r.Stored() != nil || r.Ceiling[OutputAudio] == 0 {
		t.Errorf("a voice of the vendor's: %v, %v", r.Stored(), r.Ceiling.Map())
	}
	text := generated(t, parts(`[{"inlineData":{"mimeType":"text/csv",`+long+`}]`))
	if text.Ceiling[Input] < 4000 || text.Ceiling[InputVideo] > 0 {
		t.Errorf("a text: %v", text.Ceiling.Map())
	}
}

// Of tools, what they find is held for, and as many calls as are usual; a model of a later kind is billed each search.
func TestGeminiTools(t *testing.T) {
	plain := generated(t, `"contents":[]`)
	r := generated(t, `"tools":[{"googleSearch":{}},{"google_search":{}}]`)
	if len(r.Tools) != 1 || r.Tools[0].Count != 1 || r.Ceiling[Input] < plain.Ceiling[Input]+searchTokens {
		t.Errorf("%v, input %d", r.Tools, r.Ceiling[Input])
	}
	r.MayBeSentAs("gemini-2.5-flash")
	if r.Tools[0].Count != 1 {
		t.Errorf("of a model that is billed one search: %v", r.Tools)
	}
	r.MayBeSentAs("gemini-3-flash")
	if r.Tools[0].Count != usualUses {
		t.Errorf("of a model that is billed each search: %v", r.Tools)
	}
	if r := generated(t, `"tools":{"urlContext":{}}`); r.Ceiling[Input] < contextTokens || len(r.Tools) != 1 {
		t.Errorf("pages: %v, input %d", r.Tools, r.Ceiling[Input])
	}
	for model, want := range map[string]Quantities{
		"gemini-2.5-flash": {Output: 4096}, "gemini-2.5-flash-image": {Output: 4096, OutputImage: 8192}, "nano-banana": {Output: 4096, OutputImage: 8192},
		"gemini-2.5-flash-preview-tts": {Output: 4096, OutputAudio: 4096}, "gemini-2.5-flash-native-audio": {Output: 4096, OutputAudio: 4096},
	} {
		r := generated(t, `"contents":[]`)
		r.MayBeSentAs(model)
		if got := r.Ceiling; got[Output] != want[Output] || got[OutputImage] != want[OutputImage] || got[OutputAudio] != want[OutputAudio] {
			t.Errorf("%s: %v", model, got.Map())
		}
	}
}

// What a provider's address or any odd one names may be somebody's.
func TestFilesOfTheWeb(t *testing.T) {
	for address, public := range map[string]bool{
		"https://www.youtube.com/watch?v=x": true, "https://youtu.be/x": true, "http://example.org/a.pdf": true, "https://my-google.example.org/a": true,
		"files/abc": false, "gs://bucket/a": false, "https://generativelanguage.googleapis.com/v1beta/files/a": false, "https://GenerativeLanguage.GoogleApis.com./a": false,
		"https://storage.googleapis.com/a": false, "https://drive.google.com/a": false, "https://lh3.googleusercontent.com/a": false, "https://youtu.be:443/x": false,
		"https://youtu.be@storage.googleapis.com/a": false, "https://youtu.be\\@storage.googleapis.com/": false, "https://storage。googleapis。com/a": false,
		"https://storage%2egoogleapis.com/a": false, "https://142.250.1.95/a": false, "https://[::1]/a": false, "https://localhost/a": false, "ftp://example.org/a": false,
		"//example.org/a": false, "https:///a": false, "https://www.gstatic.com/a": false,
	} {
		if isPublic(address) != public {
			t.Errorf("%s: public %t", address, !public)
		}
		r := generated(t, `"contents":[{"parts":[{"fileData":{"fileUri":"`+strings.ReplaceAll(address, `\`, `\\`)+`"}}]}]`)
		if (r.Stored() == nil) != public || r.Ceiling[InputVideo] != contextTokens {
			t.Errorf("%s: names what is stored: %v", address, r.Stored())
		}
	}
}

// Names are one whichever of protobuf's spellings they have, and what is neither is none of them.
func TestInCamelCase(t *testing.T) {
	for name, want := range map[string]string{
		"inline_data": "inlineData", "inlineData": "inlineData", "a_b_c": "aBC", "x": "x", "_x": "_x", "x_": "x_", "a__b": "a__b", "a_B": "a_B", "A_b": "A_b", "a_1": "a_1", "": "",
	} {
		if got := inCamelCase([]byte(name)); string(got) != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// What a usage does not tell to be an image, or sound, is what the text is not; it is never free.
func TestGeneratedThatIsNotSplit(t *testing.T) {
	data := `"data":"` + strings.Repeat("A", 2*encodedPerSoundToken) + `"}`
	for name, c := range map[string]struct {
		kind, usage string
		want        Quantities
	}{
		"an image":              {"image/png", `"candidatesTokenCount":1293`, Quantities{Output: 3, OutputImage: 1290}},
		"sound":                 {"audio/L16;rate=24000", `"candidatesTokenCount":53`, Quantities{Output: 3, OutputAudio: 50}},
		"an image, not counted": {"image/png", `"candidatesTokenCount":0`, Quantities{OutputImage: 1290}},
		"sound, not counted":    {"audio/wav", `"totalTokenCount":7`, Quantities{OutputAudio: 3}},
		"less than its text":    {"image/png", `"candidatesTokenCount":1`, Quantities{Output: 1}},
		"in another case":       {"IMAGE/PNG", `"totalTokenCount":7`, Quantities{OutputImage: 1290}},
	} {
		tap := generated(t, `"contents":[]`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"candidates":[{"content":{"parts":[{"text":"Here it is"},{"inlineData":{"mimeType":"`+c.kind+`",`+data+`}]}}],"usageMetadata":{"promptTokenCount":7,`+c.usage+`}}`))
		c.want[Input] = 7
		if u := tap.Usage(); u.Quantities != c.want {
			t.Errorf("%s: %v, want %v", name, u.Map(), c.want.Map())
		}
	}
}

// What a usage of Gemini's does not say is what is left of its total; thoughts may be among the candidates, and are no more than those.
func TestGeneratedTotals(t *testing.T) {
	for usage, want := range map[string]Quantities{
		`"candidatesTokenCount":3,"totalTokenCount":10`:                                             {Input: 7, Output: 3},
		`"promptTokenCount":7,"totalTokenCount":10`:                                                 {Input: 7, Output: 3},
		`"promptTokenCount":7,"candidatesTokenCount":8,"thoughtsTokenCount":5,"totalTokenCount":15`: {Input: 7, Output: 3, Reasoning: 5},
		`"promptTokenCount":7,"candidatesTokenCount":2,"thoughtsTokenCount":5,"totalTokenCount":9`:  {Input: 7, Output: 2, Reasoning: 5},
		`"promptTokenCount":7,"candidatesTokenCount":3,"thoughtsTokenCount":5,"totalTokenCount":15`: {Input: 7, Output: 3, Reasoning: 5},
		`"promptTokenCount":7,"candidatesTokenCount":7,"totalTokenCount":20`:                        {Input: 7, Output: 7},
		`"candidatesTokenCount":8,"totalTokenCount":5`:                                              {Input: 1, Output: 8}, // the input is estimated
		`"promptTokenCount":7,"candidatesTokenCount":3,"thoughtsTokenCount":5,"toolUsePromptTokenCount":2,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":4}],` +
			`"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":3}],"cachedContentTokenCount":4`: {Input: 3, CachedInput: 4, ToolInput: 2, Output: 3, Reasoning: 5},
	} {
		tap := generated(t, `"contents":[]`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{`+usage+`}}`))
		if u := tap.Usage(); u.Quantities != want {
			t.Errorf("%s: %v, want %v", usage, u.Map(), want.Map())
		}
	}
}

// Videos may be billed as the sound that they have.
func TestAVideoIsHeldForAsItsSound(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "p.yaml", Data: []byte("currency: USD\nprices:\n  - models: [m]\n    rates: {input: 1/1M, input_audio: 5/1M, output: 0}\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	quote, err := book.Quote(PriceQuery{Model: "m", Class: "chat"}, &Quantities{InputVideo: 1_000_000}, nil)
	if err != nil || quote.Fee < 5_000_000_000 {
		t.Errorf("held %s, %v", quote.Fee, err)
	}
}

// A query that is told again is one; those that there is no room for are each counted.
func TestDistinct(t *testing.T) {
	var d distinct
	say := func(text string) {
		for i := range text {
			d.add([]byte(text[i : i+1]))
		}
		d.end()
	}
	for range 3 {
		say("weather")
		say("weather in Beijing")
	}
	if d.end(); d.count() != 2 {
		t.Errorf("%d, want 2", d.count())
	}
	for i := range 100 {
		say(strings.Repeat("x", i+1))
	}
	if d.count() != 102 {
		t.Errorf("%d, want 102", d.count())
	}
}

// Long queries count, too, and those of each candidate.
func TestSearchesOfAnAnswer(t *testing.T) {
	r := generated(t, `"tools":[{"googleSearch":{}}]`)
	r.SentAs("gemini-3-pro")
	tap := r.NewTap("application/json")
	tap.Pass(nil, []byte(`{"candidates":[{"groundingMetadata":{"webSearchQueries":["`+strings.Repeat("long ", 100)+`","b"],"imageSearchQueries":["c"]}},`+
		`{"groundingMetadata":{"webSearchQueries":["b","d"]}}],"usageMetadata":{"promptTokenCount":1}}`))
	if u := tap.Usage(); len(u.ToolCalls) != 1 || u.ToolCalls[0].Count != 4 {
		t.Errorf("counted %v", u.ToolCalls)
	}
	r.SentAs("gemini-2.5-pro")
	if u := tap.Usage(); u.ToolCalls[0].Count != 1 {
		t.Errorf("of a model that is billed one search: %v", u.ToolCalls)
	}
	unsearched := r.NewTap("application/json")
	unsearched.Pass(nil, []byte(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":1}}`))
	if u := unsearched.Usage(); len(u.ToolCalls) > 0 {
		t.Errorf("of an answer without a search: %v", u.ToolCalls)
	}
}

// What protobuf writes for nothing said is no end.
func TestUnsaidEndOfAStream(t *testing.T) {
	tap := mustRead(t, FindEndpoint("/models/{model}:streamGenerateContent"), `{"model":"m"}`).NewTap("text/event-stream")
	tap.Pass(nil, []byte(`data: {"promptFeedback":{"blockReason":"BLOCK_REASON_UNSPECIFIED"},"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"FINISH_REASON_UNSPECIFIED"}]}`+"\n\n"))
	if tap.End(); !tap.Cut() {
		t.Error("it is taken for whole")
	}
}

// An element that does not say that the stream goes on may be its last, and so may each of those that say why they end.
func TestElementsThatMayBeTheLast(t *testing.T) {
	tap := mustRead(t, FindEndpoint("/models/{model}:streamGenerateContent"), `{"model":"m"}`).NewTap("application/json")
	ends := func(text string) string {
		return `{"candidates":[{"content":{"parts":[{"text":"` + text + `"}]},"finishReason":"STOP"}]}`
	}
	for _, step := range []struct{ in, out string }{
		{`[{"modelVersion":"m"}`, `[`},
		{`,` + ends("a"), `{"modelVersion":"m"},`},
		{`,` + ends("b"), ends("a") + `,`},
		{`,{"modelVersion":"m"}`, ``},
		{`,{"candidates":[{"content":{"parts":[{"text":"c"}]}}]}`, ends("b") + `,{"modelVersion":"m"},{"candidates":[{"content":{"parts":[{"text":"c"}]}}]}`},
		{`]`, ``},
	} {
		if out := string(tap.Pass(nil, []byte(step.in))); out != step.out {
			t.Errorf("after %s: %s went out, want %s", step.in, out, step.out)
		}
	}
}

// An element is not passed on before it is whole, unless it is longer than what is kept.
func TestElementsPassWhole(t *testing.T) {
	tap := mustRead(t, FindEndpoint("/models/{model}:streamGenerateContent"), `{"model":"m"}`).NewTap("application/json")
	if out := tap.Pass(nil, []byte(`[{"candidates":[{"content":{"parts":[{"text":"half`)); string(out) != "[" {
		t.Errorf("half an element went out: %s", out)
	}
	if out := tap.Pass(nil, []byte(`"}]}}]}`+"\n,")); !bytes.HasSuffix(out, []byte("half\"}]}}]}\n,")) {
		t.Errorf("a whole element is kept: %s", out)
	}
	out := tap.Pass(nil, []byte(`{"candidates":[{"content":{"parts":[{"inlineData":{"data":"`+strings.Repeat("A", 2*maxWithheld)))
	if kept := len(tap.withheld); len(out) == 0 || kept > maxWithheld {
		t.Errorf("%d bytes are kept", kept)
	}
	if out = tap.Pass(nil, []byte(`"}}]},"finishReason":"STOP"}]}]`)); bytes.Contains(out, []byte("STOP")) {
		t.Errorf("the end went out: %s", out)
	}
}
