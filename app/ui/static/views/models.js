// Models: compares, tries, promotes, rolls back and deletes versions.

import { get, post } from "../parts/api.js";
import { onChampion, show } from "../parts/champion.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { count, listed, moment, percent } from "../parts/numbers.js";
import { actions } from "./actions.js";
import { onSamePhotos, why } from "./decision.js";
import { opened } from "./version.js";

const FEW = 100; // photos: with fewer, an accuracy says little
const MOST_JOBS = 1000; // trainings whose data set is looked up

export function setUp() {
  byId("roll-back").addEventListener("click", (event) => rollBack(event.currentTarget));
  byId("models-order").addEventListener("change", list);
  onChampion(() => byId("models").hidden || list());
}

export async function open() {
  byId("version").replaceChildren();
  byId("models-report").hidden = true;
  await list();
}

async function list() {
  try {
    const [{ versions }, { jobs }] = await Promise.all([get("models"), get(`retrain?limit=${MOST_JOBS}`)]);
    const datasets = Object.fromEntries(jobs.map((job) => [job.version, job.request.dataset]));
    const serving = versions.find((version) => version.champion);
    const cards = sorted(versions).map((version) => card(version, serving, datasets[version.version]));
    byId("versions").replaceChildren(...cards);
  } catch (error) {
    byId("versions").replaceChildren(fault(error));
  }
}

// The version in service first. By accuracy they stand in the order of what they surely reach: the lower end of the
// interval, in which 5 right photos of 5 count for less than 987 of 1,000.
function sorted(versions) {
  const surely = (version) => measured(version)?.found.accuracy_low ?? -1;
  const isByAccuracy = byId("models-order").value === "accuracy";
  const found = isByAccuracy ? [...versions].sort((one, other) => surely(other) - surely(one)) : versions;
  return isByAccuracy ? found : [...found].sort((one, other) => other.champion - one.champion);
}

function card(version, serving, dataset) {
  const number = version.version;
  const tag = version.champion ? el("strong", { class: "tag" }, "in service") : null;
  const heading = el("h2", {}, `Version ${number} `, tag);
  const steps = version.champion ? null : actions(number, done);
  if (version.problem) return el("li", { class: "version" }, heading, fault({ message: version.problem }), steps);
  const details = button("Details", (event) => busy(event.currentTarget, () => opened(number)), {
    "aria-label": `Details of version ${number}`,
  });
  steps?.firstChild.append(details);
  return el(
    "li",
    { class: "version" },
    el("div", {}, heading, el("p", { class: "small" }, made(version, dataset)), el("p", {}, decided(version))),
    el("div", {}, ...accuracy(version, serving), steps ?? el("p", { class: "buttons" }, details)),
  );
}

function made({ created, strategy, classes, photos }, dataset) {
  const training = Object.values(photos.train ?? {}).reduce((sum, some) => sum + some, 0);
  const data = dataset ? `data set “${dataset}”` : "photos of a folder";
  return `${listed(classes, "and")} · ${data}, ${count(training)} for training · ${strategy} · ${moment(created)}`;
}

// Who or what put it into service, or kept it from that.
function decided(version) {
  const { decision, served } = version;
  if (!decision || decision.champion === null) return served ? "The first version in service." : "Published without a comparison.";
  if (decision.promote) return served ? "Promoted by the rule." : "It passed every rule, and was only published.";
  return served ? `Promoted by hand. The rule had not promoted it: ${why(version).replace(/^Not promoted: /, "")}` : why(version);
}

function measured({ metrics }) {
  const [split, found] = metrics?.test ? ["test", metrics.test] : ["validation", metrics?.validation];
  return found ? { split, found } : null;
}

// The accuracy with its interval, and what keeps it from being compared with that of the version in service.
function accuracy(version, serving) {
  const its = measured(version);
  if (!its) return [el("p", {}, "Its accuracy wasn’t measured.")];
  const { split, found } = its;
  const share = el("strong", { class: "verdict" }, percent(found.accuracy));
  const interval = `95% interval: ${percent(found.accuracy_low)} to ${percent(found.accuracy_high)}`;
  return [
    el("p", { class: "accuracy" }, share, ` accuracy on ${count(found.photos)} ${split} photos`),
    band(found),
    el("p", { class: "small" }, `${[interval, ...caveats(version, serving, found)].join(". ")}.`),
  ];
}

function caveats(version, serving, { photos, accuracy_low: low }) {
  const shared = version.decision && onSamePhotos(version.decision);
  const others = serving && serving !== version && !version.measured_like_champion;
  return [
    photos < FEW ? `So few photos say little: it may be right on only ${percent(low)}` : null,
    others ? `These photos are not those of version ${serving.version}, so the two accuracies can’t be compared` : null,
    shared,
  ].filter(Boolean);
}

// The interval on a scale from 0 to 100%, with a mark at the accuracy.
function band({ accuracy: found, accuracy_low: low, accuracy_high: high }) {
  const [filled, mark] = [el("span", { class: "filled" }), el("span", { class: "mark" })];
  filled.style.marginInlineStart = `${100 * low}%`;
  filled.style.inlineSize = `${100 * (high - low)}%`;
  mark.style.insetInlineStart = `calc(${100 * found}% - 2px)`;
  return el("span", { class: "track far", "aria-hidden": "true" }, filled, mark);
}

async function rollBack(pressed) {
  await busy(pressed, async () => {
    try {
      const model = await post("rollback");
      report(el("span", {}, `Version ${model.version} is in service now.`));
      show(model); // which updates the list too
    } catch (error) {
      report(fault(error));
    }
  });
}

function done(text) {
  report(el("span", {}, text));
  byId("models-heading").focus();
  list();
}

function report(found) {
  byId("models-report").hidden = false;
  byId("models-report").replaceChildren(found);
  say(found.textContent);
}
