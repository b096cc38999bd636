// Thumbnails that need the key: fetched a few at a time, and kept while they are among the last ones shown.

import { picture } from "../parts/api.js";

const AT_ONCE = 6; // requests, as many as a browser has connections to a service
const KEPT = 800;

export class Thumbnails {
  #addresses = new Map(); // of the pictures in memory by path, the oldest first; null if one can't be shown
  #busy = new Set();
  #wanted = [];
  #arrived;

  // `arrived()` is called when thumbnails have come.
  constructor(arrived) {
    this.#arrived = arrived;
  }

  // The address for an image; null if there can't be one, undefined if it hasn't come yet.
  address(path) {
    const found = this.#addresses.get(path);
    if (found !== undefined) {
      this.#addresses.delete(path);
      this.#addresses.set(path, found);
    }
    return found;
  }

  // Fetches these, in this order; others that were wanted before and haven't begun are forgotten.
  want(paths) {
    this.#wanted = paths.filter((path) => !this.#addresses.has(path) && !this.#busy.has(path));
    while (this.#busy.size < AT_ONCE && this.#wanted.length) this.#fetch(this.#wanted.shift());
  }

  async #fetch(path) {
    this.#busy.add(path);
    try {
      this.#addresses.set(path, await picture(path));
    } catch (error) {
      if (error.status) this.#addresses.set(path, null); // otherwise the connection broke, and it is tried again
    } finally {
      this.#busy.delete(path);
    }
    for (const [oldest, address] of this.#addresses) {
      if (this.#addresses.size <= KEPT) break;
      this.#addresses.delete(oldest);
      if (address) URL.revokeObjectURL(address);
    }
    this.#arrived();
    this.want(this.#wanted);
  }
}
