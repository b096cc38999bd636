// What to do with a picture that the data check found: keep it, move it to the right class, or delete it.

import { change, found, undo } from "../pictures/changes.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { t } from "../parts/texts.js";

const COPIES = ["leakage", "conflicting-labels", "duplicate", "near-duplicate"]; // kinds whose photos show one picture

// Buttons for a photo of a finding in a data set. `others` are the photos of the finding, this one too.
export function steps(photo, finding, dataset) {
  const box = el("div", { class: "steps" });
  const alike = COPIES.includes(finding.kind) ? finding.photos.filter((one) => one.picture === photo.picture) : [photo];
  const about = (text) => ({ "aria-label": t("finding.about", { step: text, name: photo.name }) });
  const step = (text, work) => button(text, (event) => busy(event.currentTarget, () => tried(box, work)), about(text));
  const done = (text, made) => box.replaceChildren(...result(box, choices, text, made, about));
  const act = async (photos, what, text) => {
    const rows = await found(dataset, photos.map((one) => one.sha256));
    const meant = rows.filter((row) => photos.some((one) => one.sha256 === row.sha256 && one.label === row.label));
    done(text, meant.length ? await change(dataset, meant.map((row) => row.id), what) : null);
  };
  const keep = () => {
    const rest = alike.filter((one) => one.sha256 !== photo.sha256 || one.label !== photo.label);
    if (!rest.length) return done(t("finding.kept"), null);
    return act(rest, { delete: true }, t("finding.kept_alone", { n: rest.length }));
  };
  const move = (label) => step(t("finding.move", { label }), () => act([photo], { label }, t("finding.moved", { label })));
  const choices = [
    finding.kind === "unreadable" ? null : step(t("finding.keep"), keep),
    ...classes(photo, alike).map(move),
    step(t("gallery.delete"), () => act([photo], { delete: true }, t("finding.deleted"))),
  ].filter(Boolean);
  box.append(...choices);
  return box;
}

// The classes that the photo may belong to instead: that of its note ("dog 97.0%"), or those of its copies.
function classes(photo, alike) {
  const said = /^(.+) [\d.]+%$/.exec(photo.note)?.[1];
  return [...new Set([said, ...alike.map((one) => one.label)])].filter((label) => label && label !== photo.label);
}

// What was done, and a button that undoes it; then the choices come back.
function result(box, choices, text, made, about) {
  const again = () => box.replaceChildren(...choices);
  const undone = async () => {
    if (made) await undo(made.id);
    again();
  };
  const back = button(t("gallery.undo"), (event) => busy(event.currentTarget, () => tried(box, undone)), about(t("gallery.undo")));
  say(text);
  return [el("span", { class: "small" }, text), back];
}

async function tried(box, work) {
  try {
    await work();
  } catch (error) {
    box.append(fault(error));
    say(error.message);
  }
}
