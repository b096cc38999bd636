// What a picture really shows, said by a person, and so something to learn from.

import { postJSON, remove } from "../parts/api.js";
import { classes } from "../parts/champion.js";
import { busy, button, el, fault, say } from "../parts/dom.js";

const NOTHING = "neither"; // said of a picture that is of no class

// Kept as a training picture; returns what to tell. The last word counts.
export async function teach(said, label) {
  const stored = await postJSON("feedback", { prediction_id: said.prediction_id, label });
  said.stored = stored.sha256;
  return `Kept as ${stored.label}, for the next training on the data set “feedback”.`;
}

// The service learns its classes alone: a picture of none is kept out of the data set, and taken out where it was in.
export async function keepOut(said) {
  if (!said.stored) return "It learns only its classes, so this picture isn’t kept for training.";
  await remove(`datasets/feedback/images/${said.stored}`);
  said.stored = null;
  return "It learns only its classes, so this picture was taken out again.";
}

// Buttons, one for each class of the version in service and one for none of them.
export function choice(said) {
  const labels = classes().length ? classes() : Object.keys(said.probabilities); // its own, where no other is known yet
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
