// A month's bill, as the operator and the key holder see it.

import { button, count, el, facts, quantities, save, section, table } from "./dom.js";

const monthsBack = 12;

/** thisMonth is such as 2026-11. */
export function thisMonth(now = new Date()) {
  return `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}`;
}

function lastMonths() {
  const now = new Date();
  return Array.from({ length: monthsBack }, (_, back) => thisMonth(new Date(now.getFullYear(), now.getMonth() - back, 1)));
}

/** billPage asks api for the bill at path; addressOf is the console's page of another month. */
export async function billPage(api, path, month, addressOf) {
  const bill = await api.get(`${path}/${month}`);
  const months = [...new Set([bill.month, ...lastMonths()])].sort().reverse();
  const choose = el("select", { "aria-label": "Month", change: () => { location.hash = addressOf(choose.value); } },
    months.map((m) => el("option", { value: m, selected: m === bill.month }, m)));
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
