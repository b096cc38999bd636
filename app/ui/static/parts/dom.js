// Elements, made from text only: text from a user or the service is never parsed as markup.

export const byId = (id) => document.getElementById(id);

// An element with attributes, listeners (`onclick`) and children: elements or text.
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

// A button with a keyboard shortcut, which it shows.
export function keyed(key, text, onclick) {
  const attributes = { type: "button", onclick, "aria-keyshortcuts": key };
  return el("button", attributes, el("kbd", { "aria-hidden": "true" }, key), ` ${text}`);
}

// An error message in a box.
export function fault(error) {
  return el("p", { class: "notice fault" }, prose(error.message));
}

// Text in which `names` are shown as code.
export function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));
}

// Announces a text to screen readers.
export function say(text) {
  byId("said").textContent = text;
}

// Blocks the button while `work` runs. It keeps the focus, which a disabled button would lose.
export async function busy(pressed, work) {
  if (pressed.getAttribute("aria-disabled") === "true") return undefined;
  pressed.setAttribute("aria-disabled", "true");
  try {
    return await work();
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
}

// A table in a region that scrolls sideways if it is too wide; the first cell of a row is its header.
export function table(caption, columns, rows) {
  const heads = columns.map((name) => el("th", { scope: "col" }, name));
  const body = rows.map(([first, ...rest]) =>
    el("tr", {}, el("th", { scope: "row" }, first), rest.map((cell) => el("td", {}, cell))),
  );
  return el(
    "div",
    { class: "scrolls", role: "region", tabindex: "0", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, heads)), el("tbody", {}, body)),
  );
}
