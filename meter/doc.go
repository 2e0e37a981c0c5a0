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
// Money is a Nano (1e-9 of a currency unit), a price is a Rate (exact to
// 1e-12), usage is a vector of Quantities by Dimension. No float holds money.
package meter
