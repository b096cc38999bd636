// The result of a training: how good the version is, why it is in service or not, and the next steps.

import { Refused, get, post } from "../parts/api.js";
import { show } from "../parts/champion.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { count, percent } from "../parts/numbers.js";
import { actions } from "./actions.js";
import { rules, why } from "./decision.js";

export class Outcome {
  element = el("div", { class: "outcome" });
  #job;

  constructor(job) {
    this.#job = job;
    this.refresh();
  }

  // Shows the version as it is now: another may have been promoted, or it may have been deleted.
  async refresh() {
    try {
      this.element.replaceChildren(...this.#described(await get(`models/${this.#job.version}`)));
    } catch (error) {
      const isGone = error instanceof Refused && error.status === 404;
      const gone = el("p", { class: "notice" }, `Version ${this.#job.version} was deleted.`);
      this.element.replaceChildren(isGone ? gone : fault(error));
    }
  }

  #described(version) {
    const again = () => this.refresh();
    return [
      accuracy(version),
      el("p", { class: `notice ${this.#job.decision.promoted ? "good" : ""}` }, this.#why(version)),
      version.champion ? inService(again) : actions(version.version, again),
      rules(version),
    ].filter(Boolean);
  }

  #why(version) {
    const { promoted, promote } = this.#job.decision;
    if (promote && !promoted) return "It passed every rule. It isn’t in service because the training only publishes it.";
    return why(version);
  }
}

// On its test photos if it has some, with the 95% interval.
export function accuracy({ metrics }) {
  const [split, found] = metrics.test ? ["test", metrics.test] : ["validation", metrics.validation];
  if (!found) return el("p", {}, "It has no validation or test photo, so its accuracy is unknown.");
  const interval = `${percent(found.accuracy_low)} to ${percent(found.accuracy_high)}`;
  const share = el("strong", { class: "verdict" }, percent(found.accuracy));
  return el("p", {}, share, ` accuracy on ${count(found.photos)} ${split} photos (95% interval: ${interval})`);
}

function inService(done) {
  const report = el("div");
  const rollBack = async () => {
    try {
      const model = await post("rollback");
      show(model);
      say(`Version ${model.version} is in service now.`);
      done();
    } catch (error) {
      report.replaceChildren(fault(error));
      say(error.message);
    }
  };
  const ask = el("a", { class: "button first", href: "#ask" }, "Ask it");
  const back = button("Roll back to the previous version", (event) => busy(event.currentTarget, rollBack));
  return el("div", { class: "actions" }, el("p", { class: "buttons" }, ask, back), report);
}
