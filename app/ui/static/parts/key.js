// The key: requested once, when it is first needed, and kept only by this tab.

import { byId, el, prose } from "./dom.js";
import { t } from "./texts.js";

const PLACE = "catdog-key";

let asking = null;

export const key = () => sessionStorage.getItem(PLACE);

// Asks for the key, once for all requests that wait for it; null if none is entered.
export function obtain(reason) {
  asking ??= open(reason).finally(() => {
    asking = null;
  });
  return asking;
}

// A header contains bytes, which the service reads as UTF-8.
export function authorization(given) {
  return `Bearer ${String.fromCharCode(...new TextEncoder().encode(given))}`;
}

function open(reason) {
  const input = el("input", { type: "password", autocomplete: "off", required: true });
  const dialog = el("dialog", { "aria-labelledby": "key-heading" });
  dialog.append(form(reason, input, (given) => dialog.close(given)));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue ? keep(input.value.trim()) : null);
    });
  });
}

function form(reason, input, close) {
  const where = el("p", { class: "small" }, prose(t("key.where")));
  const buttons = [
    el("button", { type: "submit", class: "first" }, t("key.go_on")),
    el("button", { type: "button", onclick: () => close("") }, t("page.cancel")),
  ];
  const made = el("form", {}, el("h2", { id: "key-heading" }, t("key.heading")), el("p", {}, reason), where);
  made.append(el("label", {}, t("key.key"), input), el("p", { class: "buttons" }, buttons));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    close("given");
  });
  return made;
}

function keep(given) {
  sessionStorage.setItem(PLACE, given);
  byId("forget-key").hidden = false;
  return given;
}

export function setUp() {
  byId("forget-key").hidden = key() === null;
  byId("forget-key").addEventListener("click", () => {
    sessionStorage.removeItem(PLACE);
    byId("forget-key").hidden = true;
    byId("main").focus();
  });
}
