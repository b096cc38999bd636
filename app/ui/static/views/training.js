// Training: asked for, watched as it goes, and its decision read.

import { Refused, events, get, postJSON, remove } from "../parts/api.js";
import { refresh } from "../parts/champion.js";
import { Curves } from "../parts/curves.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { findings } from "./findings.js";
import { duration, moment, percent } from "../parts/numbers.js";
import { rules } from "./version.js";

const FINAL = ["succeeded", "failed", "cancelled"];
const WORDS = {
  queued: "waits for its turn",
  running: "runs",
  succeeded: "is done",
  failed: "failed",
  cancelled: "was cancelled",
};
const PHASES = {
  downloading: "downloading ImageNet’s weights",
  examining: "looking at the pictures",
  features: "looking at the pictures",
  fitting: "fitting",
  quantizing: "making it smaller",
  measuring: "measuring",
  publishing: "publishing",
};

let watching = new AbortController();
let watched = null; // the job's id

export function setUp(dataset) {
  byId("train-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.submitter, () => start(dataset()));
  });
  byId("strategy").addEventListener("change", () => {
    byId("epochs-field").hidden = byId("strategy").value !== "finetune";
  });
}

// The newest job, where there is one that isn't watched already.
export async function open() {
  try {
    const job = await get("retrain/latest");
    if (job.id !== watched) watch(job);
  } catch (error) {
    if (!(error instanceof Refused && error.status === 404)) byId("training").replaceChildren(fault(error));
  }
}

async function start(dataset) {
  const strategy = byId("strategy").value;
  const given = byId("epochs").value; // without a number it depends on how many pictures there are
  const epochs = strategy === "finetune" && given ? { epochs: Number(given) } : {};
  const [backbone, promote, notes] = ["backbone", "promote", "notes"].map((id) => byId(id).value);
  const asked = { dataset, strategy, backbone, promote, notes, ...epochs };
  try {
    watch(await postJSON("retrain", asked));
  } catch (error) {
    byId("training").prepend(fault(error));
    say(error.message);
  }
}

// Shows a job, and goes on until it has ended.
async function watch(job) {
  watching.abort();
  watching = new AbortController();
  const { signal } = watching;
  watched = job.id;
  const shown = new Shown(job);
  byId("training").replaceChildren(shown.element);
  try {
    for await (const event of events(`retrain/${job.id}/events`, isLast, signal)) shown.tell(event);
    if (!signal.aborted) shown.end(await get(`retrain/${job.id}`));
  } catch (error) {
    shown.element.append(fault(error));
  }
}

const isLast = (event) => event.kind === "status" && FINAL.includes(event.data.status);

// What is shown of one job.
class Shown {
  #job;
  #status = el("p", { role: "status" });
  #bar = el("progress", { max: "1", value: "0", "aria-label": "How much of it is done" });
  #left = el("p", { class: "small" });
  #backbone = el("p", { class: "small" });
  #curves = new Curves();
  #findings = el("div");
  #decision = el("div");
  #cancel = button("Cancel", (event) => busy(event.currentTarget, () => this.#stop()));

  constructor(job) {
    this.#job = job;
    const asked = `“${job.request.dataset}”, ${job.request.strategy}, asked for ${moment(job.submitted_at)}`;
    this.element = el(
      "div",
      { class: "card training" },
      el("h3", {}, "The newest training"),
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
    const then = job.decision.promoted ? "and went into service" : "and the one before went on serving";
    this.#status.textContent = `The training is done: version ${job.version} came of it, ${then}.`;
    this.#decision.replaceChildren(rules(job.decision));
    refresh();
  }

  #say(status, reason) {
    this.#status.textContent = `The training ${WORDS[status]}${reason ? `: ${reason}` : "."}`;
  }

  #progress({ phase, progress, seconds_left: left, backbone }) {
    this.#bar.value = progress;
    const time = left === null ? "" : `, ${duration(left)} left for this`;
    this.#left.textContent = `${percent(progress)} done, ${PHASES[phase] ?? phase}${time}`;
    this.#backbone.textContent = backbone ? `For this training ${backbone}.` : "";
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
      say("It is asked to end.");
    } catch (error) {
      this.element.append(fault(error));
    }
  }
}
