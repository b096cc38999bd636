// What a training will do: what it costs on this machine, and warnings before it starts.

import { get } from "../parts/api.js";
import { champion } from "../parts/champion.js";
import { NEITHER } from "../parts/corrections.js";
import { byId, el } from "../parts/dom.js";
import { duration, listed } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

const LEAST_TRAINED = 20; // pictures of a class; with fewer a version knows too little of it
const ENOUGH_TESTED = 30; // test pictures of each class, with which the rule can always tell two versions apart
const MOST_JOBS = 100; // trainings that an estimate is taken from
const SHARED = 2; // a training uses half of the cores

let counts = null; // pictures of the data set by split and class; null if it has none

export function setUp() {
  for (const id of ["strategy", "backbone", "promote", "epochs"]) byId(id).addEventListener("change", update);
}

// Plans for a data set with these counts.
export function planFor(found) {
  counts = found;
  return update();
}

async function update() {
  const asked = counts; // it may change while the costs are estimated
  const notes = [...words(), ...(counts ? warnings() : [])];
  const cost = counts ? await estimate() : null;
  if (asked !== counts) return;
  byId("plan").replaceChildren(
    el("p", { class: "small" }, [notes[0], cost].filter(Boolean).join(" ")),
    ...notes.slice(1).map((text) => el("p", { class: "notice" }, text)),
  );
}

const of = (split) => Object.entries(counts[split] ?? {}).filter(([label]) => label !== NEITHER);
const total = () => ["train", "validation", "test"].flatMap(of).reduce((sum, [, number]) => sum + number, 0);
const classes = () => of("train").map(([label]) => label).sort();

// What the chosen settings do.
function words() {
  const [strategy, backbone, promote] = ["strategy", "backbone", "promote"].map((id) => byId(id).value);
  return [[t(`plan.${strategy}`), t(`plan.from_${backbone}`), t(`plan.then_${promote}`)].join(" ")];
}

function warnings() {
  const model = champion();
  const known = model && String([...model.classes].sort()) === String(classes());
  const few = of("train").filter(([, number]) => number < LEAST_TRAINED);
  const untested = classes().filter((label) => (counts.test?.[label] ?? 0) < ENOUGH_TESTED);
  const isAuto = byId("promote").value !== "never";
  return [
    classes().length < 2 ? t("plan.one_class") : null,
    few.length ? t("plan.few", { classes: listed(few.map(([label, number]) => `${label}: ${number}`), "and"), least: LEAST_TRAINED }) : null,
    model && !known && byId("backbone").value === "champion" ? t("plan.imagenet_suits", { version: model.version }) : null,
    known && byId("backbone").value === "imagenet" ? t("plan.champion_suits", { version: model.version }) : null,
    model && !known && isAuto ? t("plan.other_classes", { version: model.version }) : null,
    known && isAuto && untested.length ? t("plan.untested", { classes: listed(untested, "and"), least: ENOUGH_TESTED }) : null,
  ].filter(Boolean);
}

// The time that it takes at most: as long a photo as the newest training of this kind took on this machine; without
// one, as the service takes to answer. Null if neither is known.
async function estimate() {
  const strategy = byId("strategy").value;
  const [{ jobs }, { versions }, queue] = await Promise.all([get(`retrain?limit=${MOST_JOBS}`), get("models"), get("queue")]);
  const photosOf = new Map(versions.map(({ version, photos }) => [version, photos]));
  const like = jobs.find((job) => job.version && job.request.strategy === strategy && photosOf.get(job.version));
  if (like) {
    const sum = Object.values(photosOf.get(like.version)).flatMap(Object.values).reduce((all, some) => all + some, 0);
    const seconds = (new Date(like.ended_at) - new Date(like.started_at)) / 1000;
    return t("plan.as_before", { duration: duration((seconds * total()) / Math.max(1, sum)), n: total() });
  }
  const each = queue.recent.infer_seconds?.p50;
  if (strategy !== "head" || !each) return t("plan.unmeasured");
  return t("plan.as_answers", { duration: duration(SHARED * each * total()), n: total() });
}
