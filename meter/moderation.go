package meter

// A moderation is billed by the call, if at all, or by the tokens of its input.
// OpenAI says nothing of what it used; BigModel how many calls it was.

func moderationCeiling(r *requestReader) {
	r.request.units, r.request.Ceiling[Call] = 1, max(r.documents, 1)
	r.request.Ceiling[Input] += r.inputBytes()
}

func moderationCounts() []usageCount {
	return append(tokenCounts(), usageCount{"moderation_text.call_count", usageCalls})
}

// moderationQuantities reads the tokens as those of embeddings; more calls than
// the one that every answer is are counted in.
func moderationQuantities(c *usageCounts) usageDraft {
	d := embeddingQuantities(c)
	d.Quantities[Call] = c.value[usageCalls]
	return d
}

// inputTokens estimates what a call comes to in tokens.
func inputTokens(r *Request, _ Quantities, _ Attributes) Quantities {
	return Quantities{Input: r.estimateInput()}
}
