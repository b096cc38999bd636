// Webhooks: the events that the service sends to URLs, and sends again on request.

import { get, post } from "../parts/api.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { moment } from "../parts/numbers.js";
import { known, t } from "../parts/texts.js";

const SHOWN = 100; // deliveries

export function setUp() {
  byId("webhooks-status").addEventListener("change", open);
  byId("webhooks-again").addEventListener("click", (event) => busy(event.currentTarget, open));
  byId("webhooks-test").addEventListener("click", (event) => busy(event.currentTarget, () => changed(() => post("webhooks/test"))));
}

export async function open() {
  const status = byId("webhooks-status").value;
  try {
    const { urls, deliveries } = await get(`webhooks?limit=${SHOWN}${status ? `&status=${status}` : ""}`);
    byId("webhooks-urls").textContent = urls.length ? t("webhooks.urls", { urls: urls.join(", ") }) : t("webhooks.off");
    byId("webhooks-test").hidden = !urls.length;
    byId("webhooks-list").replaceChildren(...deliveries.map(item));
    byId("webhooks-report").replaceChildren(deliveries.length ? "" : t("webhooks.none"));
  } catch (error) {
    byId("webhooks-report").replaceChildren(fault(error));
  }
}

async function changed(request) {
  try {
    await request();
    say(t("webhooks.queued"));
    await open();
  } catch (error) {
    byId("webhooks-report").replaceChildren(fault(error));
  }
}

function item({ id, type, data, status, attempts, problem, happened_at: happened, next_at: next, url }) {
  const name = type.replace(".", "_");
  const title = known(`event.${name}`) === null ? type : t(`event.${name}`);
  const state = next ? t("webhooks.waits", { moment: moment(next) }) : t(`webhooks.${status}`);
  const about = [moment(happened), state, t("webhooks.attempts", { n: attempts }), url].join(" · ");
  const details = Object.entries(data).filter(([, value]) => value !== null);
  const replay = button(t("webhooks.replay"), (event) => busy(event.currentTarget, () => changed(() => post(`webhooks/${id}/replay`))), {
    "aria-label": t("webhooks.replay_of", { event: title, moment: moment(happened) }),
  });
  const text = el("span", { class: "name" }, el("strong", {}, title), el("span", { class: "small under" }, about));
  if (details.length) text.append(el("code", { class: "small under" }, details.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ")));
  if (problem) text.append(el("span", { class: "small under" }, problem));
  return el("li", {}, text, replay);
}
