package meter

// generateSchema covers answers of the Gemini API, whole ones and those of a stream, each of
// which has the usage of the stream so far.
func generateSchema() *answerSchema {
	const candidate = "candidates.#."
	const part, grounding = candidate + "content.parts.#.", candidate + "groundingMetadata."
	return compileSchema([]schemaPath{
		{path: "modelVersion", fact: factModel},
		{path: "serviceTier", fact: factTier},
		{path: usageMetadata + ".serviceTier", fact: factTier},
		{path: "error", fact: factError},
		{path: "promptFeedback.blockReason", fact: factFinish},
		{path: "candidates", fact: factChoices},
		{path: candidate + "finishReason", fact: factFinish},
		{path: part + "text", fact: factText},
		{path: part + "functionCall.name", fact: factText},
		{path: part + "functionCall.args", fact: factText},
		{path: part + "executableCode", fact: factRun},
		{path: part + "executableCode.code", fact: factText},
		{path: part + "inlineData.mimeType", fact: factInline},
		{path: part + "inlineData.data", fact: factData},
		{path: grounding + "webSearchQueries.#", fact: factQuery},
		{path: grounding + "imageSearchQueries.#", fact: factQuery},
		{path: grounding + "groundingChunks.#.maps", fact: factMap},
		{path: candidate + "urlContextMetadata.urlMetadata.#.retrievedUrl", fact: factPage},
	}, generatedUsage())
}

// embedSchema covers embeddings, whose usage the newer models tell.
func embedSchema() *answerSchema {
	return compileSchema([]schemaPath{{path: "error", fact: factError}}, generatedUsage())
}

// generatedUsage is the usage, with its lists by modality.
func generatedUsage() []schemaPath {
	paths := usageObject(usageMetadata, []usageCount{
		{"promptTokenCount", usagePrompt},
		{"candidatesTokenCount", usageCompletion},
		{"totalTokenCount", usageTotal},
		{"cachedContentTokenCount", usageCached},
		{"thoughtsTokenCount", usageReasoning},
		{"toolUsePromptTokenCount", usageToolInput},
	})
	for list, first := range map[string]usageField{
		"promptTokensDetails": usagePromptAudio, "promptTokenDetails": usagePromptAudio,
		"cacheTokensDetails": usageCachedAudio, "candidatesTokensDetails": usageCompletionAudio,
	} {
		list = usageMetadata + "." + list
		paths = append(paths,
			schemaPath{path: list, fact: factDetails, field: first},
			schemaPath{path: list + ".#", fact: factDetail, field: first},
			schemaPath{path: list + ".#.modality", fact: factModality},
			schemaPath{path: list + ".#.tokenCount", fact: factNumber, field: usageDetail})
	}
	return paths
}

// generateQuantities reads a usage whose thoughts are beside the candidates, as is what
// tools found beside the prompt. The cached part of the prompt is within it.
func generateQuantities(c *usageCounts) (d usageDraft) {
	in, out, thoughts, found := c.value[usagePrompt], c.value[usageCompletion], c.value[usageReasoning], c.value[usageToolInput]
	switch rest := c.value[usageTotal] - in - out - thoughts - found; {
	case !c.given[usageTotal] || rest == 0:
	case in+out+thoughts+found == 0:
		d.Quantities[Unsplit] = rest
		d.flag(anomalyTotalOnly)
		return d
	case rest > 0 && out == 0: // what is not said is in the total all the same
		out = rest
	case rest > 0 && in == 0:
		in = rest
	case rest == -thoughts && out >= thoughts: // they were counted among the candidates
		out -= thoughts
	default:
		d.flag(anomalyTotalMismatch)
	}
	d.Quantities[Input], d.Quantities[ToolInput] = in, found
	d.Quantities[Output], d.Quantities[Reasoning] = out, thoughts
	uncached := *c
	for i := range usageField(modalities) {
		uncached.value[usagePromptAudio+i] -= min(c.value[usageCachedAudio+i], c.value[usagePromptAudio+i])
	}
	d.inputParts(&uncached)
	d.cut(Output, OutputAudio, c.value[usageCompletionAudio], anomalyOutputParts)
	d.cut(Output, OutputImage, c.value[usageCompletionImage], anomalyOutputParts)
	return d
}

