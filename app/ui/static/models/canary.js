// The canary: a version that answers a share of the clients, with its numbers next to those of the version in service.

import { get, remove } from "../parts/api.js";
import { busy, button, byId, el, fault, say, table } from "../parts/dom.js";
import { count, loss, percent } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";

const EVERY_MILLISECONDS = 3000; // between two looks at a canary that runs

let timer = null;

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
    running ? el("p", { class: "buttons" }, button(t("canary.end"), (event) => busy(event.currentTarget, () => end(version)))) : null,
  ].filter(Boolean);
}

function numbers({ version, champion, candidate, usual }) {
  const row = (name, shown) => [t(`canary.${name}`), shown(candidate[name]), shown(usual[name])];
  const milliseconds = (seconds) => t("rules.milliseconds", { ms: loss(1000 * seconds) });
  const columns = ["", ...[version, champion].map((number) => t("page.version", { version: number }))];
  const rows = [row("photos", count), row("errors", percent), row("unknown", percent), row("mean_seconds", milliseconds)];
  return table(t("canary.numbers"), columns, rows);
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
