// The console: who signs in, and which page is shown.
//
//   app.js         signing in, and the pages by their addresses
//   holder.js      what a key holder sees
//   playground.js  where models are tried; plays.js, how each kind of them is
//   operator.js    what an operator sees and does; form.js, how that is asked
//   bill.js        a month's bill, the same for both
//   place.js       the ledger's days, months and currency
//   api.js dom.js  the server, and what pages are made of

import { API } from "./api.js";
import { button, el, problem, working } from "./dom.js";
import { holderPages } from "./holder.js";
import { operatorPages } from "./operator.js";
import { learnPlace } from "./place.js";

const stored = "tollgate-secret"; // for this tab alone, until it is closed
const header = document.getElementById("top");
const page = document.getElementById("page");

let session = null; // {who, pages, links}
let turn = 0; // of pages that are shown: one that comes late is not

/** open signs in: a key of an account begins with tg-, all else is the operator's token. */
async function open(secret) {
  if (secret.startsWith("tg-")) {
    const api = new API("v1", secret);
    const key = await api.get("/key");
    session = { who: key.name ? `${key.account} · ${key.name}` : key.account, ...holderPages(api) };
  } else {
    const api = new API("../admin/v1", secret);
    await api.text("/openapi.yaml"); // needs the token and no Redis: an operator gets in when it is away, above all
    session = { who: "operator", ...operatorPages(api) };
  }
  sessionStorage.setItem(stored, secret);
}

function leave() {
  sessionStorage.removeItem(stored);
  session = null;
  location.hash = "";
  show();
}

/** show draws the page of the address; for whoever is not signed in the entrance, and why they are not. */
function show(why) {
  return working(() => draw(why, ++turn));
}

async function draw(why, mine) {
  header.replaceChildren(...head());
  let content;
  try {
    content = session ? await pageAt(location.hash.slice(1) || "/") : entrance(why);
  } catch (error) {
    content = el("div", {}, problem(error), error.status === 503 ? await whatIsAway() : null);
  }
  if (mine !== turn) return;
  page.replaceChildren(content);
  page.dataset.shown = location.hash;
  page.querySelector("[data-first]")?.focus();
}

/** whatIsAway is why the process does not take calls, where it may be asked. */
async function whatIsAway() {
  try {
    const { reasons = [] } = await (await fetch("../readyz")).json();
    return el("ul", {}, reasons.map((reason) => el("li", {}, reason)));
  } catch {
    return null;
  }
}

function head() {
  const name = el("a", { class: "name", href: "#/" }, "Tollgate");
  if (!session) return [name];
  const at = location.hash || "#/";
  const links = session.links.map(([text, href]) => el("a", { href, class: at === href || (href !== "#/" && at.startsWith(href)) ? "here" : "" }, text));
  return [name, el("nav", {}, links), el("span", { class: "who" }, session.who), button("Sign out", leave, "quiet")];
}

/** pageAt draws the first page whose pattern the address has: with the parts that the pattern catches, and how to draw it again. */
function pageAt(address) {
  for (const [pattern, drawPage] of session.pages) {
    const found = pattern.exec(address);
    if (found) return drawPage(found.slice(1).map((part) => (part === undefined ? undefined : decodeURIComponent(part))), () => show());
  }
  return el("p", { class: "empty" }, "There is no such page.");
}

/** entrance asks who it is, and may say why that was not to be known. */
function entrance(error) {
  const secret = el("input", { type: "password", name: "secret", autocomplete: "off", required: true, "data-first": true, "aria-label": "Key or admin token" });
  const wrong = el("div", {}, error ? problem(error) : null);
  const submit = (event) => {
    event.preventDefault();
    wrong.replaceChildren();
    working(() => open(secret.value.trim()).then(() => show(), (failure) => wrong.replaceChildren(problem(failure))));
  };
  return el("form", { class: "entrance", submit },
    el("h1", {}, "Sign in"),
    el("p", {}, "With an API key (tg-…) you see your account's balance, packs and bills, and can try models. With the admin token you run the house."),
    secret, el("button", { type: "submit" }, "Sign in"), wrong);
}

async function begin() {
  await learnPlace();
  addEventListener("hashchange", () => show());
  const secret = sessionStorage.getItem(stored);
  let why;
  try {
    if (secret) await open(secret);
  } catch (error) {
    why = error;
    if (error.status === 401) sessionStorage.removeItem(stored); // else it is good, and something is away
  }
  show(why);
}

working(begin);
