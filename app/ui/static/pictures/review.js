// Review: the pictures most worth a label, one at a time with one key each, or many at once.

import { get, picture } from "../parts/api.js";
import { bars } from "../ask/answer.js";
import { NEITHER, offerChoice } from "../parts/corrections.js";
import { busy, button, byId, el, fault, keyed, say } from "../parts/dom.js";
import { correct, labels } from "../ask/feedback.js";
import { moment, percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";
import { together } from "./together.js";

const MOST = 50; // pictures requested at a time

let items = [];
let place = 0;

export function setUp() {
  byId("reviewed").addEventListener("keydown", onKey);
  for (const choice of ["review-order", "review-way"]) byId(choice).addEventListener("change", open);
}

export async function open() {
  try {
    const found = await get(`review?limit=${MOST}&order=${byId("review-order").value}`);
    items = found.items;
    await offerChoice(byId("review-corrections"));
    place = 0;
    tell(found.drifted);
    await show();
  } catch (error) {
    const again = button(t("review.again"), (event) => busy(event.currentTarget, open));
    byId("reviewed").replaceChildren(fault(error), el("p", { class: "buttons" }, again));
  }
}

// Why a picture is shown.
function why({ reason, other, prediction: { familiarity, label, probability, probabilities } }) {
  if (reason === "unknown") return t("review.unknown", { share: percent(familiarity) });
  if (reason === "disagreement") {
    const key = other.unknown ? "review.disagreement_unknown" : "review.disagreement";
    return t(key, { label, share: percent(probability), other: other.label, others: percent(other.probability) });
  }
  const [[first, most], [second, next]] = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
  return t(`review.${reason}`, { first, most: percent(most), second, next: percent(next) });
}

// Shows or hides the warning about drift.
function tell(drifted) {
  byId("drifted").hidden = !drifted.length;
}

// The keys work only inside the picture's box: elsewhere the browser and screen readers use them.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !byId("reviewed").querySelector(".card")) return;
  const chosen = byId("reviewed").querySelector(`[aria-keyshortcuts="${CSS.escape(event.key)}"]`);
  if (!chosen) return;
  event.preventDefault();
  chosen.click();
}

async function show() {
  if (place >= items.length) return byId("reviewed").replaceChildren(finished());
  if (byId("review-way").value === "together") return byId("reviewed").replaceChildren(together(items), more());
  const item = items[place];
  const image = el("img", { alt: t("review.picture", { version: item.prediction.model_version }) });
  const card = el(
    "div",
    { class: "card", role: "group", tabindex: "-1", "aria-label": described(item.prediction) },
    el("figure", { class: "picture" }, image),
    el("div", { class: "said" }, ...body(item)),
  );
  byId("reviewed").replaceChildren(card);
  card.focus({ preventScroll: true });
  await load(image, item);
  return undefined;
}

const counted = () => t("review.counted", { place: place + 1, all: items.length });

function described(said) {
  return `${counted()}: ${said.label}, ${percent(said.probability)}`;
}

function body(item) {
  const said = item.prediction;
  const keys = [
    ...labels(said).map(({ label, text }, place) => choosing(shortcut(label, place), text, () => correct(said, label))),
    place > 0 ? choosing("b", t("review.back"), null) : null,
  ];
  return [
    el("p", { class: "small" }, `${counted()} · ${moment(item.predicted_at)}`),
    el("p", {}, why(item)),
    el("ul", { class: "bars" }, bars(said)),
    el("div", { class: "choice", role: "group", "aria-label": t("feedback.really") }, keys),
    el("p", { class: "told" }),
  ];
}

const shortcut = (label, place) => (label === NEITHER ? "0" : String(place + 1));

// A button with a keyboard shortcut; without `work` it goes back.
function choosing(key, text, work) {
  return keyed(key, text, (event) => busy(event.currentTarget, () => (work ? label(work) : step(-1))));
}

async function label(work) {
  try {
    const told = await work();
    await step(1);
    say(`${told} ${t("review.left", { n: items.length - place })}`);
  } catch (error) {
    byId("reviewed").querySelector(".told").replaceChildren(fault(error));
    say(error.message);
  }
}

async function step(by) {
  place += by;
  await show();
}

function finished() {
  const text = t(items.length ? "review.last" : "review.none");
  const back = items.length ? choosing("b", t("review.back"), null) : null;
  const buttons = more(back);
  const box = { class: "card", role: "group", "aria-label": text, tabindex: "-1" };
  const card = el("div", box, el("p", {}, text), buttons);
  queueMicrotask(() => card.focus({ preventScroll: true }));
  return card;
}

// A button that asks for further pictures, and others after it.
function more(...others) {
  const again = button(t("review.more"), (event) => busy(event.currentTarget, open));
  return el("p", { class: "buttons" }, again, ...others);
}

async function load(image, item) {
  try {
    const address = await picture(item.picture.replace(/^\//, ""));
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
  } catch (error) {
    image.replaceWith(fault(error));
  }
}
