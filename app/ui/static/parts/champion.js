// The version in service, and the callbacks for when it changes.

import { Refused, get } from "./api.js";
import { byId } from "./dom.js";
import { count, listed, percent } from "./numbers.js";
import { t } from "./texts.js";

const AGAIN_MILLISECONDS = 1000;
const LOST_MILLISECONDS = 5000;

const watchers = [];
let serving = null;

export const classes = () => serving?.classes ?? [];
export const serves = () => serving?.version ?? null;
export const champion = () => serving;

export function onChampion(tell) {
  watchers.push(tell);
  if (serving) tell(serving);
}

// Requests the version in service, and retries until there is one.
export async function refresh() {
  try {
    show(await get("model"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    byId("champion").textContent = error.message;
    if (error.status !== 401) setTimeout(refresh, error.status ? AGAIN_MILLISECONDS : LOST_MILLISECONDS);
  }
}

// For each answer with its version: asks again which version is in service if it isn’t the known one.
export async function heardOf(version) {
  if (version !== serving?.version) await refresh();
}

// Views are only told of a change: one that repaints itself for none would lose what it had just reported.
export function show(model) {
  const isSame = JSON.stringify(model) === JSON.stringify(serving);
  serving = model;
  byId("champion").textContent = described(model);
  if (isSame) return;
  watchers.forEach((tell) => tell(model));
}

function described({ version, classes: its, metrics }) {
  const measured = metrics.test ?? metrics.validation;
  const values = { version, classes: listed(its) };
  if (!measured) return t("page.serves", values);
  return t("page.serves_measured", { ...values, accuracy: percent(measured.accuracy), photos: count(measured.photos) });
}
