// Data sets as cards: what is in each, and what can be done with it.

import { get, patchJSON, picture, postJSON, remove, send } from "../parts/api.js";
import { pathOf, undo } from "../pictures/changes.js";
import { asked, confirmed } from "../parts/confirm.js";
import { saveBlob } from "../parts/csv.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { key } from "../parts/key.js";
import { count, moment } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

const SHOWN = 5; // thumbnails of a data set
const LISTED = 20; // changes that can be undone

let chosen = () => {};

// `choose(name)` makes a data set the one of the forms.
export function setUp(choose) {
  chosen = choose;
  byId("create-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter, () => tried(create));
  });
  byId("changes-shown").addEventListener("toggle", listChanges);
}

// Shows all data sets; `current` is the one of the forms.
export async function list(current) {
  try {
    const { datasets } = await get("datasets");
    byId("datasets").replaceChildren(...datasets.map((set) => el("option", { value: set.name })));
    byId("dataset-cards").replaceChildren(...datasets.map((set) => card(set, set.name === current)));
  } catch (error) {
    byId("dataset-cards").replaceChildren(fault(error));
  }
}

function card(set, isCurrent) {
  const { name } = set;
  const step = (text, work, attributes = {}) =>
    button(text, (event) => busy(event.currentTarget, () => tried(work)), { "aria-label": t("cards.step", { step: text, name }), ...attributes });
  const pictures = el("p", { class: "strip" });
  if (set.pictures && key() !== null) thumbnails(name, pictures);
  return el(
    "li",
    { class: "dataset", "aria-current": isCurrent ? "true" : null },
    el("h3", {}, el("a", { href: `#gallery/${name}` }, name)),
    el("p", { class: "small" }, contents(set)),
    pictures,
    el("p", { class: "small" }, trained(set.last_training)),
    el("p", { class: "buttons" }, [
      el("a", { class: "button", href: `#gallery/${name}`, "aria-label": t("cards.step", { step: t("cards.open"), name }) }, t("cards.open")),
      isCurrent ? null : step(t("cards.choose"), () => chosen(name)),
      step(t("cards.rename"), () => rename(name)),
      step(t("cards.merge"), () => merge(name)),
      set.pictures ? step(t("cards.download"), () => download(name)) : null,
      step(t("cards.delete"), () => discard(set)),
    ]),
  );
}

// "41 of cat, 17 of dog"
function contents({ counts }) {
  const numbers = {};
  for (const byLabel of Object.values(counts))
    for (const [label, n] of Object.entries(byLabel)) numbers[label] = (numbers[label] ?? 0) + n;
  const said = Object.entries(numbers).sort().map(([label, n]) => t("teach.number_of", { n, label }));
  return said.join(", ") || t("gallery.empty");
}

function trained(job) {
  if (!job) return t("cards.untrained");
  const when = moment(job.submitted_at);
  if (job.version) return t("cards.trained", { when, version: job.version });
  return t("cards.last", { when, status: t(`training.${job.status}`) });
}

async function thumbnails(name, box) {
  const { pictures } = await get(`${pathOf(name)}/pictures?limit=${SHOWN}`);
  for (const one of pictures) {
    const address = await picture(`${pathOf(name)}/images/${one.sha256}/thumbnail`).catch(() => null);
    if (address) box.append(el("img", { src: address, alt: "", onload: () => URL.revokeObjectURL(address) }));
  }
}

async function tried(work) {
  try {
    await work();
  } catch (error) {
    byId("cards-report").replaceChildren(fault(error));
    say(error.message);
  }
}

async function create() {
  const input = byId("new-dataset");
  const { name } = await postJSON("datasets", { name: input.value.trim() });
  input.value = "";
  await chosen(name);
}

async function rename(name) {
  const given = await asked(t("cards.rename_question", { name }), t("cards.name"), t("cards.rename"), name);
  if (!given || given === name) return;
  tell(await patchJSON(pathOf(name), { name: given }), t("cards.renamed", { name, given }));
  await chosen(given);
}

async function merge(name) {
  const into = await asked(t("cards.merge_question", { name }), t("cards.into"), t("cards.merge"), "", "datasets");
  if (!into || into === name) return;
  tell(await patchJSON(pathOf(name), { name: into, merge: true }), t("cards.merged", { name, into }));
  await chosen(into);
}

async function discard({ name, pictures: n }) {
  if (!(await confirmed(t("cards.delete_question", { name }), t("cards.delete_why", { n }), t("cards.delete")))) return;
  tell(await remove(pathOf(name)), t("cards.deleted", { name }));
  await chosen(null);
}

async function download(name) {
  const response = await send(`${pathOf(name)}/archive?splits=true`);
  saveBlob(await response.blob(), `${name}.zip`);
}

// Says what was done, with a button that undoes it.
function tell(made, text) {
  const back = button(t("gallery.undo"), () => busy(back, () => tried(() => restore(made))));
  byId("cards-report").replaceChildren(el("p", { class: "notice good" }, `${text} `, back));
  say(text);
}

async function restore(made) {
  await undo(made.id);
  byId("cards-report").replaceChildren();
  say(t("gallery.undone", { n: made.pictures }));
  await chosen(made.dataset);
  await listChanges();
}

// The changes of all data sets that can still be undone.
async function listChanges() {
  if (!byId("changes-shown").open) return;
  await tried(async () => {
    const { changes } = await get(`changes?limit=${LISTED}`);
    const none = el("li", {}, t("cards.no_changes"));
    byId("changes-list").replaceChildren(...(changes.length ? changes.map(changed) : [none]));
  });
}

function changed(made) {
  const what = t(`changes.${made.kind}`, { n: made.pictures, dataset: made.dataset, target: made.target });
  const back = button(t("gallery.undo"), () => busy(back, () => tried(() => restore(made))), {
    "aria-label": `${t("gallery.undo")}: ${what}`,
  });
  return el("li", {}, el("span", {}, what, el("span", { class: "small under" }, moment(made.made_at))), back);
}
