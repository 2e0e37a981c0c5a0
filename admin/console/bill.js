// A month's bill, as the operator and the key holder see it.

import { button, count, el, facts, quantities, save, section, table } from "./dom.js";
import { months } from "./place.js";

const monthsBack = 12;

/** billPage asks api for the bill at path, of this month if none is named; addressOf is the console's page of another. */
export async function billPage(api, path, month = months(1)[0], addressOf) {
  const bill = await api.get(`${path}/${month}`);
  const choices = [...new Set([bill.month, ...months(monthsBack)])].sort().reverse();
  const choose = el("select", { "aria-label": "Month", change: () => { location.hash = addressOf(choose.value); } },
    choices.map((m) => el("option", { value: m, selected: m === bill.month }, m)));
  const download = async () => save(`${bill.account}-${bill.month}.csv`, "text/csv", await api.text(`${path}/${month}?format=csv`));
  const money = (amount) => `${amount} ${bill.currency}`;
  return section(`Bill of ${bill.account}`, [choose, button("CSV", download, "quiet")],
    facts([
      ["Fee", money(bill.fee)],
      ["Paid by recharge", money(bill.paid.recharge)],
      ["Paid by bonus", money(bill.paid.bonus)],
      ["Days are those of", bill.timezone],
    ]),
    bill.packs.length === 0 ? null : el("h3", {}, "Packs used"),
    bill.packs.length === 0 ? null : table([
      { title: "Pack", cell: (p) => p.id },
      { title: "Unit", cell: (p) => p.unit },
      { title: "Used", number: true, cell: (p) => count(p.quantity) },
    ], bill.packs),
    el("h3", {}, "What was used"),
    table([
      { title: "Day", cell: (l) => l.day },
      { title: "Key", cell: (l) => l.key },
      { title: "Model", cell: (l) => l.model },
      { title: "Endpoint", cell: (l) => l.endpoint },
      { title: "Requests", number: true, cell: (l) => count(l.requests) },
      { title: "Usage", cell: (l) => quantities(l.usage) },
      { title: "From packs", number: true, cell: (l) => count(l.pack_quantity) },
      { title: `Fee, ${bill.currency}`, number: true, cell: (l) => l.fee },
    ], bill.lines, "Nothing was used in this month."));
}
