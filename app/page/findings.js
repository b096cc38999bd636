// What the doctor found in the pictures, as thumbnails.

import { picture } from "./api.js";
import { button, el } from "./dom.js";
import { key } from "./key.js";
import { plural } from "./numbers.js";

const AT_FIRST = 12; // thumbnails of one finding; each is its whole picture

const KINDS = {
  unreadable: "Can’t be read",
  leakage: "In more than one split",
  "conflicting-labels": "Under more than one class",
  duplicate: "More than once",
  "near-duplicate": "Nearly the same",
  "likely-mislabel": "Likely of another class",
  "too-few": "Too few",
  imbalance: "Uneven",
};

export function findings(job) {
  if (job.findings === null) return el("div");
  if (!job.findings.length) return el("p", {}, "The pictures were looked at first, and nothing is wrong with them.");
  const list = job.findings.map((finding) => section(finding, job.request.dataset));
  return el("div", {}, el("h4", {}, "What was found in the pictures"), list);
}

function section(finding, dataset) {
  const thumbnails = el("ul", { class: "thumbnails" });
  const left = [...finding.photos];
  const wanted = want(left.length > 0);
  const more = button("", () => add());
  const add = () => {
    thumbnails.append(...left.splice(0, AT_FIRST).map((photo) => thumbnail(photo, dataset, wanted.promise)));
    more.textContent = `Show more of ${plural(left.length, "other")}`;
    more.hidden = !left.length;
  };
  add();
  const total = finding.count ? ` (${finding.count})` : "";
  const summary = el("summary", {}, `${KINDS[finding.kind] ?? finding.kind}${total}`);
  return el("details", { open: true }, summary, el("p", {}, finding.sentence), wanted.button, thumbnails, more);
}

// The pictures need the key: without one they are fetched only when somebody says so.
function want(hasPictures) {
  if (key() !== null || !hasPictures) return { promise: Promise.resolve(), button: null };
  let show;
  const promise = new Promise((resolve) => {
    show = button("Show the pictures", () => {
      show.remove();
      resolve();
    });
  });
  return { promise, button: show };
}

// Fetched once it is wanted and seen, for it may be large.
function thumbnail(photo, dataset, wanted) {
  const image = el("img", { alt: "" });
  const said = [photo.name, `${photo.label}, ${photo.split}`, photo.note].filter(Boolean);
  const item = el("li", {}, image, said.map((text) => el("span", { class: "name" }, text)));
  wanted.then(() => seen(item, () => load(image, `datasets/${encodeURIComponent(dataset)}/images/${photo.sha256}`)));
  return item;
}

async function load(image, path) {
  try {
    const address = await picture(path);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => image.replaceWith(missing("can’t be shown")), { once: true });
    image.src = address;
  } catch (error) {
    image.replaceWith(missing(error.status === 404 ? "not there any more" : error.message));
  }
}

function missing(why) {
  return el("span", { class: "missing small" }, why);
}

function seen(element, tell) {
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    tell();
  });
  watcher.observe(element);
}
