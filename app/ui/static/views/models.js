// Models: compares, promotes and rolls back versions.

import { get, post } from "../parts/api.js";
import { classes, onChampion, show } from "../parts/champion.js";
import { busy, button, byId, el, fault, say, table } from "../parts/dom.js";
import { count, listed, loss, moment, percent } from "../parts/numbers.js";
import { opened } from "./version.js";

const COLUMNS = ["Version", "Created", "Trained", "Accuracy", "Log-loss", "Calibration error", "Actions"];

export function setUp() {
  byId("roll-back").addEventListener("click", (event) => change(event.currentTarget, "rollback"));
  onChampion(() => byId("models").hidden || list());
}

export async function open() {
  byId("version").replaceChildren();
  byId("models-report").hidden = true;
  await list();
}

async function list() {
  try {
    const { versions } = await get("models");
    byId("versions").replaceChildren(table("Versions, the newest first", COLUMNS, versions.map(row)));
  } catch (error) {
    byId("versions").replaceChildren(fault(error));
  }
}

function row(version) {
  const serves = version.champion ? el("strong", { class: "tag" }, "serves") : null;
  const name = el("span", {}, `Version ${version.version} `, serves);
  if (version.problem) return [name, version.problem, ...Array(COLUMNS.length - 2).fill("")];
  return [name, moment(version.created), trained(version), ...measured(version.metrics), buttons(version)];
}

// Its classes only if they differ from those in service.
function trained({ strategy, classes: its }) {
  return String(its) === String(classes()) ? strategy : `${strategy}: ${listed(its, "and")}`;
}

// On its test photos if it has some.
function measured(metrics) {
  const [split, found] = metrics.test ? ["test", metrics.test] : ["validation", metrics.validation];
  if (!found) return ["", "", ""];
  const interval = `${percent(found.accuracy_low)} to ${percent(found.accuracy_high)}, ${count(found.photos)} ${split}`;
  const right = [el("strong", {}, percent(found.accuracy)), " ", el("span", { class: "small under" }, interval)];
  return [el("span", {}, right), loss(found.log_loss), percent(found.calibration_error)];
}

function buttons(version) {
  const of = { "aria-label": `Look at version ${version.version}` };
  const look = button("Look", (event) => busy(event.currentTarget, () => opened(version.version)), of);
  const promote = button("Promote", (event) => change(event.currentTarget, `models/${version.version}/promote`), {
    "aria-label": `Promote version ${version.version}`,
  });
  return el("span", { class: "buttons" }, look, version.champion ? null : promote);
}

async function change(pressed, path) {
  await busy(pressed, async () => {
    try {
      const model = await post(path);
      report(el("span", {}, `Version ${model.version} serves now.`));
      show(model); // which updates the list too
      byId("models-heading").focus();
    } catch (error) {
      report(fault(error));
    }
  });
}

function report(found) {
  byId("models-report").hidden = false;
  byId("models-report").replaceChildren(found);
  say(found.textContent);
}
