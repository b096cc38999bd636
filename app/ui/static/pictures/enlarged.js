// One picture in a dialog, as large as the window allows.

import { picture } from "../parts/api.js";
import { button, el, fault } from "../parts/dom.js";
import { moment } from "../parts/numbers.js";
import { t } from "../parts/texts.js";

export async function enlarge(item, path) {
  const image = el("img", { alt: item.name });
  const close = button(t("gallery.close"), () => dialog.close());
  const about = `${item.label} · ${t(`splits.${item.split}`)} · ${moment(item.added_at)}`;
  const heading = el("h2", { id: "enlarged-heading", class: "name" }, item.name);
  const dialog = el("dialog", { class: "enlarged", "aria-labelledby": "enlarged-heading" }, heading, el("p", { class: "small" }, about), image);
  dialog.append(el("p", { class: "buttons" }, close));
  dialog.addEventListener("close", () => {
    URL.revokeObjectURL(image.src);
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  try {
    image.src = await picture(path);
  } catch (error) {
    image.replaceWith(fault(error));
  }
}
