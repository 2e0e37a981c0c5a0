// How models are tried, by the route that serves them: what is asked, and what of
// the answer is shown. Another kind of model is another row.

import { el } from "./dom.js";

const chatHistory = (turns, text) => [...turns, { role: "user", content: text }];

/** geminiTurns are what was said in the words of Gemini's API. */
const geminiTurns = (turns, text) => chatHistory(turns, text).map(({ role, content }) => ({ role: role === "user" ? "user" : "model", parts: [{ text: content }] }));

/**
 * A play is of routes that end in its name. It needs a price for one of these dimensions. body(model, text, limit, turns) is the request, turns being what was said before in the same conversation.
 * A stream has delta(event) → {text, thought, error}, any other answer show(answer) → node; hint is for who writes.
 */
export const plays = {
  "/v1/chat/completions": {
    needs: ["output"], hint: "Say something", limited: true,
    body: (model, text, limit, turns) => ({ model, messages: chatHistory(turns, text), max_tokens: limit, stream: true }),
    delta: (event) => {
      const delta = event.choices?.[0]?.delta;
      return { text: delta?.content, thought: delta?.reasoning_content, error: event.error?.message };
    },
  },
  "/v1/messages": {
    needs: ["output"], hint: "Say something", limited: true,
    body: (model, text, limit, turns) => ({ model, messages: chatHistory(turns, text), max_tokens: limit ?? 1024, stream: true }),
    delta: (event) => ({ text: event.delta?.text, thought: event.delta?.thinking, error: event.error?.message }),
  },
  ":streamGenerateContent": {
    needs: ["output"], hint: "Say something", limited: true, query: "?alt=sse",
    body: (model, text, limit, turns) => ({ contents: geminiTurns(turns, text), generationConfig: { maxOutputTokens: limit } }),
    delta: (event) => {
      const parts = event.candidates?.[0]?.content?.parts ?? [];
      const said = (thought) => parts.filter((part) => Boolean(part.thought) === thought).map((part) => part.text ?? "").join("");
      return { text: said(false), thought: said(true), error: event.error?.message };
    },
  },
  "/v1/images/generations": {
    needs: ["image", "output_image"], hint: "Describe a picture",
    body: (model, text) => ({ model, prompt: text }),
    show: (answer) => el("div", {}, (answer.data ?? []).map((picture) =>
      el("img", { alt: "What the model drew", src: picture.url ?? `data:image/png;base64,${picture.b64_json}` }))),
  },
  "/v1/embeddings": {
    needs: ["input"], hint: "A text to embed",
    body: (model, text) => ({ model, input: text }),
    show: (answer) => {
      const vector = answer.data?.[0]?.embedding ?? [];
      return el("p", {}, `${vector.length} numbers: ${vector.slice(0, 8).map((n) => Number(n).toFixed(4)).join(", ")}, …`);
    },
  },
};

/** playOf is how a model of GET /v1/models is tried: {play, path}, the path as the console has it, all under /v1; or undefined. */
export function playOf({ endpoints, pricing }) {
  const priced = (dimension) => pricing.some(({ tiers }) => tiers.some(({ rates }) => rates[dimension] !== undefined));
  for (const [name, play] of Object.entries(plays)) {
    const path = endpoints.find((endpoint) => endpoint.endsWith(name));
    if (path && play.needs.some(priced)) return { play, path: path.replace(/^\/v1beta\//, "/v1/") };
  }
  return undefined;
}

/** events are a stream's, one by one, as the objects that they carry. */
export async function* events(answer) {
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (done ? `${decoder.decode()}\n` : decoder.decode(value, { stream: true }))).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      const data = line.startsWith("data:") ? line.slice(5).trim() : "";
      if (data.startsWith("{")) yield JSON.parse(data);
    }
    if (done) return;
  }
}
