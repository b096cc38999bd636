// The charts of a version's report, drawn from its numbers, so that they fit the theme.

import { Curves } from "./curves.js";
import { el, svg, table } from "../parts/dom.js";
import { count, percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [360, 240, 44, 20, 26, 14]; // of the charts, in their own units
const LOW = 150; // height of the chart of accuracy against speed
const SHADES = 0.55; // opacity of a cell that holds a whole row

// Photos by true class (rows) and predicted class (columns): {classes, confusion}.
export function confusion({ classes, confusion: counts }) {
  const rows = counts.map((row, place) => {
    const all = Math.max(1, row.reduce((sum, some) => sum + some, 0));
    return [classes[place], ...row.map((number) => shaded(number, number / all))];
  });
  return table(t("figures.confusion-matrix"), [t("charts.true"), ...classes.map((name) => t("charts.said", { name }))], rows);
}

function shaded(number, share) {
  const cell = el("span", { class: "shaded" }, count(number));
  cell.style.setProperty("--share", `${100 * SHADES * share}%`);
  return cell;
}

// How often answers of a probability are right: {reliability: [{photos, probability, right}]}.
export function reliability({ reliability: bins }) {
  const x = (share) => LEFT + (WIDTH - LEFT - RIGHT) * share;
  const y = (share) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
  const most = Math.max(...bins.map(({ photos }) => photos));
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said(bins) });
  for (const share of [0, 0.5, 1]) {
    drawn.append(
      svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
      svg("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0)),
      svg("text", { x: x(share), y: HEIGHT - 6, "text-anchor": "middle" }, percent(share, 0)),
    );
  }
  drawn.append(svg("line", { class: "curve train", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  for (const { photos, probability, right } of bins) {
    const r = 3 + 7 * Math.sqrt(photos / most);
    drawn.append(svg("circle", { class: "dot", cx: x(probability), cy: y(right), r }));
  }
  return el("figure", {}, el("figcaption", {}, t("figures.reliability")), drawn, el("p", { class: "small" }, t("charts.reliability")));
}

// Accuracy against speed, for versions that have both: {version, champion, speed, found: {accuracy, accuracy_low, ...}}.
// Speeds are on a logarithmic scale, because a network of half the width is about four times as fast.
export function tradeoff(versions) {
  const speeds = versions.map(({ speed }) => Math.log(speed.photos_per_second));
  const [slowest, fastest] = [Math.min(...speeds), Math.max(...speeds)];
  const least = Math.min(...versions.map(({ found }) => found.accuracy_low));
  const x = (speed) => LEFT + 12 + (WIDTH - LEFT - 60) * (fastest > slowest ? (Math.log(speed) - slowest) / (fastest - slowest) : 0.5);
  const y = (share) => TOP + (LOW - TOP - BOTTOM) * ((1 - share) / Math.max(1e-6, 1 - least));
  const parts = versions.map((one) => t("charts.fast", { version: one.version, n: count(Math.round(one.speed.photos_per_second)), accuracy: percent(one.found.accuracy) }));
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${LOW}`, role: "img", "aria-label": `${t("charts.tradeoff")}: ${parts.join("; ")}` });
  for (const share of [least, (1 + least) / 2, 1]) {
    drawn.append(
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(share), y2: y(share) }),
      svg("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share)),
    );
  }
  for (const { version, champion, speed, found } of versions) {
    const at = x(speed.photos_per_second);
    drawn.append(
      svg("line", { class: "curve", x1: at, x2: at, y1: y(found.accuracy_low), y2: y(found.accuracy_high) }),
      svg("circle", { class: champion ? "dot" : "dot train", cx: at, cy: y(found.accuracy), r: 6 }),
      svg("text", { x: at + 10, y: y(found.accuracy) + 4 }, String(version)),
      svg("text", { x: at, y: LOW - 8, "text-anchor": "middle" }, count(Math.round(speed.photos_per_second))),
    );
  }
  return el("figure", {}, el("figcaption", {}, t("charts.tradeoff")), drawn, el("p", { class: "small" }, t("charts.tradeoff_help")));
}

function said(bins) {
  const parts = bins.map(({ photos, probability, right }) => t("charts.bin", { n: photos, probability: percent(probability), right: percent(right) }));
  return `${t("figures.reliability")}: ${parts.join("; ")}`;
}

// The curves of history.csv.
export function history(csv) {
  const [head, ...lines] = csv.trim().split(/\r?\n/).map((line) => line.split(","));
  const curves = new Curves();
  for (const line of lines) {
    const row = Object.fromEntries(head.map((name, place) => [name, Number(line[place])]));
    curves.add({ ...row, epochs: lines.length });
  }
  return curves.element;
}
