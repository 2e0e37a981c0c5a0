// Models are tried here by calls like any other: each is held for, metered and
// charged, and has its receipt.

import { button, count, el, facts, problem, table, working } from "./dom.js";
import { events, playOf } from "./plays.js";

const quoteAfter = 400; // milliseconds without a key
const receiptPatience = [0, 300, 1000, 3000, 10000, 45000]; // milliseconds; a call that was stopped ends when the upstream does

export async function playground(api) {
  const { data, currency } = await api.get("/models");
  const models = data.map((model) => ({ id: model.id, ...playOf(model) })).filter(({ play }) => play);
  if (models.length === 0) return el("p", { class: "empty" }, "There is no model that this key may use and that can be tried here.");
  return new Playground(api, models, currency).node;
}

class Playground {
  constructor(api, models, currency) {
    this.api = api;
    this.currency = currency;
    this.models = models;
    this.model = el("select", { "aria-label": "Model", change: () => this.choose() }, models.map(({ id }) => el("option", { value: id }, id)));
    this.text = el("textarea", { rows: 4, "aria-label": "Prompt", "data-first": true, input: () => this.quoteSoon(), keydown: (event) => this.key(event) });
    this.limit = el("input", { type: "number", min: 1, value: 1024, "aria-label": "At most so many output tokens", input: () => this.quoteSoon() });
    this.limitLabel = el("label", {}, "At most, tokens", this.limit);
    this.most = el("span", { class: "quote" });
    this.said = el("div", { class: "said" });
    this.sendButton = button("Send", () => this.send(), "main");
    this.stopButton = button("Stop", () => this.running?.abort());
    this.node = el("section", { class: "playground" },
      el("div", { class: "heading" }, el("h2", {}, "Playground"), el("div", { class: "actions" }, this.model, button("Start over", () => this.anew(), "quiet"))),
      el("p", { class: "note" }, "What is tried here is charged as a call by the API is."),
      this.said,
      el("form", { submit: (event) => { event.preventDefault(); this.send(); } }, this.text,
        el("div", { class: "actions" }, this.limitLabel, this.most, this.stopButton, this.sendButton)));
    this.choose();
  }

  get chosen() { return this.models.find(({ id }) => id === this.model.value); }

  get play() { return this.chosen.play; }

  /** choose takes up another model; what was said to one of another kind is none of its business. */
  choose() {
    if (this.play !== this.playBefore) this.anew();
    this.playBefore = this.play;
    this.text.placeholder = this.play.hint;
    this.limitLabel.hidden = !this.play.limited;
    this.quoteSoon();
  }

  anew() {
    this.running?.abort();
    this.turns = [];
    this.said.replaceChildren();
    this.busy(false);
  }

  busy(is) {
    if (!is) this.running = null;
    this.sendButton.disabled = is;
    this.stopButton.hidden = !is;
  }

  body() {
    const limit = this.limit.value === "" ? undefined : Number(this.limit.value);
    return this.play.body(this.model.value, this.text.value, limit, this.turns);
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send();
  }

  quoteSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.quote(), quoteAfter);
  }

  /** quote tells the most that it would cost as it stands. */
  async quote() {
    const asked = this.text.value;
    if (asked === "") return this.most.replaceChildren();
    try {
      const { fee, currency } = await this.api.post(`/quote?endpoint=${encodeURIComponent(this.chosen.path)}`, this.body());
      if (asked === this.text.value) this.most.replaceChildren(`at most ${fee} ${currency}`);
    } catch (error) {
      this.most.replaceChildren(error.message);
    }
  }

  send() {
    const text = this.text.value;
    if (text.trim() !== "" && !this.sendButton.disabled) working(() => this.call(text));
  }

  /** call makes the call, shows what it says, and at last what it cost. */
  async call(text) {
    const { turns, chosen: { play, path } } = this;
    const body = this.body();
    const answered = el("div", { class: "answer", "aria-live": "polite" });
    const receipt = el("div");
    this.said.append(el("div", { class: "asked" }, text), answered, receipt);
    const stop = new AbortController();
    this.running = stop;
    this.text.value = "";
    this.most.replaceChildren();
    this.busy(true);
    let id = null;
    try {
      const answer = await this.api.send("POST", path.slice("/v1".length) + (play.query ?? ""), body, { signal: stop.signal });
      id = answer.headers.get("x-request-id");
      if (play.show) answered.append(play.show(await answer.json()));
      else turns.push({ role: "user", content: text }, { role: "assistant", content: await this.follow(answer, play, answered) });
    } catch (error) {
      answered.append(stop.signal.aborted ? el("p", { class: "note" }, "Stopped here. The provider may finish the answer all the same; the receipt says what is charged.") : problem(error));
    }
    if (this.turns === turns) this.busy(false); // else it was begun anew
    if (id) receipt.append(await this.receipt(id));
  }

  /** follow shows a stream as it comes, and returns what was said. */
  async follow(answer, play, into) {
    const thought = el("p", { class: "thought" });
    const said = el("p");
    into.append(thought, said);
    for await (const event of events(answer)) {
      const delta = play.delta(event);
      if (delta.error) into.append(problem(new Error(delta.error)));
      thought.append(delta.thought ?? "");
      said.append(delta.text ?? "");
    }
    return said.textContent;
  }

  /** receipt shows what a call cost. One that was stopped may take as long as the upstream is listened to. */
  async receipt(id) {
    let failure;
    for (const pause of receiptPatience) {
      await new Promise((resolve) => { setTimeout(resolve, pause); });
      try {
        return receiptOf(await this.api.get(`/receipts/${id}`), this.currency);
      } catch (error) {
        failure = error;
        if (error.code !== "receipt_not_found") break;
      }
    }
    return problem(failure);
  }
}

function receiptOf(receipt, currency) {
  const paid = (receipt.paid ?? []).map((p) => (p.from.startsWith("pack:") ? `pack ${p.from.slice(5)}: ${count(p.quantity)}` : `${p.from}: ${p.amount} ${currency}`));
  return el("details", { class: "receipt" },
    el("summary", {}, `Fee ${receipt.fee} ${currency}`, paid.length > 0 ? ` · paid by ${paid.join(", ")}` : ""),
    facts([["Request", receipt.request_id], ["Model", receipt.model], ["Usage by", receipt.usage_source], ["Held before", receipt.hold],
      ["Left", Object.entries(receipt.balances_after ?? {}).map(([name, left]) => `${name} ${left}`).join(", ")]]),
    table([
      { title: "Dimension", cell: (l) => l.tool ?? l.dimension },
      { title: "Quantity", number: true, cell: (l) => count(l.quantity) },
      { title: "From packs", number: true, cell: (l) => count(l.pack_quantity ?? 0) },
      { title: "Rate", cell: (l) => l.rate },
      { title: "Amount", number: true, cell: (l) => l.amount },
    ], receipt.lines ?? [], "Nothing was used."));
}
