// Training: starts a job, follows it, and shows its decision.

import { Refused, events, get, postJSON, remove } from "../parts/api.js";
import { onChampion, refresh } from "../parts/champion.js";
import { Curves } from "../models/curves.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { findings } from "./findings.js";
import { list } from "./history.js";
import { count, duration, moment, percent } from "../parts/numbers.js";
import { Outcome } from "./outcome.js";
import { worded } from "../parts/sentences.js";
import { known, t } from "../parts/texts.js";

const FINAL = ["succeeded", "failed", "cancelled"];
let watching = new AbortController();
let watched = null; // the job's id
let newest = null; // the id of the newest job
let outcome = null; // of the job that is shown, once it has ended

export function setUp(dataset) {
  byId("train-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter, () => start(dataset()));
  });
  byId("strategy").addEventListener("change", () => {
    byId("epochs-field").hidden = byId("strategy").value !== "finetune";
  });
  onChampion(() => outcome?.refresh());
}

// Follows the newest job, if there is one that isn't followed yet.
export async function open() {
  try {
    const job = await get("retrain/latest");
    const isKnown = job.id === newest;
    newest = job.id;
    if (!isKnown) watch(job);
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) byId("training").replaceChildren(fault(error));
  }
}

async function start(dataset) {
  const strategy = byId("strategy").value;
  const given = byId("epochs").value; // without a number it depends on the number of pictures
  const epochs = strategy === "finetune" && given ? { epochs: Number(given) } : {};
  const [backbone, promote, notes] = ["backbone", "promote", "notes"].map((id) => byId(id).value);
  const asked = { dataset, strategy, backbone, promote, notes, ...epochs };
  try {
    const job = await postJSON("retrain", asked);
    newest = job.id;
    watch(job);
  } catch (error) {
    byId("training").prepend(fault(error));
    say(error.message);
  }
}

// Shows a job and follows it until it has ended.
async function watch(job) {
  watching.abort();
  watching = new AbortController();
  const { signal } = watching;
  watched = job.id;
  outcome = null;
  const shown = new Shown(job);
  byId("training").replaceChildren(shown.element);
  listed();
  try {
    for await (const event of events(`retrain/${job.id}/events`, isLast, signal)) shown.tell(event);
    if (signal.aborted) return;
    shown.end(await get(`retrain/${job.id}`));
    listed();
  } catch (error) {
    shown.element.append(fault(error));
  }
}

// Updates the list of trainings; one that the user opens takes the place of the one that is shown.
function listed() {
  const opened = (job) => {
    watch(job);
    byId("training-heading").focus();
  };
  list(opened, watched);
}

const isLast = (event) => event.kind === "status" && FINAL.includes(event.data.status);

// The card of one job.
class Shown {
  #job;
  #status = el("p", { role: "status" });
  #bar = el("progress", { max: "1", value: "0", "aria-label": t("training.progress") });
  #left = el("p", { class: "small" });
  #backbone = el("p", { class: "small" });
  #curves = new Curves();
  #findings = el("div");
  #decision = el("div");
  #cancel = button(t("training.cancel"), (event) => busy(event.currentTarget, () => this.#stop()));

  constructor(job) {
    this.#job = job;
    const { dataset, strategy } = job.request;
    const about = { dataset, strategy, moment: moment(job.submitted_at), trigger: worded(job.trigger) };
    const asked = t(job.trigger === "request" ? "training.asked" : "training.triggered", about);
    this.element = el(
      "div",
      { class: "card training" },
      el("h3", { id: "training-heading", tabindex: "-1" }, t(job.id === newest ? "training.newest" : "training.earlier")),
      el("p", { class: "small" }, asked),
      this.#status,
      this.#bar,
      this.#left,
      this.#backbone,
      el("p", { class: "buttons" }, this.#cancel),
      this.#decision,
      this.#curves.element,
      this.#findings,
    );
  }

  tell({ kind, data }) {
    if (kind === "status") this.#say(data.status, data.reason);
    else if (kind === "progress") this.#progress(data);
    else if (kind === "epoch") this.#curves.add(data);
    else if (kind === "findings") this.#find();
  }

  end(job) {
    for (const part of [this.#cancel, this.#bar, this.#left]) part.hidden = true;
    this.#say(job.status, job.decision ? null : job.reason);
    this.#findings.replaceChildren(findings(job));
    if (!job.decision) return;
    const { promoted } = job.decision;
    this.#status.textContent = t(promoted ? "training.promoted" : "training.published", { version: job.version });
    outcome = new Outcome(job);
    this.#decision.replaceChildren(outcome.element);
    refresh();
  }

  #say(status, reason) {
    this.#status.textContent = `${t(`training.${status}`)}${reason ? `: ${worded(reason)}` : "."}`;
  }

  #progress({ phase, progress, seconds_left: left, backbone, photos_done: done, photos }) {
    this.#bar.value = progress;
    const time = left === null ? null : t("training.left", { duration: duration(left) });
    const looking = photos ? t("training.looking", { done: count(done), n: photos }) : null;
    const doing = looking ?? known(`phases.${phase}`) ?? phase;
    this.#left.textContent = [t("training.done", { share: percent(progress) }), doing, time].filter(Boolean).join(", ");
    this.#backbone.textContent = backbone ? t("training.chosen", { backbone: worded(backbone) }) : "";
  }

  async #find() {
    try {
      this.#findings.replaceChildren(findings(await get(`retrain/${this.#job.id}`)));
    } catch (error) {
      this.#findings.replaceChildren(fault(error));
    }
  }

  async #stop() {
    try {
      await remove(`retrain/${this.#job.id}`);
      say(t("training.cancelling"));
    } catch (error) {
      this.element.append(fault(error));
    }
  }
}
