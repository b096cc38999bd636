// Review, many at once: pictures are selected, and labelled together.

import { NEITHER } from "../parts/corrections.js";
import { busy, button, el, fault, keyed, say } from "../parts/dom.js";
import { correct, labels } from "../ask/feedback.js";
import { percent } from "../parts/numbers.js";
import { known, t } from "../parts/texts.js";
import { Thumbnails } from "./thumbnails.js";

const AT_ONCE = 4; // corrections sent at a time

let shown = null; // the pictures that are on the page
const thumbnails = new Thumbnails(() => shown?.refresh());

// The box of these items of `GET /review`.
export function together(items) {
  shown = new Together(items);
  return shown.box;
}

class Together {
  #items;
  #selected = new Set();
  #anchor = 0; // where a range begins
  #count = el("p", { role: "status" });
  #report = el("p", { class: "told" });
  #tiles;
  #none; // the button that selects nothing

  constructor(items) {
    this.#items = items;
    this.#tiles = items.map((item, place) => this.#tile(item, place));
    const list = el("ul", { class: "answers grid", "aria-label": t("review.pictures") }, this.#tiles.map((tile) => el("li", { class: "tile" }, tile)));
    this.box = el("div", { class: "together", onkeydown: (event) => this.#key(event) }, this.#tools(), this.#report, list);
    this.refresh();
    thumbnails.want(items.map(path));
  }

  #tools() {
    const classes = labels(this.#items[0].prediction).map(({ label, text }, place) => {
      const key = label === NEITHER ? "0" : String(place + 1);
      const pressed = (event) => busy(event.currentTarget, () => this.#label(label));
      return keyed(key, text, pressed);
    });
    const all = button(t("gallery.everything"), () => this.#select(this.#items));
    this.#none = button(t("gallery.nothing"), () => this.#select([]));
    return el("div", { class: "tools", role: "group", "aria-label": t("feedback.really") }, this.#count, classes, all, this.#none);
  }

  #tile(item, place) {
    const pressed = (event) => this.#press(place, event.shiftKey);
    return el("button", { type: "button", onclick: pressed }, el("img", { alt: "" }), el("span", { class: "kind" }, caption(item.prediction)));
  }

  #press(place, isRange) {
    if (isRange) {
      const [first, last] = [Math.min(this.#anchor, place), Math.max(this.#anchor, place)];
      for (const item of this.#items.slice(first, last + 1)) this.#selected.add(item);
    } else {
      if (!this.#selected.delete(this.#items[place])) this.#selected.add(this.#items[place]);
      this.#anchor = place;
    }
    this.refresh();
  }

  #select(items) {
    this.#selected = new Set(items);
    this.refresh();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const chosen = this.box.querySelector(`[aria-keyshortcuts="${CSS.escape(event.key)}"]`);
    if (!chosen) return;
    event.preventDefault();
    chosen.click();
  }

  // Shows the thumbnails that have come, what is selected, and what was labelled.
  refresh() {
    this.#count.textContent = this.#selected.size ? t("gallery.selected", { n: this.#selected.size }) : t("review.select");
    this.#none.hidden = !this.#selected.size;
    this.#tiles.forEach((tile, place) => {
      const item = this.#items[place];
      const address = thumbnails.address(path(item));
      const image = tile.querySelector("img");
      if (address && image.src !== address) image.src = address;
      tile.setAttribute("aria-pressed", String(this.#selected.has(item)));
      tile.querySelector(".kind").textContent = caption(item.prediction);
    });
  }

  // Labels the selected pictures, a few at a time; those that failed stay selected.
  async #label(label) {
    const wanted = [...this.#selected];
    const failures = [];
    let told = "";
    const work = async () => {
      for (let item = wanted.pop(); item; item = wanted.pop()) {
        try {
          told = await correct(item.prediction, label);
          this.#selected.delete(item);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const all = wanted.length;
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.refresh();
    this.#report.replaceChildren(...failures.slice(0, 1).map(fault));
    say(failures.length ? failures[0].message : `${t("review.labelled", { n: all })} ${told}`);
  }
}

const path = (item) => item.picture.replace(/^\//, "");

// What the model said, and the label that the picture was given.
function caption(said) {
  const answer = said.unknown ? known("kinds.unknown") : `${said.label} ${percent(said.probability, 0)}`;
  return said.given ? `${answer} → ${said.given.label === NEITHER ? t("feedback.neither") : said.given.label}` : answer;
}
