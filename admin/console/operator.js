// What an operator sees and does. Each action is one of the admin API's.

import { billPage } from "./bill.js";
import { button, count, el, facts, quantities, section, table } from "./dom.js";
import { ask, tell } from "./form.js";
import { packTable, walletTable } from "./holder.js";
import { moment, place, today } from "./place.js";

const pageSize = 50; // accounts
const journalSize = 500; // entries
const types = "account topup grant charge abandon refund adjust expire revoke key suspend resume".split(" ");

export function operatorPages(api) {
  return {
    links: [["Accounts", "#/"], ["Overdue holds", "#/holds"], ["Audit", "#/audit"]],
    pages: [
      [/^\/(?:after\/([^/]+))?$/, ([after], refresh) => accounts(api, after, refresh)],
      [/^\/accounts\/([^/]+)$/, ([id], refresh) => account(api, id, refresh)],
      [/^\/accounts\/([^/]+)\/bills(?:\/([^/]+))?$/, ([id, month]) => bill(api, id, month)],
      [/^\/accounts\/([^/]+)\/journal(?:\/([^/]+))?(?:\/([^/]+))?$/, ([id, day, type], refresh) => journal(api, id, day, type, refresh)],
      [/^\/holds$/, () => overdue(api)],
      [/^\/audit(?:\/([^/]+))?$/, ([id]) => audit(api, id)],
    ],
  };
}

const of = (id) => `/accounts/${encodeURIComponent(id)}`;
const linkTo = (id) => el("a", { href: `#${of(id)}` }, id);

async function accounts(api, after, refresh) {
  const query = after ? `&after=${encodeURIComponent(after)}` : "";
  const list = await api.get(`/accounts?limit=${pageSize}${query}`);
  const create = () => ask("Create account", [
    { name: "id", label: "Id", required: true, hint: "acme" },
    { name: "split", label: "A fee falls on the wallets", choices: ["proportional", "equal", "bonus_first", "recharge_first"] },
    { name: "overdraft", label: "Overdraft", hint: "0" },
  ], async (values) => { await api.post("/accounts", values); location.hash = `#${of(values.id)}`; });
  return section("Accounts", button("Create account", create, "main"),
    table([
      { title: "Account", cell: (a) => linkTo(a.id) },
      { title: "Status", cell: (a) => a.status },
      { title: `Recharge free, ${place.currency}`, number: true, cell: (a) => a.wallets.recharge.free },
      { title: `Bonus free, ${place.currency}`, number: true, cell: (a) => a.wallets.bonus.free },
      { title: "Held", number: true, cell: (a) => a.held },
      { title: "Packs", number: true, cell: (a) => count(a.packs.filter((p) => p.status === "active").length) },
      { title: "Since", cell: (a) => moment(a.created_at) },
    ], list, after ? "There are no more accounts." : "There are no accounts yet."),
    el("div", { class: "actions" },
      after ? el("a", { href: "#/" }, "First") : null,
      list.length === pageSize ? el("a", { href: `#/after/${encodeURIComponent(list.at(-1).id)}` }, "Next") : null));
}

async function account(api, id, refresh) {
  const [about, keys, holds] = await Promise.all([api.get(of(id)), api.get(`${of(id)}/keys`), api.get(`${of(id)}/holds`)]);
  const act = new AccountActions(api, id, refresh);
  return el("div", {},
    section(`Account ${id}`, [
      button("Top up", () => act.topUp(), "main"), button("Adjust", () => act.adjust()),
      about.status === "active" ? button("Suspend", () => act.withReason("Suspend", "suspend"), "danger") : button("Resume", () => act.withReason("Resume", "resume")),
      el("a", { href: `#${of(id)}/bills` }, "Bills"), el("a", { href: `#${of(id)}/journal` }, "Journal"), el("a", { href: `#/audit/${encodeURIComponent(id)}` }, "Audit"),
    ], facts([["Status", about.status], ["A fee falls on the wallets", about.split.replaceAll("_", " ")], ["Overdraft", about.overdraft], ["Held", about.held]]),
    walletTable(about, place.currency)),
    section("Packs", button("Grant pack", () => act.grant()),
      packTable(about.packs, (p) => (p.status === "active" ? button("Revoke", () => act.withReason(`Revoke pack ${p.id}`, `packs/${p.id}/revoke`), "danger") : ""))),
    section("Keys", button("Create key", () => act.createKey()), keyTable(keys, act)),
    section("Calls in flight", [], holdTable(holds)));
}

