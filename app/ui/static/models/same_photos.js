// Two versions on the same photos of a data set: asks the service to compare them, and shows what it found.

import { get, postJSON, remove } from "../parts/api.js";
import { busy, button, el, fault, say, table } from "../parts/dom.js";
import { obtain } from "../parts/key.js";
import { count, listed, loss, percent, points } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";
import { thumbnail } from "../teach/findings.js";
import { interval } from "../teach/outcome.js";

const LOOK_MILLISECONDS = 700; // between two looks at a comparison that runs
const SPLITS = ["test", "validation"];
const CHANCE = 0.05; // a smaller p-value is no chance, as in the rule of promotion
const FINAL = ["succeeded", "failed", "cancelled"];
const AT_FIRST = 24; // photos

// A form to compare the two, which are as GET /models/N describes them, and below it the newest comparison of them.
export async function samePhotos(versions) {
  const [{ datasets }, { comparisons }] = await Promise.all([get("datasets"), get("comparisons")]);
  const numbers = String(versions.map(({ version }) => version));
  const last = comparisons.find((one) => String(one.versions) === numbers && one.status !== "cancelled");
  const place = el("div", { "aria-live": "polite" });
  const offered = offers(datasets, versions);
  if (last) get(`comparisons/${last.id}`).then((found) => follow(place, found));
  const heading = el("h3", {}, t("same.heading"));
  if (!offered.length) return el("div", {}, heading, el("p", {}, t("same.none")), place);
  return el("div", {}, heading, el("p", { class: "small" }, t("same.lead")), form(offered, versions, place), place);
}

// The photos of each data set and split that are of a class of both versions: [{dataset, split, n}].
function offers(datasets, versions) {
  const known = versions.map(({ classes }) => new Set(classes.map(folded)));
  const isKnown = ([label]) => known.every((names) => names.has(folded(label)));
  const number = (counts) => Object.entries(counts ?? {}).filter(isKnown).reduce((sum, [, some]) => sum + some, 0);
  const all = SPLITS.flatMap((split) => datasets.map(({ name, counts }) => ({ dataset: name, split, n: number(counts[split]) })));
  return all.filter(({ n }) => n);
}

const folded = (name) => name.normalize("NFC").toLowerCase();

function form(offered, versions, place) {
  const photos = el("select", { id: "same-photos" }, offered.map((one, value) => el("option", { value }, t(`same.${one.split}`, one))));
  const submit = el("button", { type: "submit", class: "first" }, t("same.compare"));
  const made = el("form", { class: "tools" }, el("label", {}, el("span", {}, t("same.photos")), " ", photos), submit);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const { dataset, split } = offered[photos.value];
    busy(submit, () => begin(place, { versions: versions.map(({ version }) => version), dataset, split }));
  });
  return made;
}

async function begin(place, asked) {
  try {
    await follow(place, await postJSON("comparisons", asked));
    say(place.textContent);
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

// Shows a comparison until it has ended, or its place has left the page.
async function follow(place, comparison) {
  let found = comparison;
  try {
    while (!FINAL.includes(found.status)) {
      place.replaceChildren(...running(found));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
      if (!place.isConnected) return;
      found = await get(`comparisons/${found.id}`);
    }
    place.replaceChildren(...ended(place, found));
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

function running({ id, status, versions, phase, photos, photos_done: done, progress, is_cancelling: cancelling }) {
  const looking = photos === null ? t("same.running") : t("same.looking", { n: photos, done, version: versions[phase === "second" ? 1 : 0] });
  const end = button(t("same.cancel"), (event) => busy(event.currentTarget, () => remove(`comparisons/${id}`)));
  return [
    el("p", {}, cancelling ? t("same.cancelling") : status === "queued" ? t("same.queued") : looking),
    el("progress", { max: 1, value: progress, "aria-label": t("training.progress") }),
    el("p", { class: "buttons" }, end),
  ];
}

function ended(place, { id, status, reason, versions, dataset, split, result, different }) {
  if (status === "failed") return [fault({ message: worded(reason) })];
  if (status === "cancelled") return [el("p", {}, t("same.cancelled"))];
  const [one, other] = versions;
  return [
    el("p", { class: "notice" }, said(versions, result)),
    numbers(t(`same.of_${split}`, { n: result.photos, dataset, classes: listed(result.classes, "and") }), versions, result),
    ...notes(result).map((text) => el("p", { class: "small" }, text)),
    el("h3", {}, t("same.different", { n: result.different })),
    result.different ? el("p", {}, t("same.only", { one, other, won: count(result.only_first), lost: count(result.only_second) })) : null,
    result.different && !different.length ? hidden(place, id) : pictures(different, versions, dataset),
  ].filter(Boolean);
}

// Which one is more accurate, by how much, and whether that may be chance.
function said([one, other], { difference, difference_low: low, difference_high: high, chance }) {
  if (!difference) return t("same.equal", { one, other, low: points(low), high: points(high) });
  const isFirst = difference > 0;
  const [better, worse] = isFirst ? [one, other] : [other, one];
  const [least, most] = isFirst ? [low, high] : [-high, -low];
  const values = { better, worse, by: points(Math.abs(difference)), low: points(least), high: points(most), chance: chance.toPrecision(2) };
  return t(chance < CHANCE ? "same.better" : "same.perhaps", values);
}

function numbers(caption, versions, { metrics, classes }) {
  const row = (name, shown) => [name, ...metrics.map(shown)];
  const rows = [
    row(t("compare.accuracy"), (its) => `${percent(its.accuracy)} (${interval(its)})`),
    row(t("compare.log_loss"), (its) => loss(its.log_loss)),
    row(t("compare.calibration_error"), (its) => percent(its.calibration_error)),
    ...classes.map((label) => row(t("decision.recall", { label }), (its) => percent(its.recall[label]))),
  ];
  return table(caption, ["", ...versions.map((version) => t("page.version", { version }))], rows);
}

function notes({ left_out: known, unreadable, doubtful }) {
  return [
    known ? t("same.left_out", { n: known }) : null,
    unreadable ? t("same.unreadable", { n: unreadable }) : null,
    ...doubtful.map((version) => t("same.doubtful", { version })),
  ].filter(Boolean);
}

// A button that asks for a key, without which the service names no photo.
function hidden(place, id) {
  const show = async () => {
    if ((await obtain(t("key.admin"))) !== null) await follow(place, await get(`comparisons/${id}`));
  };
  return button(t("findings.show"), (event) => busy(event.currentTarget, show));
}

function pictures(different, versions, dataset) {
  const shown = el("ul", { class: "thumbnails" });
  const left = [...different];
  const more = button("", () => add());
  const add = () => {
    shown.append(...left.splice(0, AT_FIRST).map((photo) => item(photo, versions, dataset)));
    more.textContent = t("findings.more", { n: left.length });
    more.hidden = !left.length;
  };
  add();
  return el("div", {}, shown, more);
}

function item({ sha256, name, label, answers }, versions, dataset) {
  const says = answers.map(({ label: given, probability }, place) => {
    const isRight = folded(given) === folded(label);
    const text = t("same.says", { version: versions[place], label: given, probability: percent(probability, 0) });
    return el("span", { class: "name" }, text, isRight ? ` ${t("same.right")}` : null);
  });
  return el("li", {}, thumbnail(dataset, sha256), el("span", { class: "name" }, name), el("span", { class: "name" }, label), says);
}
