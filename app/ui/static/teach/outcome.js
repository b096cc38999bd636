// The result of a training: how good the version is, why it is in service or not, and the next steps.

import { Refused, get, post } from "../parts/api.js";
import { show } from "../parts/champion.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";
import { actions } from "../models/actions.js";
import { rules, why } from "../models/decision.js";
import { told } from "../models/shadow.js";

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
      const gone = el("p", { class: "notice" }, t("actions.deleted", { version: this.#job.version }));
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
    if (version.trial) return told(version.trial);
    if (promote && !promoted) return t("outcome.only_published");
    return why(version);
  }
}

// On its test photos if it has some, with the 95% interval.
export function accuracy({ metrics }) {
  const [split, found] = metrics.test ? ["test", metrics.test] : ["validation", metrics.validation];
  if (!found) return el("p", {}, t("outcome.unknown"));
  const share = el("strong", { class: "verdict" }, percent(found.accuracy));
  return el("p", {}, share, ` ${t(`measured.${split}`, { n: found.photos })} (${interval(found)})`);
}

// "95% interval: 98.7% to 99.7%"
export function interval({ accuracy_low: low, accuracy_high: high }) {
  return t("measured.interval", { low: percent(low), high: percent(high) });
}

function inService(done) {
  const report = el("div");
  const rollBack = async () => {
    try {
      const model = await post("rollback");
      show(model);
      say(t("actions.in_service", { version: model.version }));
      done();
    } catch (error) {
      report.replaceChildren(fault(error));
      say(error.message);
    }
  };
  const ask = el("a", { class: "button first", href: "#ask" }, t("outcome.ask"));
  const back = button(t("outcome.roll_back"), (event) => busy(event.currentTarget, rollBack));
  return el("div", { class: "actions" }, el("p", { class: "buttons" }, ask, back), report);
}
