// Changes to pictures of data sets: one after the other, and undone in the reverse order.

import { get, post, postJSON } from "../parts/api.js";

export const pathOf = (dataset) => `datasets/${encodeURIComponent(dataset)}`;
export const undo = (change) => post(`changes/${change}/undo`);

// Relabels, moves or deletes pictures: `what` is {label}, {split}, {dataset} or {delete: true}.
export const change = (dataset, ids, what) => postJSON(`${pathOf(dataset)}/changes`, { ids, ...what });

// The pictures that the data set has of these contents, as they are now.
export async function found(dataset, contents) {
  const asked = new URLSearchParams({ sha256: [...new Set(contents)].join(","), limit: 500 });
  return (await get(`${pathOf(dataset)}/pictures?${asked}`)).pictures;
}

// What was changed in one view. Requests wait for the one before, so that they arrive in order.
export class History {
  #done = [];
  #last = Promise.resolve();

  get isEmpty() {
    return !this.#done.length;
  }

  clear() {
    this.#done = [];
  }

  make(dataset, ids, what) {
    return this.#next(async () => {
      const made = await change(dataset, ids, what);
      this.#done.push(made.id);
      return made;
    });
  }

  // Undoes the last change; null if there is none.
  undo() {
    return this.#next(async () => (this.#done.length ? undo(this.#done.pop()) : null));
  }

  #next(work) {
    const result = this.#last.then(work);
    this.#last = result.catch(() => null);
    return result;
  }
}
