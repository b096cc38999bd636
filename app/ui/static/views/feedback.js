// Labels that a person gives to predicted pictures, for training.

import { postJSON, remove } from "../parts/api.js";
import { classes } from "../parts/champion.js";
import { busy, button, el, fault, say } from "../parts/dom.js";

const NOTHING = "neither"; // label of a picture of no class

// Stores the picture for training; returns the text to show. A later label replaces an earlier one.
export async function teach(said, label) {
  const stored = await postJSON("feedback", { prediction_id: said.prediction_id, label });
  said.stored = stored.sha256;
  return `Kept as ${stored.label}, for the next training on the data set “feedback”.`;
}

// The service learns only its classes: a picture of none isn't added to the data set, or is removed from it.
export async function keepOut(said) {
  if (!said.stored) return "It learns only its classes, so this picture isn’t kept for training.";
  await remove(`datasets/feedback/images/${said.stored}`);
  said.stored = null;
  return "It learns only its classes, so this picture was removed again.";
}

// Buttons, one for each class of the version in service and one for none of them.
export function choice(said) {
  const labels = classes().length ? classes() : Object.keys(said.probabilities); // those of the answer, if the version in service isn't known yet
  const told = el("p", { class: "small told" });
  const pressed = (label, work) => async (event) => {
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
    ...labels.map((label) => button(label, pressed(label, () => teach(said, label)), UNPRESSED)),
    button(NOTHING, pressed(NOTHING, () => keepOut(said)), UNPRESSED),
  ];
  const group = el("div", { class: "choice", role: "group", "aria-label": "What it really is" });
  group.append(el("span", { "aria-hidden": "true" }, "This was"), ...buttons);
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
