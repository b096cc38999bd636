// Numbers, moments and lists, formatted for people in their language.

import { language, t } from "./texts.js";

const whole = new Intl.NumberFormat(language);
const decimals = new Intl.NumberFormat(language, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
const shares = new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: 1 });
const signed = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1, signDisplay: "negative" });
const wholeShares = new Intl.NumberFormat(language, { style: "percent" });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const count = (number) => whole.format(number);
export const milliseconds = (seconds) => t("rules.milliseconds", { ms: count(Number((1000 * seconds).toPrecision(3))) });
export const loss = (nats) => decimals.format(nats);
export const moment = (text) => moments.format(new Date(text));

// "99.9%"; 100% only if it is exactly that. Without `digits` after the point it is rounded down: "99%".
export function percent(share, digits = 1) {
  if (!digits) return wholeShares.format(Math.floor(100 * share) / 100);
  if (share < 1 && share >= 0.9995) return `> ${shares.format(0.999)}`;
  if (share > 0 && share < 0.0005) return `< ${shares.format(0.001)}`;
  return share === 1 ? wholeShares.format(1) : shares.format(share);
}

// A difference of two shares in percentage points: "−2.5".
export const points = (difference) => signed.format(100 * difference);

// The plural of the name of a class, if it is an English-looking word of an English text: "cats", "foxes", "canaries".
export function pluralOf(name) {
  if (language !== "en") return name;
  if (!/[a-z]$/.test(name)) return `of ${name}`;
  if (/(s|x|z|ch|sh)$/.test(name)) return `${name}es`;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}

export function duration(seconds) {
  if (seconds < 90) return t("page.seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("page.minutes", { n: Math.round(seconds / 60) });
  return t("page.hours", { n: Math.round(seconds / 3600) });
}

// "cat", "cat or dog", "cat, dog or fish"
export function listed(names, last = "or") {
  return names.length < 2 ? names.join("") : t(`page.${last}`, { rest: names.slice(0, -1).join(", "), last: names.at(-1) });
}
