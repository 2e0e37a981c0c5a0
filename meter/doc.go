// Package meter knows what a request asks for, what an answer used, and what
// that costs. It works on bytes and numbers only: no server, no Redis, no
// logger, and nothing of ours is imported.
//
// The story in four steps:
//
//	endpoint := FindEndpoint("/chat/completions")             // a row of the endpoint table
//	request, err := endpoint.ReadRequest(contentType, body, …) // model, stream, ceilings, from the raw bytes
//	quote, err := book.Quote(query, &request.Ceiling, request.Tools) // the most it can cost
//	tap := request.NewTap(answerType)                         // the answer passes through it
//	usage := tap.Usage()
//	charge, err := book.Charge(query, &usage)                 // what it did cost
//
// Its files, in that order:
//
//	endpoint.go    the endpoint table; what one family alone has stands in a file of its own:
//	               responses.go, messages.go (Anthropic's), gemini.go with gemini_answer.go, bigmodel.go,
//	               task.go (what is asked for later), kept.go (answers that later requests name), rerank.go,
//	               moderation.go, speech.go, transcription.go with sound.go (how long a recording plays);
//	               endpoint_path.go is about rows that have their model in their path
//	request.go     what of a request matters; ceiling.go the most that it can use; request_reader.go how its members are read, from JSON
//	               or a form, request_parameters.go those of more than one family; request_patch.go
//	               how it is changed
//	scan*.go       how an answer is searched in passing, and tap*.go what becomes of it
//	usage.go       what an answer used, and the upstream's counts as disjoint quantities; estimate.go where it has none
//	price*.go      price tables, from YAML or LiteLLM's (litellm.go); rate.go one rate
//	book*.go       which row prices a call, its quote and its charge; reprice.go once more
//	dimension.go, charge.go, money.go, moment.go, pattern.go: the words of all of them
//
// Money is a Nano (1e-9 of a currency unit), a price is a Rate (exact to
// 1e-12), usage is a vector of Quantities by Dimension. No float holds money.
package meter
