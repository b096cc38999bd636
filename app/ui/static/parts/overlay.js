// A picture with the class activation map over it: where the network looked.

import { el } from "./dom.js";

const START = 0.6; // opacity, 0-1
const [FOR, AGAINST] = [[255, 80, 0], [0, 90, 255]]; // RGB of evidence for the class, and against it

// A figure of the file, and a slider for the map of its answer; null if the answer has none.
export function framed(file, name) {
  const address = URL.createObjectURL(file);
  const image = el("img", { alt: name || "the picture", src: address });
  const figure = el("figure", { class: "picture" }, image);
  image.addEventListener("load", () => URL.revokeObjectURL(address));
  image.addEventListener("error", () => {
    URL.revokeObjectURL(address);
    image.replaceWith(el("p", { class: "small" }, "This browser can’t show the picture."));
  });
  return { figure, slider: (said) => (said.explanation ? slider(figure, said) : null) };
}

function slider(figure, { label, explanation }) {
  const heat = drawn(explanation.activation_map);
  const range = el("input", { type: "range", min: "0", max: "100", value: String(100 * START) });
  const show = () => {
    heat.style.opacity = String(range.value / 100);
  };
  range.addEventListener("input", show);
  show();
  figure.append(heat);
  const colours = el("span", { class: "small" }, `Orange is for ${label}, blue against it.`);
  return el("div", { class: "slider" }, el("label", {}, "Where it looked", range), colours);
}

// Rows of numbers as a canvas: the further from 0, the less transparent. The style sheet stretches it over the picture.
function drawn(map) {
  const values = map.flat();
  const most = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  const canvas = el("canvas", { class: "heat", width: map[0].length, height: map.length, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, place) => {
    image.data.set([...(value > 0 ? FOR : AGAINST), (255 * Math.abs(value)) / most], 4 * place);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
