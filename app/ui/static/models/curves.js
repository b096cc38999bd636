// Loss and accuracy by epoch, drawn as they arrive.

import { el, svg, table } from "../parts/dom.js";
import { loss, percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

const [WIDTH, HEIGHT] = [360, 200];
const [LEFT, RIGHT, TOP, BOTTOM] = [44, 12, 10, 26]; // around the plot
const CHARTS = [
  { train: "log_loss", validation: "val_log_loss", shown: loss, limit: Infinity },
  { train: "accuracy", validation: "val_accuracy", shown: percent, limit: 1 },
];
const SERIES = ["train", "validation"];

export class Curves {
  element = el("div", { class: "curves", hidden: true });
  #rows = [];

  // Adds the row of an epoch, with the number of epochs. An epoch that is run again replaces its row and later ones.
  add(row) {
    this.#rows = [...this.#rows.filter((one) => one.epoch < row.epoch), row];
    this.element.hidden = false;
    this.element.replaceChildren(...CHARTS.map((chart) => this.#draw(chart, row.epochs)), this.#numbers());
  }

  #numbers() {
    const shown = (row) => CHARTS.flatMap((chart) => SERIES.map((kind) => chart.shown(row[chart[kind]])));
    const columns = CHARTS.flatMap((chart) => SERIES.map((kind) => `${named(chart)}, ${t(`splits.${kind}`)}`));
    const rows = this.#rows.map((row) => [String(row.epoch), ...shown(row)]);
    return el("details", {}, el("summary", {}, t("curves.numbers")), table(t("curves.epochs"), [t("curves.epoch"), ...columns], rows));
  }

  #draw(chart, epochs) {
    const values = this.#rows.flatMap((row) => SERIES.map((kind) => row[chart[kind]]));
    const [least, most] = widened(Math.min(...values), Math.max(...values), chart.limit);
    const x = (epoch) => LEFT + ((WIDTH - LEFT - RIGHT) * (epoch - 1)) / Math.max(1, epochs - 1);
    const y = (value) => TOP + ((HEIGHT - TOP - BOTTOM) * (most - value)) / (most - least);
    const size = { viewBox: `0 0 ${WIDTH} ${HEIGHT}` };
    const drawn = svg("svg", { ...size, role: "img", "aria-label": this.#said(chart, epochs) });
    drawn.append(...axis(least, most, y, chart.shown), ...ends(epochs, x));
    for (const kind of SERIES) {
      const points = this.#rows.map((row) => [x(row.epoch), y(row[chart[kind]])]);
      drawn.append(...curve(kind, points));
    }
    return el("figure", {}, el("figcaption", {}, named(chart), ...SERIES.map(key)), drawn);
  }

  #said(chart, epochs) {
    const last = this.#rows.at(-1);
    const numbers = SERIES.map((kind) => `${t(`splits.${kind}`)} ${chart.shown(last[chart[kind]])}`).join(", ");
    return t("curves.said", { name: named(chart), epoch: last.epoch, n: epochs, numbers });
  }
}

const named = (chart) => t(`curves.${chart.train}`);

// The range of the values with a margin, never empty.
function widened(least, most, limit) {
  const margin = Math.max((most - least) / 10, 0.005);
  return [Math.max(0, least - margin), Math.min(limit, most + margin)];
}

function axis(least, most, y, shown) {
  return [least, (least + most) / 2, most].flatMap((value) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, shown(value)),
  ]);
}

function ends(epochs, x) {
  const numbers = [...new Set([1, epochs])];
  return numbers.map((epoch) => {
    const text = epoch === 1 ? t("curves.first") : String(epoch);
    return svg("text", { x: x(epoch), y: HEIGHT - 6, "text-anchor": epoch === 1 ? "start" : "end" }, text);
  });
}

function curve(kind, points) {
  const line = svg("polyline", { class: `curve ${kind}`, points: points.map((point) => point.join(",")).join(" ") });
  const [[cx, cy]] = points.slice(-1);
  return [line, svg("circle", { class: `dot ${kind}`, cx, cy, r: 3 })];
}

function key(kind) {
  return el("span", { class: `key ${kind}` }, t(`splits.${kind}`));
}
