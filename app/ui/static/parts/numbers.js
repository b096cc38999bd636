// Numbers, formatted for people.

const whole = new Intl.NumberFormat("en");
const decimals = new Intl.NumberFormat("en", { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (number) => whole.format(number);
export const loss = (nats) => decimals.format(nats);
export const moment = (text) => moments.format(new Date(text));

// "99.9%"; 100% only if it is exactly that. Without `digits` after the point it is rounded down: "99%".
export function percent(share, digits = 1) {
  if (!digits) return `${Math.floor(100 * share)}%`;
  const shown = (100 * share).toFixed(1);
  if (shown === "100.0") return share === 1 ? "100%" : "> 99.9%";
  return shown === "0.0" && share > 0 ? "< 0.1%" : `${shown}%`;
}

export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

// The plural of the name of a class, if it is an English-looking word: "cats", "foxes", "canaries".
export function pluralOf(name) {
  if (!/[a-z]$/.test(name)) return `of ${name}`;
  if (/(s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}

export function duration(seconds) {
  if (seconds < 90) return plural(Math.max(1, Math.round(seconds)), "second");
  if (seconds < 5400) return plural(Math.round(seconds / 60), "minute");
  return plural(Math.round(seconds / 3600), "hour");
}

// "cat", "cat or dog", "cat, dog or fish"
export function listed(names, last = "or") {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names.at(-1)}`;
}
