// The trial of a version beside the one in service: how it does on live photos, and how it ended.

import { get, remove } from "../parts/api.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { count, moment } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";
import { measured, rulesTable } from "./decision.js";

const EVERY_MILLISECONDS = 3000; // between two looks at a trial that runs

let timer = null;

// Shows the trial that runs, and follows it while Models is open; `ended` is called once it has ended.
export async function follow(ended) {
  clearTimeout(timer);
  const place = byId("shadow");
  try {
    const state = await get("shadow");
    if (!state.running && place.childElementCount) ended();
    place.replaceChildren(...(state.running ? running(state, ended) : []));
    if (state.running) timer = setTimeout(() => byId("models").hidden || follow(ended), EVERY_MILLISECONDS);
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

function running({ trial, so_far: soFar, photos_wanted: wanted, ends_at: end }, ended) {
  const { version, champion, photos, labelled } = trial;
  const rules = soFar.rules.filter(({ name }) => name !== "live photos"); // there needn't be enough yet
  const values = { version, champion, n: photos, wanted: count(wanted), end: moment(end) };
  const pressed = (event) => busy(event.currentTarget, () => endTrial(version, ended));
  return [
    el("h2", {}, t("shadow.heading")),
    el("p", {}, t("shadow.runs", values)),
    rules.length ? numbers(version, { ...soFar, rules }) : null,
    el("p", { class: "small" }, t("shadow.labelled", { n: labelled })),
    el("p", { class: "buttons" }, button(t("shadow.end"), pressed)),
  ].filter(Boolean);
}

async function endTrial(version, ended) {
  try {
    await remove("shadow");
    say(t("shadow.ended", { version }));
    await follow(ended);
  } catch (error) {
    byId("shadow").replaceChildren(fault(error));
  }
}

// The numbers of a trial's decision.
export function numbers(version, decision) {
  return rulesTable(t("shadow.rules", { n: decision.photos }), version, decision);
}

// What came of a version's trial, in one sentence.
export function told({ champion, photos, decision, promoted }) {
  const values = { champion, n: photos };
  if (!decision) return t("shadow.on_trial", { champion });
  return promoted ? t("shadow.promoted", values) : t("shadow.kept_out", { ...values, why: reason(decision) });
}

// The broken rules with their numbers, or what ended the trial.
function reason({ promote, reason: said, rules }) {
  const broken = promote ? [] : rules.filter(({ passed }) => !passed).map(measured);
  return broken.length ? broken.join("; ") : worded(said.replace(/^not promoted: /, ""));
}
