// The canary: a version that answers a share of the clients, with its numbers next to those of the version in service.

import { get, postJSON, remove } from "../parts/api.js";
import { busy, button, byId, el, fault, say, table } from "../parts/dom.js";
import { count, milliseconds, percent, points } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";

const EVERY_MILLISECONDS = 3000; // between two looks at a canary that runs

let timer = null;

// A button that lets a version answer a share of the clients, after it has asked for the share and the limits.
export function starter(version, report) {
  const pressed = (event) => busy(event.currentTarget, () => ask(version, report));
  return button(t("canary.start"), pressed, { "aria-label": t("canary.start_about", { version }) });
}

async function ask(version, report) {
  report.replaceChildren();
  try {
    const { limits } = await get("canary");
    const given = await chosen(version, limits);
    if (!given) return;
    await postJSON(`models/${version}/canary`, given);
    say(t("canary.started", { version, share: percent(given.share) }));
    await follow();
    byId("canary").scrollIntoView({ block: "nearest" });
  } catch (error) {
    report.replaceChildren(fault(error));
    say(error.message);
  }
}

// The share and limits that the user enters, as the service takes them; null if the user cancels.
function chosen(version, limits) {
  const fields = {
    share: field("share", 5, { min: 0.1, max: 99.9, step: 0.1 }),
    photos: field("least_photos", limits.photos, { min: 1, step: 1 }),
    errors: field("most_errors", rounded(100 * limits.errors), { min: 0, max: 100, step: 0.1 }),
    unknown: field("most_unknown", rounded(100 * limits.unknown), { min: 0, max: 100, step: 0.1 }),
    latency: field("most_latency", limits.latency, { min: 0.1, step: 0.1 }),
  };
  const { share, ...others } = Object.fromEntries(Object.entries(fields).map(([name, { label }]) => [name, label]));
  const dialog = el("dialog", { "aria-labelledby": "canary-heading" });
  const buttons = [el("button", { type: "submit", class: "first" }, t("canary.begin")), button(t("page.cancel"), () => dialog.close(""))];
  const form = el(
    "form",
    {},
    el("h2", { id: "canary-heading" }, t("canary.question", { version })),
    el("p", { class: "small" }, t("canary.about")),
    share,
    el("details", {}, el("summary", {}, t("canary.limits")), Object.values(others)),
    el("p", { class: "buttons" }, buttons),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    dialog.close("yes");
  });
  dialog.append(form);
  document.body.append(dialog);
  dialog.showModal();
  const number = (name) => fields[name].input.valueAsNumber;
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      const [errors, unknown] = ["errors", "unknown"].map((name) => rounded(number(name) / 100));
      const asked = { photos: number("photos"), errors, unknown, latency: number("latency") };
      resolve(dialog.returnValue ? { share: rounded(number("share") / 100), limits: asked } : null);
    });
  });
}

const rounded = (number) => Number(number.toPrecision(12)); // without the noise of binary fractions

function field(name, value, attributes) {
  const input = el("input", { type: "number", required: true, value, ...attributes });
  return { input, label: el("label", {}, t(`canary.${name}`), input) };
}

// Shows the canary that runs, and follows it while Models is open; of the last one, that it was rolled back.
export async function follow() {
  clearTimeout(timer);
  const place = byId("canary");
  try {
    const { canary } = await get("canary");
    place.replaceChildren(...described(canary));
    if (canary?.running) timer = setTimeout(() => byId("models").hidden || follow(), EVERY_MILLISECONDS);
  } catch (error) {
    place.replaceChildren(fault(error));
  }
}

function described(canary) {
  if (!canary || !(canary.running || canary.rolled_back)) return [];
  const { running, version, champion, share, reason } = canary;
  const values = { version, champion, share: percent(share), wanted: count(canary.photos_wanted) };
  const said = running ? t("canary.runs", values) : t("canary.rolled_back", { version, reason: worded(reason) });
  return [
    el("h2", {}, t("canary.heading")),
    el("p", { class: running ? "" : "notice" }, said),
    numbers(canary),
    running ? el("p", { class: "small" }, bounds(canary.limits)) : null,
    running ? el("p", { class: "buttons" }, button(t("canary.end"), (event) => busy(event.currentTarget, () => end(version)))) : null,
  ].filter(Boolean);
}

function numbers({ version, champion, candidate, usual }) {
  const row = (name, value) => [t(`canary.${name}`), value(candidate), value(usual)];
  const ofPhotos = (name, shown) => row(name, (side) => (side.photos ? shown(side[name]) : "–"));
  const columns = ["", ...[version, champion].map((number) => t("page.version", { version: number }))];
  const rows = [
    row("photos", ({ photos }) => count(photos)),
    ofPhotos("errors", percent),
    ofPhotos("unknown", percent),
    ofPhotos("mean_seconds", milliseconds),
  ];
  return table(t("canary.numbers"), columns, rows);
}

function bounds({ errors, unknown, latency }) {
  return t("canary.bounds", { errors: points(errors), unknown: points(unknown), latency: count(latency) });
}

async function end(version) {
  try {
    await remove("canary");
    say(t("canary.ended", { version }));
    await follow();
  } catch (error) {
    byId("canary").replaceChildren(fault(error));
  }
}
