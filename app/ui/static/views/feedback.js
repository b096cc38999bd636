// Labels that a person gives to predicted pictures, for training.

import { postJSON, remove } from "../parts/api.js";
import { classes } from "../parts/champion.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { t } from "../parts/texts.js";

// Stores the picture for training; returns the text to show. A later label replaces an earlier one.
export async function teach(said, label) {
  const stored = await postJSON("feedback", { prediction_id: said.prediction_id, label });
  said.stored = stored.sha256;
  return t("feedback.kept", { label: stored.label, dataset: "feedback" });
}

// The service learns only its classes: a picture of none isn't added to the data set, or is removed from it.
export async function keepOut(said) {
  if (!said.stored) return t("feedback.not_kept");
  await remove(`datasets/feedback/images/${said.stored}`);
  said.stored = null;
  return t("feedback.removed");
}

// Buttons, one for each class of the version in service and one for none of them.
export function choice(said) {
  const labels = classes().length ? classes() : Object.keys(said.probabilities); // those of the answer, if the version in service isn't known yet
  const told = el("p", { class: "small told" });
  const pressed = (work) => async (event) => {
    const chosen = event.currentTarget;
    await busy(chosen, async () => {
      try {
        tell(told, await work());
        mark(chosen);
      } catch (error) {
        told.replaceChildren(fault(error));
        say(error.message);
      }
    });
  };
  const buttons = [
    ...labels.map((label) => button(label, pressed(() => teach(said, label)), UNPRESSED)),
    button(t("feedback.neither"), pressed(() => keepOut(said)), UNPRESSED),
  ];
  const group = el("div", { class: "choice", role: "group", "aria-label": t("feedback.really") });
  group.append(el("span", { "aria-hidden": "true" }, t("feedback.this_was")), ...buttons);
  return el("div", {}, group, told);
}

const UNPRESSED = { "aria-pressed": "false" };

function mark(chosen) {
  for (const other of chosen.parentElement.querySelectorAll("button")) {
    other.setAttribute("aria-pressed", String(other === chosen));
  }
}

function tell(place, text) {
  place.textContent = text;
  say(text);
}
