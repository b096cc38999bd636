// The data set that corrections go to: chosen once for this browser, by default the one that trained the version in service.

import { Refused, get } from "./api.js";
import { champion } from "./champion.js";
import { el } from "./dom.js";
import { t } from "./texts.js";

export const NEITHER = "neither"; // the label of a picture of none of the classes, which no training learns from

const PLACE = "catdog-corrections";
const FIRST = "pets"; // of a version that no data set trained; Teach offers the same

const owners = new Map(); // version: its data set

// The name of the data set.
export async function corrections() {
  return localStorage.getItem(PLACE) ?? (await own());
}

// A choice among the data sets, for Ask and Review; one changes with the other.
export async function offerChoice(place) {
  const [wanted, { datasets }] = await Promise.all([corrections(), get("datasets")]);
  const names = [...new Set([...datasets.map(({ name }) => name), await own(), wanted])].sort();
  const options = names.map((name) => el("option", { value: name, selected: name === wanted }, name));
  const select = el("select", { onchange: () => localStorage.setItem(PLACE, select.value) }, options);
  place.replaceChildren(el("label", {}, `${t("feedback.goes_to")} `, select));
}

async function own() {
  const { version, training } = champion() ?? {};
  if (!training?.job) return FIRST;
  if (!owners.has(version)) owners.set(version, await trainedOn(training.job));
  return owners.get(version);
}

async function trainedOn(job) {
  try {
    return (await get(`retrain/${job}`)).request.dataset;
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return FIRST; // its record was deleted
    throw error;
  }
}
