// Where the ledger counts its days and months, and in which currency. Nobody has
// to be signed in to know, nor Redis to be there.

export const place = { timezone: "UTC", currency: "" };

export async function learnPlace() {
  Object.assign(place, await (await fetch("about")).json());
}

/** today is such as 2026-11-30, in the ledger's time zone and not in the browser's. */
export function today() {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: place.timezone, dateStyle: "short" }).format(new Date());
}

/** months are this one and those before it, such as 2026-11, the latest first. */
export function months(count) {
  const [year, month] = today().split("-").map(Number);
  return Array.from({ length: count }, (_, back) => new Date(Date.UTC(year, month - 1 - back, 1)).toISOString().slice(0, 7));
}

/** moment is a time as people write it, in the ledger's time zone. */
export function moment(text) {
  return text ? new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone: place.timezone }) : "";
}
