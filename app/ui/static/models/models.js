// Models: compares, tries, promotes, rolls back and deletes versions.

import { get, post } from "../parts/api.js";
import { onChampion, show } from "../parts/champion.js";
import { tradeoff } from "./charts.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { count, listed, moment, percent } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";
import { actions } from "./actions.js";
import * as canary from "./canary.js";
import * as compare from "./compare.js";
import { failure, onSamePhotos, why } from "./decision.js";
import * as shadow from "./shadow.js";
import { interval } from "../teach/outcome.js";
import { opened } from "./version.js";

const FEW = 100; // photos: with fewer, an accuracy says little
const MOST_JOBS = 1000; // trainings whose data set is looked up

export function setUp() {
  compare.setUp();
  byId("roll-back").addEventListener("click", (event) => rollBack(event.currentTarget));
  byId("models-order").addEventListener("change", list);
  onChampion(() => byId("models").hidden || list());
}

export async function open() {
  byId("version").replaceChildren();
  byId("models-report").hidden = true;
  await list();
  await Promise.all([shadow.follow(list), canary.follow()]);
}

async function list() {
  try {
    const [{ versions }, { jobs }] = await Promise.all([get("models"), get(`retrain?limit=${MOST_JOBS}`)]);
    const datasets = Object.fromEntries(jobs.map((job) => [job.version, job.request.dataset]));
    const serving = versions.find((version) => version.champion);
    const cards = sorted(versions).map((version) => card(version, serving, datasets[version.version]));
    byId("versions").replaceChildren(...cards);
    byId("tradeoff").replaceChildren(...chart(versions));
    compare.offer(versions);
  } catch (error) {
    byId("versions").replaceChildren(fault(error));
  }
}

// Accuracy against speed, if at least two versions have both.
function chart(versions) {
  const both = versions.filter((one) => one.speed && measured(one)).map((one) => ({ ...one, found: measured(one).found }));
  return both.length < 2 ? [] : [tradeoff(both)];
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
  const tag = version.champion ? el("strong", { class: "tag" }, t("models.in_service")) : null;
  const heading = el("h2", {}, `${t("page.version", { version: number })} `, tag);
  const steps = version.champion ? null : actions(number, done);
  if (version.problem) return el("li", { class: "version" }, heading, fault({ message: worded(version.problem) }), steps);
  const details = button(t("models.details"), (event) => busy(event.currentTarget, () => opened(number)), {
    "aria-label": t("models.details_of", { version: number }),
  });
  steps?.firstChild.append(details);
  if (steps && sameClasses(version, serving)) details.before(canary.starter(number, steps.lastChild));
  return el(
    "li",
    { class: "version" },
    el(
      "div",
      {},
      heading,
      el("p", { class: "small" }, made(version, dataset)),
      el("p", { class: "small" }, work(version)),
      el("p", {}, decided(version)),
    ),
    el("div", {}, ...accuracy(version, serving), steps ?? el("p", { class: "buttons" }, details)),
  );
}

// Whether a client of the version in service would know the answers.
const sameClasses = (version, serving) => String(version.classes) === String(serving?.classes);

function made({ created, strategy, classes, photos }, dataset) {
  const training = Object.values(photos.train ?? {}).reduce((sum, some) => sum + some, 0);
  const data = dataset ? t("models.dataset", { dataset }) : t("models.folder");
  return [listed(classes, "and"), `${data}, ${t("models.training", { n: training })}`, strategy, moment(created)].join(" · ");
}

// What its network takes: speed, multiply-adds and size.
function work({ speed, multiply_adds: macs, bytes }) {
  const [billions, megabytes] = [macs / 1e9, bytes / 1e6].map((number) => count(Number(number.toPrecision(2))));
  const parts = [t("models.work", { billions, megabytes })];
  if (speed) parts.unshift(t("models.speed", { n: count(Math.round(speed.photos_per_second)) }));
  return parts.join(" · ");
}

// Who or what put it into service, or kept it from that.
function decided(version) {
  const { decision, served, trial } = version;
  if (trial && (trial.promoted || !served)) return shadow.told(trial);
  if (!decision || decision.champion === null) return t(served ? "models.first" : "models.uncompared");
  if (decision.promote) return t(served ? "models.by_rule" : "models.only_published");
  if (!served) return why(version);
  const failed = failure(decision);
  return failed ? t("models.by_hand_against", { why: failed }) : t("models.by_hand", { why: why(version) });
}

function measured({ metrics }) {
  const [split, found] = metrics?.test ? ["test", metrics.test] : ["validation", metrics?.validation];
  return found ? { split, found } : null;
}

// The accuracy with its interval, and what keeps it from being compared with that of the version in service.
function accuracy(version, serving) {
  const its = measured(version);
  if (!its) return [el("p", {}, t("measured.not"))];
  const { split, found } = its;
  const share = el("strong", { class: "verdict" }, percent(found.accuracy));
  return [
    el("p", { class: "accuracy" }, share, ` ${t(`measured.${split}`, { n: found.photos })}`),
    band(found),
    el("p", { class: "small" }, `${[interval(found), ...caveats(version, serving, found)].join(". ")}.`),
  ];
}

function caveats(version, serving, { photos, accuracy_low: low }) {
  const shared = version.decision && onSamePhotos(version.decision);
  const others = serving && serving !== version && !version.measured_like_champion;
  return [
    photos < FEW ? t("models.few", { low: percent(low) }) : null,
    others ? t("models.other_photos", { version: serving.version }) : null,
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
      report(el("span", {}, t("actions.in_service", { version: model.version })));
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
