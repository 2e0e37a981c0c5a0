// Package mockai is a simulated upstream: an http.Handler that answers chat,
// completions, responses, embeddings, images, rankings, moderations, speech and
// transcripts as OpenAI and BigModel do, messages as Anthropic does, and contents as
// Gemini does, with usage that can be foretold, and that misbehaves on request. The binary's `mock`
// and `demo` serve it, tests and benchmarks drive it.
//
// # Routes
//
// Under /v1, /api/paas/v4, or bare: chat/completions, completions, responses, responses/compact,
// responses/input_tokens, responses/{id}, embeddings,
// images/generations, images/edits, images/variations, rerank, moderations,
// audio/speech, audio/transcriptions, audio/translations, messages,
// messages/count_tokens, tokenizer, web_search, videos/generations,
// async/chat/completions, async/images/generations, async-result/{id}, models, models/{id}.
// Under /v1beta: models/{model}: and one of generateContent, streamGenerateContent,
// embedContent, batchEmbedContents, countTokens; models.
// Beside them GET /mock/stats (counts, as Stats) and POST /mock/reset.
//
// # Style
//
// Answers are in BigModel's style under /api/paas/v4 and for models named
// glm-*, cogview*, embedding-2, embedding-3*, charglm-*, codegeex-*; else in
// OpenAI's. They differ where the providers do:
//
//   - OpenAI: usage of a stream comes in a chunk of its own with `choices: []`,
//     only if stream_options.include_usage asks for it, and then every other
//     chunk says `"usage":null`; service_tier, system_fingerprint, x-request-id,
//     x-ratelimit-* and openai-* headers.
//   - BigModel: usage comes in the last chunk, which has choices, unasked;
//     request_id, reasoning_content, web_search, content_filter, and errors
//     whose code is a string of digits. What it alone has (tokenizer, web_search, tasks) is always so.
//   - Gemini, under /v1beta alone: usageMetadata on every chunk, a stream of events with
//     ?alt=sse and else one array, both without a mark of their end, x-goog-api-key.
//   - Anthropic, on messages alone, whatever the model: named events, usage in the
//     first and the last but one of them, content in blocks, x-api-key, request-id.
//
// # Usage
//
// Without a directive, usage follows from the request:
//
//   - a text is ceil(bytes/4) tokens;
//   - a prompt is 3 tokens, and of each message 3 tokens, its texts (content,
//     tool call arguments) and 85 tokens for each part that is not text; tools
//     add their definitions' JSON as a text. A role:tool message is a message
//     like any other: its result is input;
//   - the reply is 64 bytes, 16 tokens, or what max_tokens leaves of it (then
//     finish_reason is "length"), for each of the n choices. A response_format of
//     JSON is kept to: {"query":"weather in Beijing"}, or what fits the schema.
//     A function that tool_choice demands (not BigModel's) is called instead, with
//     arguments that fit its schema;
//   - BigModel's web_search tool brings 3 results of 500 prompt tokens each. The
//     answer shows them unless the tool says `"search_result":false`, where
//     BigModel's own shows them only if it says true;
//   - responses: of each item 3 tokens, its texts, and 85 tokens for each image or file;
//     instructions and tools as texts; all tokens of the earlier response that is
//     named, which must have been kept, what was said in that of an item that is named, and 1000 for a conversation. A web search is one call, of 500 prompt tokens.
//     max_output_tokens cuts the reply (then the response is incomplete). What compacts a conversation
//     (responses/compact, or an input that ends with a compaction_trigger) has the usage of a response, and the
//     output of one in an item that is encrypted;
//   - messages are counted alike; Anthropic's web search is one search of 3 results;
//   - contents are counted alike, 258 tokens for each part that is no text. Google's search is one
//     query, of 500 tokens beside the prompt; a model with "image" in its name makes one, of 1290
//     tokens. Reasoning is beside the candidates; embeddings tell no usage unless usage= does;
//   - embeddings use the tokens of their inputs, completion 0;
//   - images have no usage, but for gpt-image-*: the prompt's text, 40 tokens
//     an image sent, and 272, 1056 or 4160 an image made, by quality low,
//     medium or high (1056 without one);
//   - a ranking uses the tokens of the query and the documents; a moderation says in
//     BigModel's style that it was one call, and nothing in OpenAI's; speech says
//     nothing, and has 100 bytes for each character;
//   - a recording of 16,000 bytes lasts a second. Its transcript says so, or with a
//     model named gpt-* 10 tokens a second and 16 of text; in BigModel's style nothing,
//     nor in formats that are no JSON (text, srt, vtt);
//   - a list of prompts is answered with n choices for each.
//
// A task, and a response in the background, has ended when it is first asked for, unless polls=N says otherwise, and says so ever after.
//
// A model whose name starts with "no-such" does not exist here.
//
// # Directives
//
// A request says how it wants to be treated in a text that starts with
// "mock:" and goes on, up to the first blank, with items separated by ";":
//
//	mock:usage=100,50;chunks=20;delay=10ms  the rest is an ordinary prompt
//
// It is looked for in the header x-mock, then in the body's `user` (of messages:
// metadata.user_id), then in the last user message, the prompt, or the first input. Anything in it that
// is not listed here, or is listed twice, is answered 400.
//
//	usage=P,C        prompt and completion tokens (images: input and output)
//	cached=N         prompt tokens that came from the cache
//	cache-write=N    of messages: prompt tokens that were written to the cache
//	cache-write-1h=N likewise, for an hour
//	reasoning=N      completion tokens spent on reasoning
//	total=N          total_tokens, right or wrong
//	no-usage         no usage in the answer, asked for or not
//	null-usage       `"usage":null` where it should be (of responses no-usage is the same)
//	float-usage      numbers as 12.0
//	cumulative       usage so far on every chunk of a stream
//	tier=NAME        the service_tier that is returned
//	model=NAME       the model that is returned
//	finish=REASON    of contents: blocked (no candidates), or a finishReason; finish_reason: content_filter, sensitive, network_error, …; of
//	                 responses: content_filter (incomplete), failed (without output, and
//	                 with no usage but that of usage=)
//	tool-call=NAME   the answer calls this function instead of talking
//	tool-results=N   hosted web search: N results, of responses N calls, 500 prompt tokens each
//	images=N         images that come back, whatever n asked for
//	dims=N           length of the embedding vectors, at most 4096
//	bytes=N          length of the reply's text (images: of the base64; speech: of all)
//	chunks=N         content chunks of a stream; default one for every 4 bytes. Speech
//	                 in chunks does not say how long it is
//	polls=N          of a task: so often it is told to be at work still, before its end; default 0
//	task=fail        it has failed then
//	latency=D        wait before the head
//	delay=D          wait before each chunk of a stream but the first
//	status=N         answer with this error, 400 to 599
//	retry-after=S    with status: Retry-After in seconds (429 has 1 by itself)
//	reject-stream-options  400 that names stream_options, if the body has them
//	close            close the connection without an answer
//	hang[=head|mid|end]    stop before the head (default), half way, or before the
//	                 end, until the client leaves
//	cut=head|mid-body|mid-frame|end|clean  break off after the head, half way,
//	                 half way within a frame, before the last frame; clean: half way
//	                 too, but as if that were all
//	error-event      half way through a stream an error event, then the end
//	no-done          no [DONE], no message_stop, no bracket that closes an array
//	no-blank         no blank line after the last frame
//	crlf             lines end in CRLF
//	no-space         `data:` without a space
//	comments         `: keep-alive` before every frame
//	preamble         a first chunk with `choices: []` and no usage, as Azure sends
//	gzip             compressed, whether or not that was acceptable
//
// SetFault lays a directive over all requests, or over the next few.
package mockai
