// The next steps with a version: try it, put it into service, or delete it.

import { post, remove } from "../parts/api.js";
import { show } from "../parts/champion.js";
import { confirmed } from "../parts/confirm.js";
import { busy, button, el, fault, say } from "../parts/dom.js";
import { t } from "../parts/texts.js";
import { forget, tryOut } from "../parts/trying.js";

const SHIPPED = 1; // it came with the service and can't be deleted

// Buttons for a version that isn't in service; `done` is called with a sentence after one of them changed something.
// While it is tried, `stop` is the button that ends that.
export function actions(version, done, stop = null) {
  const report = el("div");
  const step = (name, work, attributes = {}) => {
    const pressed = (event) => busy(event.currentTarget, () => tried(report, work));
    return button(t(`actions.${name}`), pressed, { "aria-label": t(`actions.${name}_about`, { version }), ...attributes });
  };
  const steps = [
    stop ? null : step("try", () => ask(version), { class: "first" }),
    step("use", () => use(version, done), stop ? { class: "first" } : {}),
    version === SHIPPED ? null : step("discard", () => discard(version, done)),
    stop,
  ];
  return el("div", { class: "actions" }, el("p", { class: "buttons" }, steps), report);
}

async function tried(report, work) {
  report.replaceChildren();
  try {
    await work();
  } catch (error) {
    report.replaceChildren(fault(error));
    say(error.message);
  }
}

async function ask(version) {
  await tryOut(version);
  location.hash = "#ask";
}

async function use(version, done) {
  show(await post(`models/${version}/promote`));
  finish(t("actions.in_service", { version }), done);
}

async function discard(version, done) {
  if (!(await confirmed(t("actions.sure", { version }), t("actions.cost"), t("actions.delete")))) return;
  await remove(`models/${version}`);
  await forget(version);
  finish(t("actions.deleted", { version }), done);
}

function finish(text, done) {
  say(text);
  done(text);
}