// embedQuantities reads the usage of embeddings, which have no output.
func embedQuantities(c *usageCounts) usageDraft {
	d := generateQuantities(c)
	if d.Quantities[Unsplit] > 0 {
		return usageDraft{Quantities: Quantities{Input: d.Quantities[Unsplit]}}
	}
	d.Quantities[Output], d.Quantities[Reasoning], d.Quantities[OutputAudio], d.Quantities[OutputImage] = 0, 0, 0, 0
	return d
}

// What a generated image or sound comes to, where the usage does not tell.
const (
	generatedImageTokens = 1290 // of one image
	encodedPerSoundToken = 2560 // bytes of base64: sound is 24 kHz of 16 bits, and 25 tokens a second
)

// splitGenerated tells images, or sound, from text in an output that the usage counts as a whole: the text is
// estimated, the rest is theirs. Where the usage counts no output at all, they are estimated themselves.
func splitGenerated(f *answerFacts, q *Quantities) {
	d := OutputImage
	if f.made.sound > 0 {
		d = OutputAudio
	}
	switch {
	case f.made.bytes == 0 || q[OutputImage]+q[OutputAudio]+q[Unsplit] > 0:
	case q[Output] == 0:
		f.made.estimate(q)
	default:
		made := max(q[Output]-f.estimateText(), 0)
		q[Output] -= made
		q[d] = made
	}
}

// estimate counts images and sound of which the usage tells nothing.
func (m *madeFacts) estimate(q *Quantities) {
	q[OutputImage] = m.images * generatedImageTokens
	if m.sound > 0 {
		q[OutputAudio] = m.bytes/encodedPerSoundToken + 1
	}
}

// estimateGenerated counts the text that was delivered, and what is not text.
func estimateGenerated(t *Tap) (Quantities, Source) {
	q, source := estimateChat(t)
	t.facts.made.estimate(&q)
	return q, source
}

// generateCalls counts the calls of hosted tools that an answer shows.
func generateCalls(t *Tap, u *Usage) {
	made := &t.facts.made
	searches := made.queries.count()
	if t.request.grounded {
		searches = min(searches, 1)
	}
	for _, use := range [...]ToolUse{
		{Tool: webSearch, Dimension: Search, Count: searches, Attributes: Attributes{"engine": googleSearch}},
		{Tool: googleMaps, Dimension: ToolCall, Count: min(made.maps, 1)},
		{Tool: urlContext, Dimension: ToolCall, Count: made.pages.count()},
		{Tool: codeExecution, Dimension: ToolCall, Count: made.runs, Attributes: Attributes{"engine": geminiEngine}},
	} {
		if use.Count > 0 {
			u.ToolCalls = append(u.ToolCalls, use)
		}
	}
}

// madeFacts are what an answer of Gemini's has beside text. images and sound count data by its kind, bytes is
// its length.
type madeFacts struct {
	images, sound  int64
	bytes          int64
	runs, maps     int64
	queries, pages distinct
}

// distinct counts texts that differ: a stream may tell again what it told before.
type distinct struct {
	known  [32]uint64
	n      int
	beyond int64 // those for which there was no room
	hash   uint64
}

func (d *distinct) count() int64 { return int64(d.n) + d.beyond }

// add takes a piece of a text.
func (d *distinct) add(p []byte) {
	if d.hash == 0 {
		d.hash = 14695981039346656037
	}
	for _, b := range p {
		d.hash = (d.hash ^ uint64(b)) * 1099511628211 // FNV-1a
	}
}

// end is told that the text is complete.
func (d *distinct) end() {
	hash := d.hash
	d.hash = 0
	if hash == 0 {
		return
	}
	for _, other := range d.known[:d.n] {
		if other == hash {
			return
		}
	}
	if d.n == len(d.known) {
		d.beyond++
		return
	}
	d.known[d.n] = hash
	d.n++
}
