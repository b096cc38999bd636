// Files from the user: dropped on a zone, chosen, photographed, or pasted.

export function takeFrom(zone, inputs, take) {
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
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
  });
}

// Files pasted anywhere on the page, if `isWanted`.
export function takePasted(isWanted, take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !isWanted()) return;
    event.preventDefault();
    take(files);
  });
}

// A file dropped outside every zone must not replace the page.
export function ignoreElsewhere() {
  for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());
}
