// Problems found in the pictures, with thumbnails.

import { get, picture } from "../parts/api.js";
import { busy, button, el, fault } from "../parts/dom.js";
import { plural } from "../parts/numbers.js";

const AT_FIRST = 12; // thumbnails of one finding; each loads its whole picture

const KINDS = {
  unreadable: "Can’t be read",
  leakage: "In more than one split",
  "conflicting-labels": "Under more than one class",
  duplicate: "More than once",
  "near-duplicate": "Nearly the same",
  "likely-mislabel": "Likely of another class",
  "single-class": "Only one class",
  "too-few": "Too few",
  imbalance: "Uneven",
};

export function findings(job) {
  if (job.findings === null) return el("div");
  if (!job.findings.length) return el("p", {}, "The pictures were checked, and no problem was found.");
  const list = el("div", {}, sections(job.findings, job));
  return el("div", {}, el("h4", {}, "Problems found in the pictures"), asking(list, job), list);
}

// Without the admin key the findings name no picture. The key is requested only when the user wants to see them.
function asking(list, job) {
  if (!job.findings.some(({ count, photos }) => count && !photos.length)) return null;
  const show = button("Show the pictures", () => busy(show, named));
  const named = async () => {
    try {
      const { findings: all } = await get(`retrain/${job.id}/findings`);
      list.replaceChildren(...sections(all, job));
      show.remove();
    } catch (error) {
      list.prepend(fault(error));
    }
  };
  return show;
}

const sections = (found, job) => found.map((finding) => section(finding, job.request.dataset));

function section(finding, dataset) {
  const thumbnails = el("ul", { class: "thumbnails" });
  const left = [...finding.photos];
  const more = button("", () => add());
  const add = () => {
    thumbnails.append(...left.splice(0, AT_FIRST).map((photo) => thumbnail(photo, dataset)));
    more.textContent = `Show more of ${plural(left.length, "other")}`;
    more.hidden = !left.length;
  };
  add();
  const total = finding.count ? ` (${finding.count})` : "";
  const summary = el("summary", {}, `${KINDS[finding.kind] ?? finding.kind}${total}`);
  return el("details", { open: true }, summary, el("p", {}, finding.sentence), thumbnails, more);
}

// Fetched once it is visible, because it may be large.
function thumbnail(photo, dataset) {
  const image = el("img", { alt: "" });
  const said = [photo.name, `${photo.label}, ${photo.split}`, photo.note].filter(Boolean);
  const item = el("li", {}, image, said.map((text) => el("span", { class: "name" }, text)));
  seen(item, () => load(image, `datasets/${encodeURIComponent(dataset)}/images/${photo.sha256}`));
  return item;
}

async function load(image, path) {
  try {
    const address = await picture(path);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => image.replaceWith(missing("can’t be shown")), { once: true });
    image.src = address;
  } catch (error) {
    image.replaceWith(missing(error.status === 404 ? "deleted in the meantime" : error.message));
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
