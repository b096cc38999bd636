// A picture with the class activation map over it: where the network looked.

import { el } from "../parts/dom.js";
import { t } from "../parts/texts.js";

const STRENGTH = 0.65; // opacity of the strongest evidence, 0-1
const LEAST = 0.2; // of the strongest evidence: weaker places say nothing, and nothing is drawn there
const [FOR, AGAINST] = [[255, 80, 0], [0, 90, 255]]; // RGB of evidence for the class, and against it

// A figure of the picture at an address, a thumbnail of it, and a button for the map of its answer; null if the answer
// has none. A picture in memory is kept until `close`.
export function framed(address, name) {
  const shown = (alt) => {
    const image = el("img", { alt, src: address, decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(el("p", { class: "small" }, t("answer.no_preview"))));
    return image;
  };
  const figure = el("figure", { class: "picture" }, shown(name));
  return {
    figure,
    thumbnail: () => shown(""),
    toggle: (said) => (said.explanation ? toggle(figure, said) : null),
    close: () => URL.revokeObjectURL(address),
  };
}

// Off at first.
function toggle(figure, said) {
  const { label, explanation } = said;
  const against = explanation.against ?? null;
  const heat = drawn(explanation.contrast ?? explanation.activation_map);
  const legend = against === null ? t("answer.evidence", { label }) : t("answer.contrast", { label, against });
  const colours = el("span", { class: "small", hidden: true }, legend);
  const pressed = (event) => {
    const isOn = !figure.contains(heat);
    if (isOn) figure.append(heat);
    else heat.remove();
    colours.hidden = !isOn;
    event.currentTarget.setAttribute("aria-pressed", String(isOn));
  };
  figure.querySelector(".heat")?.remove(); // of details that were closed
  const show = el("button", { type: "button", "aria-pressed": "false", onclick: pressed }, t("answer.looked"));
  return el("div", { class: "looked" }, show, colours);
}

// Rows of numbers as a canvas: the further from 0, the less transparent. The style sheet stretches it over the picture.
function drawn(map) {
  const values = map.flat();
  const most = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  const canvas = el("canvas", { class: "heat", width: map[0].length, height: map.length, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, place) => {
    const share = Math.max(0, (Math.abs(value) / most - LEAST) / (1 - LEAST));
    image.data.set([...(value > 0 ? FOR : AGAINST), 255 * STRENGTH * share], 4 * place);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
