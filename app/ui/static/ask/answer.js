// One answer in words, bars and a map; or what is wrong with the file.

import { champion, classes } from "../parts/champion.js";
import { el, fault } from "../parts/dom.js";
import { percent } from "../parts/numbers.js";
import { known, t } from "../parts/texts.js";
import { trying } from "../parts/trying.js";
import { choice } from "./feedback.js";

const HEIC = /\.hei[cf]$/i;

// Everything about one answered photo; `usual` is the answer of the version in service, if another one was asked.
// `changed` is called after its user has corrected it.
export function described({ name, said, milliseconds, usual, shown }, changed) {
  const isOfItsClasses = String(Object.keys(said.probabilities)) === String(classes());
  const about = t("answer.about", { name, version: said.model_version, milliseconds: Math.round(milliseconds) });
  const other = usual && t("answer.usual", { version: usual.model_version, answer: verdict(usual) });
  return [
    el("h2", { class: "verdict" }, capital(said.unknown ? t("answer.neither") : said.label)),
    el("p", { class: "small name" }, about),
    said.unknown ? howFar(said) : null,
    el("ul", { class: said.unknown ? "bars dimmed" : "bars" }, bars(said)),
    usual ? el("p", {}, other) : null,
    shown.toggle(said),
    isOfItsClasses || !usual ? choice(said, changed) : null,
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
  const text = [
    t("answer.familiar", { share: percent(said.familiarity) }),
    least === null ? null : t("answer.known_from", { share: percent(least) }),
    t("answer.mean_little"),
  ];
  return el("div", {}, track, el("p", { class: "small" }, text.filter(Boolean).join(" ")));
}

// In words, for screen readers.
export function verdict(said) {
  const found = `${said.label}, ${percent(said.probability)}`;
  return said.unknown ? t("answer.neither_likely", { found }) : found;
}

// What is wrong with a file, for its sender.
export function wrong(error, name) {
  const kind = error.type?.split(":").at(-1);
  if (kind === "unsupported-image" && HEIC.test(name)) return t("wrong.heic");
  return known(`wrong.${kind}`) ?? error.message;
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
