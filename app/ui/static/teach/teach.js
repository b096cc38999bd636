// Teach: adds labelled pictures and shows their counts; training.js does the training.

import { Refused, get, post } from "../parts/api.js";
import { onChampion } from "../parts/champion.js";
import { NEITHER } from "../parts/corrections.js";
import { byId, el, fault, say, table } from "../parts/dom.js";
import { takeFrom } from "../parts/files.js";
import { count } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";
import * as cards from "./cards.js";
import { planFor, setUp as setUpPlan } from "./plan.js";
import * as policy from "./policy.js";
import * as training from "./training.js";

const FILES_AT_ONCE = 16; // per request
const SPLITS = ["train", "validation", "test"];

const labels = new Set();
let isPressed = false; // whether a pointer is down

export function setUp() {
  byId("dataset-form").addEventListener("submit", addClass);
  byId("dataset").addEventListener("change", () => (isPressed ? afterPress(updated) : updated()));
  addEventListener("pointerdown", () => (isPressed = true), { capture: true });
  addEventListener("pointerup", () => (isPressed = false), { capture: true });
  cards.setUp(choose);
  takeFrom(byId("zip-drop"), [byId("zip-file")], takeArchives);
  onChampion((model) => model.classes.forEach(offer));
  setUpPlan();
  training.setUp(name);
}

export async function open() {
  await updated();
  await Promise.all([training.open(), policy.show()]);
}

// A press on a button ends the change of a field; the button must not move before it is let go.
const afterPress = (work) => addEventListener("pointerup", () => setTimeout(work), { once: true });

const updated = () => Promise.all([cards.list(name()), counted()]);

// Makes a data set the one of the forms; without one, that which is chosen already.
async function choose(dataset) {
  if (dataset) byId("dataset").value = dataset;
  await updated();
}

const name = () => byId("dataset").value.trim();
const path = (of) => `datasets/${encodeURIComponent(name())}/${of}`;

function addClass(event) {
  event.preventDefault();
  const label = byId("new-class").value.trim();
  if (!label) return;
  offer(label);
  byId("new-class").value = "";
  say(t("teach.can_be_added", { label }));
}

// Adds a drop zone for pictures of this class.
function offer(label) {
  if (labels.has(label)) return;
  labels.add(label);
  const input = el("input", { type: "file", accept: "image/*", multiple: true });
  const zone = el(
    "div",
    { class: "drop" },
    el("p", { class: "drop-here" }, t("teach.pictures_of", { label })),
    el("label", { class: "button" }, t("teach.choose"), el("span", { class: "unseen" }, ` ${t("teach.choose_of", { label })}`), input),
  );
  byId("class-drops").append(zone);
  takeFrom(zone, [input], (files) => takePictures(label, files));
}

// Sends a few files per request, so that no body is too large.
async function takePictures(label, files) {
  const results = [];
  try {
    for (let first = 0; first < files.length; first += FILES_AT_ONCE) {
      report(t("teach.adding", { label, done: count(first), all: count(files.length) }));
      const some = files.slice(first, first + FILES_AT_ONCE);
      const added = await post(path("images"), form(some, label));
      results.push(...added.results.map((result, place) => ({ file: some[place], ...result })));
    }
    report(...outcome(label, results));
  } catch (error) {
    report(...outcome(label, results), fault(error));
  }
  await updated();
}

function form(files, label) {
  const fields = new FormData();
  if (label) fields.append("label", label);
  for (const file of files) fields.append("file", file, file.name);
  return fields;
}

function outcome(label, results) {
  const added = results.filter((result) => result.is_new).length;
  const known = results.filter((result) => result.is_new === false).length;
  const broken = results.filter((result) => result.problem);
  return [
    el("p", {}, `${t("teach.new_of", { n: added, label })}${before(known)}.`),
    leftOut(broken.map(({ file, problem }) => [file.name, problem.detail])),
  ].filter(Boolean);
}

const before = (known) => (known ? `, ${t("teach.known", { n: known })}` : "");

function leftOut(reasons) {
  if (!reasons.length) return null;
  const rows = reasons.map(([file, reason]) => el("li", {}, el("span", { class: "name" }, file), `: ${worded(reason)}`));
  return el("div", { class: "notice" }, el("p", {}, t("teach.left_out", { n: reasons.length })), el("ul", {}, rows));
}

async function takeArchives(files) {
  for (const file of files) {
    report(t("teach.sending", { file: file.name }));
    try {
      const added = await post(path("archive"), form([file]));
      const skipped = leftOut(added.skipped.map((member) => [member.name, member.reason]));
      const text = `${t("teach.new_from", { n: added.added, file: file.name })}${before(added.known)}.`;
      report(el("p", {}, text), ...contents(added), skipped);
    } catch (error) {
      report(el("p", {}, `${file.name}:`), fault(error));
    }
  }
  await updated();
}

// The content of the archive by class; folders that were added to a class of another spelling, or are empty.
function contents({ counts, renamed, empty }) {
  const sums = {};
  for (const split of Object.values(counts))
    for (const [label, number] of Object.entries(split)) sums[label] = (sums[label] ?? 0) + number;
  const classes = Object.entries(sums).sort().map(([label, n]) => t("teach.number_of", { n, label }));
  const notes = [
    ...Object.entries(renamed).map(([sent, label]) => t("teach.added_to", { sent, label })),
    ...empty.map((folder) => t("teach.empty", { folder })),
  ];
  return [el("p", {}, t("teach.holds", { classes: classes.join(", ") })), ...notes.map((note) => el("p", {}, note))];
}

function report(...found) {
  byId("upload-report").replaceChildren(...found.filter(Boolean));
}

// Shows the pictures of the data set by class and split.
async function counted() {
  try {
    const { counts, pictures } = await get(`datasets/${encodeURIComponent(name())}`);
    const found = [...new Set(Object.values(counts).flatMap(Object.keys))].sort();
    found.filter((label) => label !== NEITHER).forEach(offer);
    const rows = found.map((label) => {
      const numbers = SPLITS.map((split) => counts[split]?.[label] ?? 0);
      return [label, ...[...numbers, numbers.reduce((sum, some) => sum + some)].map(count)];
    });
    const caption = t("teach.counted", { n: pictures, dataset: name() });
    const columns = [t("teach.class"), ...SPLITS.map((split) => t(`splits.${split}`)), t("teach.all")];
    byId("counts").replaceChildren(table(caption, columns, rows));
    planFor(counts);
  } catch (error) {
    const isNew = error instanceof Refused && error.status === 404;
    const none = el("p", { class: "small" }, t("teach.none", { dataset: name() }));
    byId("counts").replaceChildren(isNew ? none : fault(error));
    planFor(null);
  }
}
