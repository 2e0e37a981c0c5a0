package meter

// bigModelEndpoints are the rows of what BigModel alone has: its tokenizer, and its web search by itself.
func bigModelEndpoints(common []parameter) []*Endpoint {
	return []*Endpoint{
		{
			Path: "/tokenizer", Name: "tokenizer", Class: "tokenizer", API: BigModel,
			parameters: join(common, messagesParameter()), ceiling: tokenizerCeiling,
			dialect: &dialect{
				schema: inputSchema(tokenizerCounts()), quantities: tokenizerQuantities, without: deriveCall,
				unit: Call, inTokens: inputTokens,
			},
		},
		{
			Path: "/web_search", Name: "web_search", Class: "web_search", API: BigModel, model: engineName,
			parameters: join(otherModelsParameters(), engineParameter()), ceiling: searchCeiling,
			dialect: &dialect{
				schema: inputSchema(nil), quantities: noQuantities, without: deriveSearch,
				unit: Search, inTokens: notInTokens,
			},
		},
	}
}

// notInTokens is for units that no model counts in tokens.
func notInTokens(*Request, Quantities, Attributes) Quantities { return Quantities{} }

func tokenizerCeiling(r *requestReader) {
	r.request.units, r.request.Ceiling[Call] = 1, 1
	r.request.Ceiling[Input] += r.inputBytes()
}

func tokenizerCounts() []usageCount {
	return []usageCount{
		{"prompt_tokens", usagePrompt},
		{"total_tokens", usageTotal},
		{"image_tokens", usagePromptImage},
		{"video_tokens", usagePromptVideo},
	}
}

// tokenizerQuantities reads what was counted, images and videos in the total or beside the prompt.
func tokenizerQuantities(c *usageCounts) (d usageDraft) {
	d.Quantities[Input] = max(c.value[usagePrompt], c.value[usageTotal])
	d.cut(Input, InputImage, c.value[usagePromptImage], anomalyInputParts)
	d.cut(Input, InputVideo, c.value[usagePromptVideo], anomalyInputParts)
	return d
}

// engineName is the parameter of a search that says what is asked: it is the model there.
const engineName = "search_engine"

// engineParameter is the engine, for keys, packs and upstreams as a model is, and an attribute for
// the price rows, as that of a search within a chat.
func engineParameter() parameter {
	p := modelNamedBy(engineName)
	name := p.text
	p.text = func(r *requestReader, engine string) {
		name(r, engine)
		r.request.setAttribute("engine", bounded(engine))
	}
	return p
}

func searchCeiling(r *requestReader) { r.request.units, r.request.Ceiling[Search] = 1, 1 }

// deriveSearch counts the search, whatever it has found.
func deriveSearch(*Tap) (Quantities, Source) { return Quantities{Search: 1}, Derived }