function keyTable(keys, act) {
  return table([
    { title: "Key", cell: (k) => k.id },
    { title: "Name", cell: (k) => k.name ?? "" },
    { title: "Status", cell: (k) => k.status },
    { title: "Limits", cell: (k) => Object.entries(k.limits).map(([name, limit]) => `${name.replaceAll("_", " ")} ${limit}`).join("; ") || "none" },
    { title: "Spent", number: true, cell: (k) => k.use.spend_total },
    { title: "Requests", number: true, cell: (k) => count(k.use.requests) },
    { title: "", cell: (k) => (k.status === "active" ? button("Revoke", () => act.revokeKey(k.id), "danger") : "") },
  ], keys, "There are no keys.");
}

function holdTable(holds, account) {
  return table([
    ...(account ? [{ title: "Account", cell: (h) => linkTo(h.account) }] : []),
    { title: "Request", cell: (h) => h.request_id },
    { title: "Key", cell: (h) => h.key },
    { title: "Model", cell: (h) => h.model },
    { title: "Since", cell: (h) => moment(h.placed_at) },
    { title: "Ends", cell: (h) => moment(h.ends_at) + (h.overdue ? " (overdue)" : "") },
    { title: "Cash held", number: true, cell: (h) => h.cash },
    { title: "Of packs", cell: (h) => (h.packs ?? []).map((p) => `${p.from.slice(5)}: ${count(p.quantity)}`).join(", ") },
  ], holds, "Nothing is held.");
}

class AccountActions {
  constructor(api, id, refresh) {
    this.api = api;
    this.id = id;
    this.refresh = refresh;
  }

  /** post sends what a form has, and shows the page as it is then. */
  async post(path, values, headers) {
    const answer = await this.api.send("POST", `${of(this.id)}/${path}`, values, { headers });
    this.refresh();
    if (answer.headers.get("X-Tollgate-Archived") === "false") {
      tell("Not archived yet", el("p", {}, "It is booked, but the archive could not be reached: until it is, a loss in Redis could still undo it."));
    }
    return answer.json();
  }

  topUp() {
    ask(`Top up ${this.id}`, [
      { name: "amount", label: `Amount, ${place.currency}`, required: true, hint: "50" },
      { name: "wallet", label: "Wallet", choices: ["recharge", "bonus"] },
      { name: "ref", label: "Reference", hint: "such as an invoice: booked once" },
    ], (values, headers) => this.post("topups", values, values.ref ? {} : headers), "Top up");
  }

  adjust() {
    ask(`Adjust ${this.id}`, [
      { name: "amount", label: "Amount, up or down", required: true, hint: "-0.25" },
      { name: "wallet", label: "Wallet", choices: ["recharge", "bonus"] },
      { name: "reason", label: "Reason", required: true },
    ], (values, headers) => this.post("adjustments", values, headers), "Adjust");
  }

  grant() {
    ask(`Grant ${this.id} a pack`, [
      { name: "quantity", label: "Quantity", kind: "whole", required: true, hint: "1000000" },
      { name: "unit", label: "Unit", choices: ["token", "image", "video", "call", "search", "character", "page"] },
      { name: "models", label: "Models", kind: "list", hint: "glm-4*, glm-5; all if empty" },
      { name: "expires_at", label: "Valid until, whole day", hint: "2027-12-31; for ever if empty" },
      { name: "order", label: "Pays", choices: ["before_balance", "after_balance"] },
    ], (values, headers) => this.post("packs", values, headers), "Grant");
  }

  createKey() {
    ask(`Create a key of ${this.id}`, [
      { name: "name", label: "Name", hint: "laptop" },
      { name: "limits.models", label: "Models", kind: "list", hint: "glm-4*; all if empty" },
      { name: "limits.spend_daily", label: "Spend a day", hint: "5; no limit if empty" },
      { name: "limits.spend_total", label: "Spend in all" },
      { name: "limits.rpm", label: "Requests a minute", kind: "whole" },
      { name: "limits.parallel", label: "Requests at the same time", kind: "whole" },
      { name: "limits.expires_at", label: "Valid until, whole day", hint: "2027-12-31" },
    ], async (values, headers) => showSecret(await this.post("keys", values, headers)), "Create");
  }

