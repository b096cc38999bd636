// Problems found in the pictures, with thumbnails.

import { get, picture } from "../parts/api.js";
import { busy, button, el, fault } from "../parts/dom.js";
import { worded } from "../parts/sentences.js";
import { known, t } from "../parts/texts.js";
import { steps } from "./finding.js";

const AT_FIRST = 12; // thumbnails of one finding

export function findings(job) {
  if (job.findings === null) return el("div");
  if (!job.findings.length) return el("p", {}, t("findings.none"));
  const list = el("div", {}, sections(job.findings, job));
  return el("div", {}, el("h4", {}, t("findings.heading")), asking(list, job), list);
}

// Without the admin key the findings name no picture. The key is requested only when the user wants to see them.
function asking(list, job) {
  if (!job.findings.some(({ count, photos }) => count && !photos.length)) return null;
  const show = button(t("findings.show"), () => busy(show, named));
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
    thumbnails.append(...left.splice(0, AT_FIRST).map((photo) => item(photo, finding, dataset)));
    more.textContent = t("findings.more", { n: left.length });
    more.hidden = !left.length;
  };
  add();
  const total = finding.count ? ` (${finding.count})` : "";
  const summary = el("summary", {}, `${known(`findings.${finding.kind}`) ?? finding.kind}${total}`);
  const said = worded(finding.sentence);
  const sentence = el("p", { lang: said === finding.sentence ? "en" : null }, said);
  return el("details", { open: true }, summary, sentence, thumbnails, more);
}

function item(photo, finding, dataset) {
  const said = [photo.name, `${photo.label}, ${photo.split}`, photo.note].filter(Boolean);
  const names = said.map((text) => el("span", { class: "name" }, text));
  return el("li", {}, thumbnail(dataset, photo.sha256), names, steps(photo, finding, dataset));
}

// A small picture, fetched once it is visible.
export function thumbnail(dataset, sha256) {
  const image = el("img", { alt: "" });
  seen(image, () => load(image, `datasets/${encodeURIComponent(dataset)}/images/${sha256}/thumbnail`));
  return image;
}

async function load(image, path) {
  try {
    const address = await picture(path);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => image.replaceWith(missing(t("findings.not_shown"))), { once: true });
    image.src = address;
  } catch (error) {
    image.replaceWith(missing(error.status === 404 ? t("findings.deleted") : error.message));
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
