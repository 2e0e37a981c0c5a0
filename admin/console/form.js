// How the operator is asked for what a booking needs.

import { once } from "./api.js";
import { button, el, problem, working } from "./dom.js";

// How a field's text becomes a value of the request.
const kinds = {
  text: (text) => text,
  whole: (text) => {
    if (!/^\d+$/.test(text)) throw new Error(`want a whole number, not "${text}"`);
    return Number(text);
  },
  list: (text) => text.split(",").map((part) => part.trim()).filter((part) => part !== ""),
};

/**
 * ask opens a form, and closes it once send has gone through. Fields: {name, label, kind, choices, value, required, hint}.
 * send gets what was filled in, and the form's Idempotency-Key: however often it is sent, it is booked once.
 */
export function ask(title, fields, send, act = title) {
  const key = once();
  const wrong = el("div");
  const confirm = el("button", { type: "submit" }, act);
  const dialog = el("dialog", { close: () => dialog.remove() }, el("form", { submit: (event) => working(() => submit(event)) },
    el("h2", {}, title), fields.map(control), wrong,
    el("div", { class: "actions" }, button("Cancel", () => dialog.close(), "quiet"), confirm)));

  async function submit(event) {
    event.preventDefault();
    wrong.replaceChildren();
    confirm.disabled = true;
    try {
      await send(values(event.target, fields), { "Idempotency-Key": key });
      dialog.close();
    } catch (error) {
      wrong.replaceChildren(problem(error));
    }
    confirm.disabled = false;
  }

  document.body.append(dialog);
  dialog.showModal();
}

/** tell shows something until it has been read. */
export function tell(title, ...content) {
  const dialog = el("dialog", { close: () => dialog.remove() }, el("h2", {}, title), content,
    el("div", { class: "actions" }, button("Done", () => dialog.close(), "main")));
  document.body.append(dialog);
  dialog.showModal();
}

function control({ name, label, choices, value, required, hint }) {
  const input = choices
    ? el("select", { name }, choices.map((choice) => el("option", { value: choice, selected: choice === value }, choice)))
    : el("input", { name, value, required, autocomplete: "off", placeholder: hint });
  return el("label", {}, label, input);
}

/** values are what was filled in; a name with a dot is a member of an object. */
function values(form, fields) {
  const all = {};
  for (const { name, label, kind = "text" } of fields) {
    const text = form.elements[name].value.trim();
    if (text === "") continue;
    let into = all;
    const path = name.split(".");
    for (const part of path.slice(0, -1)) into = into[part] ??= {};
    try {
      into[path.at(-1)] = kinds[kind](text);
    } catch (error) {
      throw new Error(`${label}: ${error.message}`);
    }
  }
  return all;
}