  revokeKey(key) {
    ask(`Revoke key ${key}`, [], () => this.post(`keys/${encodeURIComponent(key)}/revoke`, {}), "Revoke");
  }

  refund(entry) {
    ask(`Refund ${entry.request_id}`, [
      { name: "amount", label: "Amount of cash", hint: `all that is left of ${entry.fee}, and of packs, if empty` },
      { name: "reason", label: "Reason", required: true },
    ], (values, headers) => this.post("refunds", { request_id: entry.request_id, ...values }, headers), "Refund");
  }

  withReason(title, path) {
    ask(title, [{ name: "reason", label: "Reason" }], (values) => this.post(path, values));
  }
}

/** showSecret shows what is shown this once. */
function showSecret(key) {
  tell(`Key ${key.id}`, el("p", {}, "This is its secret. Keep it now: it is not shown again."), el("code", { class: "secret" }, key.secret));
}

function bill(api, id, month) {
  return billPage(api, `${of(id)}/bills`, month, (m) => `#${of(id)}/bills/${m}`);
}

/** journal is one day of it, in the ledger's time zone, the latest entry first. */
async function journal(api, id, day = today(), type = "", refresh) {
  const query = `since=${day}&until=${day}&limit=${journalSize}${type && `&type=${type}`}`;
  const entries = await api.get(`${of(id)}/journal?${query}`);
  const go = () => { location.hash = `#${of(id)}/journal/${chooseDay.value || day}${chooseType.value && `/${chooseType.value}`}`; };
  const chooseDay = el("input", { type: "date", value: day, "aria-label": "Day", change: go });
  const chooseType = el("select", { "aria-label": "Type", change: go },
    ["", ...types].map((t) => el("option", { value: t, selected: t === type }, t || "all types")));
  const act = new AccountActions(api, id, refresh);
  return section(`Journal of ${id}`, [chooseDay, chooseType, linkTo(id)],
    entries.length === journalSize ? el("p", { class: "note" }, `These are the first ${journalSize} of the day; tollgate journal has all.`) : null,
    table([
      { title: "Time", cell: (e) => moment(e.time) },
      { title: "Type", cell: (e) => e.type },
      { title: "What", cell: whatOf },
      { title: "Amount", number: true, cell: (e) => e.fee ?? e.amount ?? (e.quantity === undefined ? "" : count(e.quantity)) },
      { title: "Paid by", cell: (e) => (e.paid ?? []).map((p) => `${p.from} ${p.amount ?? count(p.quantity)}`).join(", ") || (e.wallet ?? e.pack ?? "") },
      { title: "Left", cell: (e) => Object.entries(e.balances_after ?? {}).map(([name, left]) => `${name} ${left}`).join(", ") },
      { title: "", cell: (e) => (e.type === "charge" || e.type === "abandon" ? button("Refund", () => act.refund(e), "quiet") : "") },
    ], entries.reverse(), "Nothing was booked on this day."));
}

function whatOf(entry) {
  const used = quantities(entry.usage);
  return [entry.model, used, entry.request_id, entry.type === "key" ? entry.key : "", entry.ref, entry.reason].filter(Boolean).join(" · ");
}

async function overdue(api) {
  return section("Overdue holds", [], holdTable(await api.get("/holds"), true));
}

async function audit(api, id) {
  const report = await api.get(id ? `${of(id)}/audit` : "/audit");
  return section(id ? `Audit of ${id}` : "Audit", id ? linkTo(id) : [],
    el("p", { class: report.ok ? "good" : "problem" }, report.ok ? "The books balance." : "The books do not balance."),
    facts([["Accounts", count(report.accounts)], ["Journal entries", count(report.entries)]]),
    report.differences.length === 0 ? null : table([
      { title: "Account", cell: (d) => d.account ?? "" }, { title: "Shard", number: true, cell: (d) => d.shard ?? "" }, { title: "Law", cell: (d) => d.law },
      { title: "What", cell: (d) => d.what }, { title: "Journal", number: true, cell: (d) => d.journal }, { title: "Ledger", number: true, cell: (d) => d.ledger },
    ], report.differences),
    report.conservation ? table([
      { title: "What", cell: (c) => c.what },
      ...["granted", "free", "held", "charged", "expired", "withdrawn"].map((name) => ({ title: name, number: true, cell: (c) => c[name] })),
    ], report.conservation) : null);
}
