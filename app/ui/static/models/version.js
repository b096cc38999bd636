// One version: compared with the champion, with its decision and the figures of its report.

import { get, picture, send } from "../parts/api.js";
import { confusion, history, reliability } from "./charts.js";
import { busy, button, byId, el, fault, table } from "../parts/dom.js";
import { key } from "../parts/key.js";
import { rules, why } from "./decision.js";
import { numbers, told } from "./shadow.js";
import { count, duration, loss, percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

const FIGURES = ["confusion-matrix.png", "reliability.png", "worst-mistakes.png", "loss.png", "accuracy.png"];
// Files with numbers, and the figures that are drawn from them instead of shown.
const DRAWN = {
  "charts.json": { replaces: ["confusion-matrix.png", "reliability.png"], draw: drawCharts },
  "history.csv": { replaces: ["loss.png", "accuracy.png"], draw: async (answer) => [history(await answer.text())] },
};
const SPLITS = ["train", "validation", "test"];
const METRICS = { accuracy: percent, log_loss: loss, calibration_error: percent };

export async function opened(number) {
  const place = byId("version");
  try {
    const [version, report] = await Promise.all([get(`models/${number}`), get(`models/${number}/report`)]);
    const heading = el("h2", { tabindex: "-1" }, t("page.version", { version: number }));
    const drawn = report.files.filter(({ name }) => DRAWN[name]);
    const left = report.files.filter(({ name }) => !drawn.some((file) => DRAWN[file.name].replaces.includes(name)));
    const charts = await Promise.all(
      drawn.map(async ({ name }) => DRAWN[name].draw(await send(`models/${number}/report/${name}`))),
    );
    place.replaceChildren(heading, ...described(version), ...charts.flat(), figures(number, left));
    heading.focus();
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

async function drawCharts(answer) {
  const numbers = await answer.json();
  return [el("div", { class: "curves" }, confusion(numbers), reliability(numbers))];
}

function described(version) {
  const { training } = version;
  const values = { duration: duration(training.seconds), hardware: training.hardware, photos: photos(training.photos) };
  return [
    el("p", {}, t("version.made", values)),
    training.notes ? el("p", {}, t("version.notes", { notes: training.notes })) : null,
    version.unknown?.neither ? el("p", {}, ofNeither(version.unknown.neither)) : null,
    ...(version.decision ? decided(version) : []),
    ...tried(version),
    table(t("version.metrics"), [t("version.measured"), ...compared(version)], metricRows(version)),
    el("div", { class: "figures" }, Object.entries(version.metrics).map(([split, metrics]) => byClass(split, metrics))),
  ].filter(Boolean);
}

const ofNeither = ({ photos: n, told, kept }) => t("version.neither", { n, told: percent(told), known: percent(1 - kept) });

function photos(splits) {
  const all = (classes) => count(Object.values(classes).reduce((sum, some) => sum + some, 0));
  const known = SPLITS.filter((split) => splits[split]);
  return known.map((split) => `${all(splits[split])} ${t(`splits.${split}`)}`).join(", ");
}

function compared(version) {
  const champion = version.comparison ? [t("version.champion", { version: version.comparison.champion })] : [];
  return [t("page.version", { version: version.version }), ...champion];
}

// Both on the same split; `data` identifies its photos, because only metrics on the same photos are comparable.
function metricRows(version) {
  const pairs = version.comparison?.metrics ?? {};
  const splits = Object.keys(version.comparison ? pairs : version.metrics);
  return splits.flatMap((split) => {
    const both = version.comparison ? [pairs[split].version, pairs[split].champion] : [version.metrics[split]];
    const said = both.map((one) => (one ? `${count(one.photos)}: ${one.data}` : t("version.not_measured")));
    const numbers = Object.entries(METRICS).map(([name, shown]) => [
      `${t(`splits.${split}`)}: ${t(`rules.${name}`)}`,
      ...both.map((one) => (one ? shown(one[name]) : "–")),
    ]);
    return [[`${t(`splits.${split}`)}: ${t("version.photos")}`, ...said], ...numbers];
  });
}

function byClass(split, metrics) {
  const rows = Object.keys(metrics.recall).map((name) => [
    name,
    percent(metrics.recall[name]),
    percent(metrics.precision[name]),
  ]);
  const columns = [t("teach.class"), t("version.recall"), t("version.precision")];
  return table(t(`version.by_class_${split}`), columns, rows);
}

function decided(version) {
  const good = version.decision.promote ? "good" : "";
  return [el("p", { class: `notice ${good}` }, why(version)), rules(version)];
}

// What its trial next to the champion of that time showed.
function tried({ version, trial }) {
  const found = trial?.decision?.rules.length ? numbers(version, trial.decision) : null;
  return trial ? [el("p", { class: `notice ${trial.promoted ? "good" : ""}` }, told(trial)), found] : [];
}

function figures(number, files) {
  const place = ({ name }) => FIGURES.indexOf(name);
  const known = files.filter(({ name }) => FIGURES.includes(name)).sort((one, other) => place(one) - place(other));
  return el("div", { class: "figures" }, known.map((file) => figure(number, file)));
}

const named = (file) => t(`figures.${file.replace(/\.png$/, "")}`);

// A figure that shows photos needs the admin key, which is requested only when the user wants to see it.
function figure(number, { name, needs_admin_key: needsKey }) {
  const image = el("img", { alt: t("version.figure_of", { figure: named(name), version: number }) });
  const load = () => loaded(image, `models/${number}/report/${name}`);
  const waits = needsKey && key() === null;
  const show = button(t("version.show", { figure: named(name) }), () => busy(show, async () => show.replaceWith(await load())));
  if (!waits) load();
  return el("figure", {}, waits ? show : image, el("figcaption", {}, named(name)));
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
