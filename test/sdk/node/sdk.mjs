// One case of the official OpenAI Node SDK against BASE_URL, as JSON on stdout.
//
// usage: node sdk.mjs CASE, one of the cases below
//
// The key is in API_KEY. An error of the SDK is a result too: its class,
// status, code, type and request id.

import OpenAI, { AzureOpenAI } from "openai";

const client = (options = {}) =>
  new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, ...options });

const request = (directive, options = {}) => ({
  model: "gpt-4o",
  user: "mock:" + directive,
  messages: [{ role: "user", content: "Hello" }],
  ...options,
});

const ask = (api, directive, options) => api.chat.completions.create(request(directive, options));

async function chat() {
  const { data, response } = await client()
    .chat.completions.create(request("usage=100,50;cached=40"))
    .withResponse();
  return {
    text: data.choices[0].message.content,
    total_tokens: data.usage.total_tokens,
    cached_tokens: data.usage.prompt_tokens_details.cached_tokens,
    request_id: data._request_id,
    cost: response.headers.get("x-tollgate-cost"),
  };
}

async function read(stream) {
  const result = { text: "", total_tokens: null, chunks_without_choices: 0 };
  for await (const chunk of stream) {
    if (chunk.choices.length === 0) result.chunks_without_choices++;
    for (const choice of chunk.choices) result.text += choice.delta.content ?? "";
    if (chunk.usage) result.total_tokens = chunk.usage.total_tokens;
  }
  return result;
}

const stream = async () => read(await ask(client(), "usage=100,50", { stream: true }));

const stream_usage = async () =>
  read(await ask(client(), "usage=100,50", { stream: true, stream_options: { include_usage: true } }));

const respond = (directive, options = {}) =>
  client().responses.create({ model: "gpt-4o", user: "mock:" + directive, input: "Hello", ...options });

async function response() {
  const { data, response } = await respond("usage=100,50;cached=40;reasoning=20").withResponse();
  return {
    text: data.output_text,
    total_tokens: data.usage.total_tokens,
    cached_tokens: data.usage.input_tokens_details.cached_tokens,
    reasoning_tokens: data.usage.output_tokens_details.reasoning_tokens,
    request_id: data._request_id,
    cost: response.headers.get("x-tollgate-cost"),
  };
}

async function response_events() {
  let text = "";
  let last;
  for await (const event of await respond("usage=100,50;tool-call=search", { stream: true })) {
    if (event.type === "response.function_call_arguments.delta") text += event.delta;
    last = event;
  }
  return {
    text,
    last: last.type,
    total_tokens: last.response.usage.total_tokens,
    name: last.response.output[0].name,
  };
}

async function response_stream() {
  const stream = client().responses.stream({ model: "gpt-4o", user: "mock:usage=100,50", input: "Hello" });
  let text = "";
  for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
  const answer = await stream.finalResponse();
  return { text, whole: answer.output[0].content[0].text, total_tokens: answer.usage.total_tokens, status: answer.status };
}

async function response_goes_on() {
  const { responses } = client();
  const first = await respond("usage=100,50");
  const second = await respond("usage=100,50", { previous_response_id: first.id });
  const read = await responses.retrieve(first.id);
  const items = (await responses.inputItems.list(first.id)).data;
  await responses.delete(first.id);
  return {
    previous: second.previous_response_id === first.id,
    read: read.output_text === first.output_text,
    items: items.length,
    input: items[0].content[0].text,
  };
}

async function response_compacted() {
  const { responses } = client();
  const { data: made, response } = await responses.compact({ model: "gpt-4o", input: "mock:usage=100,50 Hello" }).withResponse();
  const on = await responses.create({ model: "gpt-4o", input: made.output });
  return {
    kinds: made.output.map((item) => item.type),
    total_tokens: made.usage.total_tokens,
    cost: response.headers.get("x-tollgate-cost"),
    text: on.output_text,
    counted: (await responses.inputTokens.count({ model: "gpt-4o", input: "Hello" })).input_tokens,
  };
}

async function azure() {
  const api = new AzureOpenAI({
    endpoint: process.env.BASE_URL.replace(/\/v1$/, ""),
    apiKey: process.env.API_KEY,
    apiVersion: "2024-10-21",
  });
  return read(await ask(api, "usage=100,50", { stream: true, stream_options: { include_usage: true } }));
}

async function moderation() {
  const answer = await client().moderations.create({ input: ["one", "two"] });
  return { model: answer.model, results: answer.results.length };
}

const response_quota = () => respond("usage=1,1");
const response_stored = () => respond("usage=1,1", { previous_response_id: "resp_1" });

async function embedding() {
  const answer = await client().embeddings.create({
    model: "text-embedding-3-small",
    input: ["one", "two"],
    user: "mock:usage=1000,0",
  });
  return {
    vectors: answer.data.length,
    dimensions: answer.data[0].embedding.length,
    total_tokens: answer.usage.total_tokens,
  };
}

async function image() {
  const answer = await client().images.generate({ model: "dall-e-3", prompt: "A cat", n: 1 });
  return { images: answer.data.length, url: answer.data[0].url };
}

const quota = () => ask(client(), "usage=1,1");
const bad_key = () => ask(client(), "usage=1,1");
const timeout = () => ask(client({ timeout: 500, maxRetries: 0 }), "hang");

const cases = {
  chat, stream, stream_usage, response, response_events, response_stream, response_goes_on, response_compacted,
  response_quota, response_stored, embedding, image, moderation, azure, quota, bad_key, timeout,
};

let result;
try {
  result = await cases[process.argv[2]]();
} catch (error) {
  if (!(error instanceof OpenAI.OpenAIError)) throw error;
  result = {
    error: error.constructor.name,
    status_code: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    request_id: error.requestID ?? error.request_id ?? null,
    body: error.error ?? null,
  };
}
console.log(JSON.stringify(result));
