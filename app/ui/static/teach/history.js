// Past trainings, each with its result.

import { get } from "../parts/api.js";
import { button, byId, el, fault } from "../parts/dom.js";
import { moment } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";

const MOST = 50; // trainings listed

// Lists the trainings, newest first; `open` shows one, `shown` is the id of the one that is shown.
export async function list(open, shown) {
  try {
    const { jobs } = await get(`retrain?limit=${MOST}`);
    const items = jobs.map((job) => item(job, open, job.id === shown));
    byId("past-trainings").hidden = jobs.length < 2;
    byId("past-list").replaceChildren(...items);
  } catch (error) {
    byId("past-list").replaceChildren(fault(error));
  }
}

function item(job, open, isShown) {
  const { dataset, strategy, notes } = job.request;
  const trigger = job.trigger === "request" ? null : t("history.trigger", { trigger: worded(job.trigger) });
  const about = [`“${dataset}”`, strategy, moment(job.submitted_at), trigger, notes].filter(Boolean).join(" · ");
  const name = el("span", {}, el("strong", {}, result(job)), el("span", { class: "small under name" }, about));
  const show = button(t("history.show"), () => open(job), {
    "aria-label": t("history.show_of", { moment: moment(job.submitted_at) }),
    "aria-pressed": String(isShown),
  });
  return el("li", {}, name, show);
}

function result({ status, version, decision }) {
  if (status !== "succeeded") return t(`history.${status}`);
  return t(decision?.promoted ? "history.promoted" : "history.not_promoted", { version });
}
