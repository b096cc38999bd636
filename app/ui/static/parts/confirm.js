// Questions before something is done.

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

// The text that the user enters, null if none; `field` is its label, `list` the id of its suggestions.
export function asked(question, field, verb, given = "", list = null) {
  const input = el("input", { required: true, value: given, autocomplete: "off", spellcheck: "false", list });
  const dialog = el("dialog", { "aria-labelledby": "asked-heading" });
  const agree = el("button", { type: "submit", class: "first" }, verb);
  const buttons = el("p", { class: "buttons" }, agree, button(t("page.cancel"), () => dialog.close("")));
  const form = el("form", {}, el("h2", { id: "asked-heading" }, question), el("label", {}, field, input), buttons);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close(input.value.trim());
  });
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue || null);
    });
  });
}
