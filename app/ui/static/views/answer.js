// One answer in words, bars and a map; or what is wrong with the file.

import { champion, classes } from "../parts/champion.js";
import { el, fault } from "../parts/dom.js";
import { percent } from "../parts/numbers.js";
import { trying } from "../parts/trying.js";
import { choice } from "./feedback.js";

const NEITHER = "not like any class I know";
const READABLE = "The service reads JPEG, PNG, WebP, GIF, BMP and AVIF pictures.";
const FAULTS = {
  "unsupported-image": `This file isn’t a picture that can be read. ${READABLE}`,
  "broken-image": "This picture is damaged or incomplete. Save it again from the program that shows it, or send another.",
  "too-many-pixels": "This picture has too many pixels. Save it in a smaller size: up to 25 megapixels are fine.",
  "no-file": "This file is empty.",
};
const HEIC = /\.hei[cf]$/i;

// Everything about one answered photo; `usual` is the answer of the version in service, if another one was asked.
export function described({ name, said, milliseconds, usual, shown }) {
  const isOfItsClasses = String(Object.keys(said.probabilities)) === String(classes());
  return [
    el("h2", { class: "verdict" }, capital(said.unknown ? NEITHER : said.label)),
    el("p", { class: "small name" }, `${name} · version ${said.model_version} · ${Math.round(milliseconds)} ms`),
    said.unknown ? howFar(said) : null,
    el("ul", { class: said.unknown ? "bars dimmed" : "bars" }, bars(said)),
    usual ? el("p", {}, `Version ${usual.model_version}, which is in service: ${verdict(usual)}`) : null,
    shown.toggle(said),
    isOfItsClasses || !usual ? choice(said) : null,
  ].filter(Boolean);
}

// How familiar an unknown photo is, on a scale with the threshold; 1 is a usual photo of the classes.
function howFar(said) {
  const asked = [champion(), trying()].find((model) => model?.version === said.model_version);
  const least = asked?.unknown?.threshold ?? null; // null if another version has taken its place
  const filled = el("span", { class: "filled" });
  filled.style.inlineSize = `${100 * Math.min(1, said.familiarity)}%`;
  const track = el("span", { class: "track far", "aria-hidden": "true" }, filled);
  if (least !== null) {
    const mark = el("span", { class: "mark" });
    mark.style.insetInlineStart = `${100 * Math.min(1, least)}%`;
    track.append(mark);
  }
  const from = least === null ? "" : ` It would be known from ${percent(least)} on.`;
  const text = `It is ${percent(said.familiarity)} as familiar as a usual photo.${from} So these probabilities mean little:`;
  return el("div", {}, track, el("p", { class: "small" }, text));
}

// In words, for screen readers.
export function verdict(said) {
  const found = `${said.label}, ${percent(said.probability)}`;
  return said.unknown ? `${NEITHER}; the most likely class is ${found}` : found;
}

// What is wrong with a file, for its sender.
export function wrong(error, name) {
  const kind = error.type?.split(":").at(-1);
  if (kind === "unsupported-image" && HEIC.test(name)) {
    return "This service can’t read HEIC, the format of iPhone photos. Share the photo as JPEG, or take a screenshot of it.";
  }
  return FAULTS[kind] ?? error.message;
}

export function broken(name, problem) {
  return [el("p", { class: "small name" }, name), fault({ message: problem })];
}

// The probability of every class, in the model's order.
export function bars(said) {
  return Object.entries(said.probabilities).map(([label, probability]) => {
    const filled = el("span", { class: "filled" });
    filled.style.inlineSize = `${100 * probability}%`;
    return el(
      "li",
      { class: label === said.label && !said.unknown ? "most" : null },
      el("span", { class: "label" }, label),
      el("span", { class: "track", "aria-hidden": "true" }, filled),
      el("span", { class: "number" }, percent(probability)),
    );
  });
}

export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
