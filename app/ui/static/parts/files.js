// Pictures from the user: files dropped on a zone, chosen, photographed, or pasted; or their addresses.

import { addresses } from "../ask/addresses.js";

// `takeAddresses` is called with the addresses of what was dropped from another window, if it was no file.
export function takeFrom(zone, inputs, take, takeAddresses = () => {}) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // so that the same file can be chosen again
      take(files);
    });
    input.addEventListener("keypress", (event) => {
      if (event.key !== "Enter") return; // by default only the space bar opens it, but it looks like a button
      event.preventDefault();
      input.click();
    });
  }
  const over = (is) => zone.classList.toggle("over", is);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    over(true);
  });
  zone.addEventListener("dragleave", () => over(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    sorted(event.dataTransfer, take, takeAddresses);
  });
}

// What is pasted anywhere on the page, if `isWanted`.
export function takePasted(isWanted, take, takeAddresses) {
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData || !isWanted() || event.target.closest?.("input, textarea, dialog")) return;
    if (sorted(event.clipboardData, take, takeAddresses)) event.preventDefault();
  });
}

// Passes on files, or addresses if there is no file; returns whether there was one of them.
function sorted(transfer, take, takeAddresses) {
  const files = [...transfer.files];
  const found = files.length ? [] : addresses(transfer);
  if (files.length) take(files);
  if (found.length) takeAddresses(found);
  return files.length + found.length > 0;
}

// A file dropped outside every zone must not replace the page.
export function ignoreElsewhere() {
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}
