// A grid of very many tiles, of which only those in and near the window exist.

import { el } from "../parts/dom.js";

const SPARE_ROWS = 2; // above and below the window
const GAP_PIXELS = 8;
const CAPTION_PIXELS = 22;
const WIDTHS_PIXELS = [104, 132]; // of a tile, at least: in a narrow window, and in others
const NARROW_PIXELS = 640;

export class Tiles {
  #box;
  #fill;
  #viewed;
  #shown = new Map(); // elements by place
  #count = 0;
  #columns = 1;
  #width = 0;
  #frame = 0;
  #refilling = 0;

  // `fill(tile, place)` shows what is at that place; `viewed(first, end)` is called when other places come into view.
  constructor(box, fill, viewed) {
    this.#box = box;
    this.#fill = fill;
    this.#viewed = viewed;
    addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(box);
  }

  get columns() {
    return this.#columns;
  }

  get #row() {
    return this.#width + CAPTION_PIXELS + GAP_PIXELS;
  }

  // Shows this number of places from now on, all of them filled again.
  resize(count) {
    this.#count = count;
    if (!this.#width) return this.#measure();
    this.#stretch();
    for (const [place, tile] of this.#shown) {
      tile.setAttribute("aria-setsize", count);
      if (place < count) continue;
      tile.remove();
      this.#shown.delete(place);
    }
    this.refill();
    return this.#render();
  }

  // Fills the shown tiles again.
  refill() {
    for (const [place, tile] of this.#shown) this.#fill(tile, place);
  }

  // The same before the next frame, however often it is called.
  refillSoon() {
    this.#refilling ||= requestAnimationFrame(() => {
      this.#refilling = 0;
      this.refill();
    });
  }

  // Scrolls as little as needed to show the tile at that place below `top` pixels of the window.
  reveal(place, top) {
    const above = this.#box.getBoundingClientRect().top + Math.floor(place / this.#columns) * this.#row;
    const below = above + this.#row - innerHeight;
    if (above < top) scrollBy(0, above - top);
    else if (below > 0) scrollBy(0, below);
    this.#render();
  }

  // The places of the rows that fit into the window.
  get page() {
    return Math.max(1, Math.floor(innerHeight / this.#row) - 1) * this.#columns;
  }

  #measure() {
    const width = this.#box.clientWidth;
    if (!width) return; // it isn't visible
    const least = WIDTHS_PIXELS[innerWidth > NARROW_PIXELS ? 1 : 0];
    this.#columns = Math.max(1, Math.floor((width + GAP_PIXELS) / (least + GAP_PIXELS)));
    this.#width = Math.floor((width + GAP_PIXELS) / this.#columns) - GAP_PIXELS;
    this.#stretch();
    for (const tile of this.#shown.values()) tile.remove();
    this.#shown.clear();
    this.#render();
  }

  #stretch() {
    this.#box.style.height = `${Math.ceil(this.#count / this.#columns) * this.#row}px`;
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  #render() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#width) return;
    const above = -this.#box.getBoundingClientRect().top;
    const row = (pixels) => Math.floor(pixels / this.#row);
    const first = Math.max(0, (row(above) - SPARE_ROWS) * this.#columns);
    const end = Math.min(this.#count, (row(above + innerHeight) + 1 + SPARE_ROWS) * this.#columns);
    const free = [];
    for (const [place, tile] of this.#shown) {
      if (place >= first && place < end) continue;
      this.#shown.delete(place);
      free.push(tile);
    }
    for (let place = first; place < end; place++) if (!this.#shown.has(place)) this.#put(free.pop() ?? this.#made(), place);
    for (const tile of free) tile.remove();
    this.#viewed(first, Math.max(first, end));
  }

  #made() {
    const tile = el("div", { role: "option", class: "tile-of-many" }, el("img", { alt: "", decoding: "async" }), el("span"));
    this.#box.append(tile);
    return tile;
  }

  #put(tile, place) {
    const [column, row] = [place % this.#columns, Math.floor(place / this.#columns)];
    tile.id = `tile-${place}`;
    // In shares of the width, so that nothing sticks out before a change of the width is measured.
    tile.style.width = `calc((100% + ${GAP_PIXELS}px) / ${this.#columns} - ${GAP_PIXELS}px)`;
    tile.style.left = `calc((100% + ${GAP_PIXELS}px) / ${this.#columns} * ${column})`;
    tile.style.height = `${this.#row - GAP_PIXELS}px`;
    tile.style.transform = `translateY(${row * this.#row}px)`;
    tile.setAttribute("aria-posinset", place + 1);
    tile.setAttribute("aria-setsize", this.#count);
    this.#shown.set(place, tile);
    this.#fill(tile, place);
  }
}
