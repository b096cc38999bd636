// The audit log: who changed what, when and from where.

import { get } from "../parts/api.js";
import { busy, byId, el, fault } from "../parts/dom.js";
import { moment } from "../parts/numbers.js";
import { known, t } from "../parts/texts.js";

const FETCHED = 50; // entries at a time
const FAILED = 400; // the lowest status of a failure

let following = null; // for the next page

export function setUp() {
  byId("audit-form").addEventListener("submit", (event) => {
    event.preventDefault();
    open();
  });
  byId("audit-more").addEventListener("click", () => busy(byId("audit-more"), () => load(following)));
}

export async function open() {
  byId("audit-entries").replaceChildren();
  await load(null);
}

async function load(after) {
  const given = { after, since: byId("audit-since").value, key: byId("audit-key").value, action: byId("audit-action").value };
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
  try {
    const { entries, next } = await get(`audit?limit=${FETCHED}&${query}`);
    following = next;
    byId("audit-entries").append(...entries.map(item));
    byId("audit-report").replaceChildren(entries.length || after ? "" : t("audit.none"));
    byId("audit-more").hidden = next === null;
  } catch (error) {
    byId("audit-report").replaceChildren(fault(error));
  }
}

function item({ at, action, key, address, status, details }) {
  const who = key ? (known(`who.${key}`) ?? key) : t("audit.no_key");
  const about = [moment(at), who, address].filter(Boolean).join(" · ");
  const text = Object.entries(details).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  const shown = el("span", { class: "name" }, el("strong", {}, title(action, status, details)), el("span", { class: "small under" }, about));
  if (text.length) shown.append(el("code", { class: "small under" }, text.join(", ")));
  return el("li", {}, shown);
}

function title(action, status, details) {
  const what = known(`action.${action}`) === null ? action : t(`action.${action}`, details);
  return status >= FAILED ? t("audit.failed", { status, what }) : what;
}
