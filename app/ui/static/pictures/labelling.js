// Labelling in the gallery: pictures are selected by mouse or keyboard, and changed together; each change can be undone.

import { confirmed } from "../parts/confirm.js";
import { History } from "./changes.js";
import { button, byId, el, fault, keyed, say } from "../parts/dom.js";
import { t } from "../parts/texts.js";

const MOST_KEYS = 9; // classes with a key of their own
const SPLITS = ["train", "validation", "test"];

export class Labelling {
  #gallery;
  #dataset = null;
  #labels = [];
  #selected = new Set(); // numbers of pictures
  #place = 0; // of the keyboard
  #anchor = 0; // where a range begins
  #history = new History();
  #box = byId("gallery-tiles");

  // `gallery` has the grid `tiles`, and functions: the numbers of `list()`, `item(id)`, `remove(ids)`, `reload(keep)`, `open(id)`,
  // `alike(item)`.
  constructor(gallery) {
    this.#gallery = gallery;
    this.#box.addEventListener("click", (event) => this.#click(event));
    this.#box.addEventListener("dblclick", (event) => this.#open(placeOf(event)));
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    byId("gallery-other").addEventListener("submit", (event) => this.#other(event));
    byId("gallery-move").addEventListener("submit", (event) => this.#move(event));
    byId("gallery-splits").append(...SPLITS.map((split) => button(t(`splits.${split}`), () => this.#act({ split }))));
    byId("gallery-everything").addEventListener("click", () => this.#select(this.#gallery.list()));
    byId("gallery-nothing").addEventListener("click", () => this.#select([]));
    byId("gallery-delete").addEventListener("click", () => this.#delete());
    byId("gallery-alike").addEventListener("click", () => this.#alike());
    byId("gallery-undo").addEventListener("click", () => this.#undo());
  }

  begin(dataset) {
    this.#dataset = dataset;
    this.#history.clear();
  }

  // Called when the pictures were listed anew; `keep` leaves the place of the keyboard where it is.
  listed(labels, keep) {
    this.#labels = labels;
    if (!keep) this.#place = this.#anchor = 0;
    this.#clamp();
    const buttons = labels.slice(0, MOST_KEYS).map((label, number) => {
      return keyed(String(number + 1), label, () => this.#act({ label }));
    });
    byId("gallery-classes").replaceChildren(...buttons);
    byId("gallery-labels").replaceChildren(...labels.map((label) => el("option", { value: label })));
    this.#select([]);
  }

  // Shows on a tile whether it is selected, and whether the keyboard is on it.
  mark(tile, place) {
    tile.setAttribute("aria-selected", String(this.#selected.has(this.#gallery.list()[place])));
    tile.classList.toggle("current", place === this.#place);
  }

  #clamp() {
    this.#place = Math.max(0, Math.min(this.#place, this.#gallery.list().length - 1));
  }

  #click(event) {
    const place = placeOf(event);
    if (place === null) return;
    const id = this.#gallery.list()[place];
    if (event.shiftKey) this.#range(place);
    else if (this.#selected.has(id)) this.#selected.delete(id);
    else this.#selected.add(id);
    if (!event.shiftKey) this.#anchor = place;
    this.#place = place;
    this.#shown();
  }

  #range(place) {
    const [first, last] = [Math.min(this.#anchor, place), Math.max(this.#anchor, place)];
    for (const id of this.#gallery.list().slice(first, last + 1)) this.#selected.add(id);
  }

  #select(ids) {
    this.#selected = new Set(ids);
    this.#shown();
  }

  #shown() {
    const n = this.#selected.size;
    byId("gallery-selected").textContent = n ? t("gallery.selected", { n }) : t("gallery.none_selected");
    byId("gallery-nothing").hidden = !n;
    byId("gallery-undo").hidden = this.#history.isEmpty;
    const list = this.#gallery.list();
    if (list.length) this.#box.setAttribute("aria-activedescendant", `tile-${this.#place}`);
    else this.#box.removeAttribute("aria-activedescendant");
    this.#gallery.tiles.refill();
  }

  #key(event) {
    if (event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key === "a") this.#select(this.#gallery.list());
      else if (event.key === "z") this.#undo();
      else return;
      event.preventDefault();
      return;
    }
    const label = this.#labels.slice(0, MOST_KEYS)[Number(event.key) - 1];
    const step = this.#steps()[event.key];
    if (step !== undefined) this.#go(this.#place + step, event.shiftKey);
    else if (label !== undefined) this.#act({ label }, true);
    else if (event.key === " ") this.#toggle();
    else if (event.key === "a") this.#alike();
    else if (event.key === "Enter") this.#open(this.#place);
    else if (event.key === "Delete") this.#delete();
    else if (event.key === "Escape") this.#select([]);
    else return;
    event.preventDefault();
  }

  #steps() {
    const { columns, page } = this.#gallery.tiles;
    const all = this.#gallery.list().length;
    const across = { ArrowLeft: -1, ArrowRight: 1, Home: -all, End: all };
    return { ...across, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page };
  }

  #go(place, extends_ = false) {
    this.#place = place;
    this.#clamp();
    if (extends_) this.#range(this.#place);
    else this.#anchor = this.#place;
    this.#gallery.tiles.reveal(this.#place, byId("gallery-tools").offsetHeight);
    this.#shown();
  }

  #toggle() {
    const id = this.#gallery.list()[this.#place];
    if (!this.#selected.delete(id) && id !== undefined) this.#selected.add(id);
    this.#anchor = this.#place;
    this.#shown();
  }

  #alike() {
    const item = this.#gallery.item(this.#meant()[0]);
    if (item) this.#gallery.alike(item);
  }

  #open(place) {
    const id = this.#gallery.list()[place];
    if (id !== undefined) this.#gallery.open(id);
  }

  // The pictures that a change concerns: the selected ones, else the one at the keyboard's place.
  #meant() {
    const id = this.#gallery.list()[this.#place];
    return this.#selected.size ? [...this.#selected] : [id].filter((one) => one !== undefined);
  }

  // Changes the pictures at once on the page, and then in the service. With `next` the keyboard goes on after a single one.
  async #act(what, next = false) {
    const ids = this.#meant();
    if (!ids.length) return;
    const isSingle = !this.#selected.size;
    for (const id of ids) Object.assign(this.#gallery.item(id) ?? {}, what.delete || what.dataset ? {} : what);
    this.#selected.clear();
    if (what.delete || what.dataset) {
      this.#gallery.remove(new Set(ids));
      this.#clamp();
    } else if (isSingle && next) this.#go(this.#place + 1);
    this.#shown();
    try {
      const made = await this.#history.make(this.#dataset, ids, what);
      byId("gallery-undo").hidden = false;
      say(t("gallery.changed", { n: made.pictures }));
      if (what.label && !this.#labels.includes(made.target)) await this.#gallery.reload(true);
    } catch (error) {
      await this.#gallery.reload(true);
      this.#fault(error);
    }
  }

  async #delete() {
    const n = this.#meant().length;
    if (n > 1 && !(await confirmed(t("gallery.delete_question", { n }), t("gallery.delete_why"), t("gallery.delete")))) return;
    await this.#act({ delete: true });
  }

  async #undo() {
    try {
      const undone = await this.#history.undo();
      if (!undone) return;
      await this.#gallery.reload(true);
      say(t("gallery.undone", { n: undone.pictures }));
    } catch (error) {
      this.#fault(error);
    }
    this.#shown();
  }

  #other(event) {
    event.preventDefault();
    const input = event.target.elements[0];
    this.#act({ label: input.value.trim() });
    input.value = "";
  }

  #move(event) {
    event.preventDefault();
    const input = event.target.elements[0];
    this.#act({ dataset: input.value.trim() });
    input.value = "";
  }

  #fault(error) {
    byId("gallery-report").replaceChildren(fault(error));
    say(error.message);
  }
}

// The place of the tile that was clicked; null beside them.
function placeOf(event) {
  const tile = event.target.closest("[role=option]");
  return tile ? Number(tile.id.slice("tile-".length)) : null;
}
