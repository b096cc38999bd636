// Labels that a person gives to predicted pictures, for training.

import { postJSON } from "../parts/api.js";
import { classes } from "../parts/champion.js";
import { NEITHER, corrections } from "../parts/corrections.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { t } from "../parts/texts.js";

// The labels that a picture can get, each with its text: the classes of the version in service, or those of the answer if
// it isn't known yet; and none of them.
export function labels(said) {
  const names = classes().length ? classes() : Object.keys(said.probabilities);
  return [...names.map((label) => ({ label, text: label })), { label: NEITHER, text: t("feedback.neither") }];
}

// Stores the picture in the data set of corrections; returns the text that says what will happen with it.
export async function correct(said, label) {
  const dataset = await corrections();
  const stored = await postJSON("feedback", { prediction_id: said.prediction_id, label, dataset });
  said.given = { label: stored.label, dataset };
  return what(said.given);
}

function what({ label, dataset }) {
  return label === NEITHER ? t("feedback.kept_neither", { dataset }) : t("feedback.kept", { label, dataset });
}

// Buttons, one for each label; `changed` is called after one of them was given.
export function choice(said, changed = () => {}) {
  const told = el("p", { class: "small told" }, said.given ? what(said.given) : "");
  const press = (event, label) =>
    busy(event.currentTarget, async () => {
      try {
        told.textContent = await correct(said, label);
        mark(group, said.given.label);
        say(told.textContent);
        changed();
      } catch (error) {
        told.replaceChildren(fault(error));
        say(error.message);
      }
    });
  const buttons = labels(said).map(({ label, text }) => button(text, (event) => press(event, label), { value: label }));
  const group = el("div", { class: "choice", role: "group", "aria-label": t("feedback.really") });
  group.append(el("span", { "aria-hidden": "true" }, t("feedback.this_was")), ...buttons);
  mark(group, said.given?.label);
  return el("div", {}, group, told);
}

function mark(group, given) {
  for (const one of group.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.value === given));
}
