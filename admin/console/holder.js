// What a key holder sees: what is left, the bills, and a place to try models.

import { billPage } from "./bill.js";
import { count, el, facts, section, table } from "./dom.js";
import { moment } from "./place.js";
import { playground } from "./playground.js";

export function holderPages(api) {
  const bill = ([month]) => billPage(api, "/bills", month, (m) => `#/bills/${m}`);
  return {
    links: [["Account", "#/"], ["Bills", "#/bills"], ["Playground", "#/playground"]],
    pages: [
      [/^\/$/, () => overview(api)],
      [/^\/bills(?:\/([^/]+))?$/, bill],
      [/^\/playground$/, () => playground(api)],
    ],
  };
}

async function overview(api) {
  const [credits, key] = await Promise.all([api.get("/credits"), api.get("/key")]);
  return el("div", {},
    section(`Account ${credits.id}`, [], walletTable(credits, credits.currency),
      facts([["Held for calls in flight", `${credits.held} ${credits.currency}`], ["Overdraft", credits.overdraft === "0" ? "" : `${credits.overdraft} ${credits.currency}`],
        ["A fee falls on the wallets", credits.split.replaceAll("_", " ")]])),
    section("Packs", [], packTable(credits.packs)),
    section(`Key ${key.name || key.id}`, [], limitsOf(key)));
}

export function walletTable(account, currency = "") {
  const unit = currency && `, ${currency}`;
  return table([
    { title: "Wallet", cell: ([name]) => name },
    { title: `Balance${unit}`, number: true, cell: ([, wallet]) => wallet.balance },
    { title: `Free${unit}`, number: true, cell: ([, wallet]) => wallet.free },
  ], ["recharge", "bonus"].map((name) => [name, account.wallets[name]]));
}

/** packTable may have a column of what can be done with a pack. */
export function packTable(packs, action) {
  return table([
    { title: "Pack", cell: (p) => p.id },
    { title: "For", cell: (p) => (p.models.length > 0 ? p.models.join(", ") : "all models") },
    { title: "Unit", cell: (p) => p.unit },
    { title: "Used", cell: (p) => el("meter", { min: 0, max: p.quantity, value: p.quantity - p.remaining, title: `${count(p.quantity - p.remaining)} of ${count(p.quantity)}` }) },
    { title: "Remaining", number: true, cell: (p) => count(p.remaining) },
    { title: "Granted", number: true, cell: (p) => count(p.quantity) },
    { title: "Expires", cell: (p) => moment(p.expires_at) || "never" },
    { title: "Pays", cell: (p) => (p.order === "after_balance" ? "after the wallets" : "first") },
    { title: "Status", cell: (p) => p.status.replaceAll("_", " ") },
    ...(action ? [{ title: "", cell: action }] : []),
  ], packs, "There are no packs.");
}

/** limitsOf are a key's limits, and what each leaves. */
function limitsOf(key) {
  const { limits, remaining, use } = key;
  const of = (name, unit) => (limits[name] === undefined ? "" : `${remaining[name]} of ${limits[name]} ${unit} left`);
  return facts([
    ["Status", key.status], ["Spent", `${use.spend_total} ${key.currency}`], ["Requests", count(use.requests)],
    ["In all", of("spend_total", key.currency)], ["Today", of("spend_daily", key.currency)], ["This month", of("spend_monthly", key.currency)],
    ["Tokens", of("tokens", "")], ["Requests a minute", of("rpm", "")], ["Tokens a minute", of("tpm", "")], ["At the same time", of("parallel", "")],
    ["Models", limits.models?.join(", ")], ["Endpoints", limits.endpoints?.join(", ")], ["Networks", limits.networks?.join(", ")],
    ["Ends", moment(limits.expires_at)],
  ]);
}
