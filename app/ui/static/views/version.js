// One version: compared with the champion, with its decision and the figures of its report.

import { get, picture } from "../parts/api.js";
import { busy, button, byId, el, fault, table } from "../parts/dom.js";
import { key } from "../parts/key.js";
import { rules, why } from "./decision.js";
import { count, duration, loss, percent } from "../parts/numbers.js";

const FIGURES = {
  "confusion-matrix.png": "Confusion matrix",
  "reliability.png": "Reliability diagram",
  "worst-mistakes.png": "Worst mistakes",
  "loss.png": "Loss by epoch",
  "accuracy.png": "Accuracy by epoch",
};
const SPLITS = ["train", "validation", "test"];
const METRICS = { accuracy: percent, log_loss: loss, calibration_error: percent };
const NAMES = { accuracy: "accuracy", log_loss: "log-loss", calibration_error: "calibration error" };

export async function opened(number) {
  const place = byId("version");
  try {
    const [version, report] = await Promise.all([get(`models/${number}`), get(`models/${number}/report`)]);
    const heading = el("h2", { tabindex: "-1" }, `Version ${number}`);
    place.replaceChildren(heading, ...described(version), figures(number, report.files));
    heading.focus();
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

function described(version) {
  const { training } = version;
  const made = `Trained in ${duration(training.seconds)} on ${training.hardware}: ${photos(training.photos)}.`;
  return [
    el("p", {}, made),
    training.notes ? el("p", {}, "Notes: ", training.notes) : null,
    ...(version.decision ? decided(version) : []),
    table("Metrics", ["Measured", ...compared(version)], metricRows(version)),
    el("div", { class: "figures" }, Object.entries(version.metrics).map(([split, metrics]) => byClass(split, metrics))),
  ].filter(Boolean);
}

function photos(splits) {
  const all = (classes) => count(Object.values(classes).reduce((sum, some) => sum + some, 0));
  const known = SPLITS.filter((split) => splits[split]);
  return known.map((split) => `${all(splits[split])} ${split}`).join(", ");
}

function compared(version) {
  const champion = version.comparison ? [`Champion (${version.comparison.champion})`] : [];
  return [`Version ${version.version}`, ...champion];
}

// Both on the same split; `data` identifies its photos, because only metrics on the same photos are comparable.
function metricRows(version) {
  const pairs = version.comparison?.metrics ?? {};
  const splits = Object.keys(version.comparison ? pairs : version.metrics);
  return splits.flatMap((split) => {
    const both = version.comparison ? [pairs[split].version, pairs[split].champion] : [version.metrics[split]];
    const said = both.map((one) => (one ? `${count(one.photos)}: ${one.data}` : "not measured"));
    const numbers = Object.entries(METRICS).map(([name, shown]) => [
      `${split}: ${NAMES[name]}`,
      ...both.map((one) => (one ? shown(one[name]) : "–")),
    ]);
    return [[`${split}: photos`, ...said], ...numbers];
  });
}

function byClass(split, metrics) {
  const rows = Object.keys(metrics.recall).map((name) => [
    name,
    percent(metrics.recall[name]),
    percent(metrics.precision[name]),
  ]);
  const columns = ["Class", "Recall: of its photos found", "Precision: right when predicted"];
  return table(`By class, on ${split} photos`, columns, rows);
}

function decided(version) {
  const good = version.decision.promote ? "good" : "";
  return [el("p", { class: `notice ${good}` }, why(version)), rules(version)];
}

function figures(number, files) {
  const place = ({ name }) => Object.keys(FIGURES).indexOf(name);
  const known = files.filter(({ name }) => FIGURES[name]).sort((one, other) => place(one) - place(other));
  return el("div", { class: "figures" }, known.map((file) => figure(number, file)));
}

// A figure that shows photos needs the admin key, which is requested only when the user wants to see it.
function figure(number, { name, needs_admin_key: needsKey }) {
  const image = el("img", { alt: `${FIGURES[name]} of version ${number}` });
  const load = () => loaded(image, `models/${number}/report/${name}`);
  const waits = needsKey && key() === null;
  const show = button(`Show the ${FIGURES[name].toLowerCase()}`, () => busy(show, async () => show.replaceWith(await load())));
  if (!waits) load();
  return el("figure", {}, waits ? show : image, el("figcaption", {}, FIGURES[name]));
}

// The image once its picture is loaded, or an error message in its place.
async function loaded(image, path) {
  try {
    const address = await picture(path);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
    return image;
  } catch (error) {
    const wrong = fault(error);
    image.replaceWith(wrong);
    return wrong;
  }
}
