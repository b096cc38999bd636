// A question before something that can't be undone.

import { button, el } from "./dom.js";
import { t } from "./texts.js";

// Whether the user agrees; `verb` is the label of the button that does it.
export function confirmed(question, explanation, verb) {
  const dialog = el("dialog", { "aria-labelledby": "confirm-heading" });
  const agree = button(verb, () => dialog.close("yes"), { class: "first" });
  const buttons = el("p", { class: "buttons" }, agree, button(t("page.cancel"), () => dialog.close("")));
  dialog.append(el("h2", { id: "confirm-heading" }, question), el("p", {}, explanation), buttons);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
