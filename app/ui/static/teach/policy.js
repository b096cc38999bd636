// When trainings start by themselves, and what would start now.

import { get } from "../parts/api.js";
import { byId, el, fault, prose } from "../parts/dom.js";
import { moment } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { t } from "../parts/texts.js";

export async function show() {
  try {
    byId("policy").replaceChildren(...described(await get("retrain/policy")));
  } catch (error) {
    byId("policy").replaceChildren(fault(error));
  }
}

function described(policy) {
  const { after_labels: labels, on_drift_hours: drift, schedule, at_most_every_hours: every } = policy;
  const rules = [
    labels && t("policy.after_labels", { n: labels }),
    drift && t("policy.on_drift", { n: drift }),
    schedule && t("policy.schedule", { schedule }),
  ].filter(Boolean);
  if (!rules.length) return [el("p", { class: "small" }, prose(t("policy.off")))];
  const often = every ? ` ${t("policy.at_most", { n: every })}` : "";
  const next = policy.next_at && !policy.would_start ? ` ${t("policy.next", { moment: moment(policy.next_at) })}` : "";
  return [
    el("p", { class: "small" }, `${t("policy.on", { rules: rules.join("; ") })}${often}`),
    el("p", { class: "small" }, `${t(`policy.now_${policy.would_start ? "yes" : "no"}`, { reason: worded(policy.reason) })}${next}`),
  ];
}
