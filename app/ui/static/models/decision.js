// The decision on a version: why it was promoted or not, in one sentence and in numbers.

import { el, table } from "../parts/dom.js";
import { count, listed, loss, milliseconds, percent } from "../parts/numbers.js";
import { worded } from "../parts/sentences.js";
import { known, t } from "../parts/texts.js";

const TEST_PHOTOS = "test photos";
const LIVE_PHOTOS = "live photos";
const AT_LEAST = [TEST_PHOTOS, LIVE_PHOTOS, "agreement"]; // rules whose limit is the least number
const RECALL = "recall of ";

// A sentence for people; `version` is as GET /models/N describes it.
export function why({ version, classes, decision, comparison }) {
  if (decision.promote) return sentence(decision.reason);
  const failed = failure(decision);
  if (failed) return t("decision.not_promoted", { why: failed });
  const isCompared = comparison?.champion === decision.champion;
  if (isCompared && comparison.classes_added.length + comparison.classes_removed.length) {
    return t("decision.other_classes", { version, classes: listed(classes, "and"), champion: decision.champion });
  }
  return sentence(decision.reason);
}

// The first broken rule with number, limit and what would help; null if no rule is broken.
export function failure(decision) {
  const failed = decision.rules.filter((rule) => !rule.passed);
  if (!failed.length) return null;
  const others = failed.length - 1;
  return `${failedBy(failed[0], decision)}${others ? `; ${t("decision.others", { n: others })}` : ""}`;
}

function failedBy(rule, decision) {
  if (!hasLimit(rule)) return worded(rule.sentence);
  if (rule.name === TEST_PHOTOS) return tooFew(rule, decision);
  const { photos, champion } = decision;
  const [mine, theirs] = [rule.candidate, rule.champion].map((value) => number(rule, value));
  const values = { rule: ruleName(rule), mine, n: photos, limit: limitInWords(rule), champion, theirs };
  return `${t("decision.failed", values)}; ${help(rule.name)}`;
}

function tooFew({ candidate, limit: enough }, { photos, photos_missing: missing }) {
  const least = { least: count(candidate), enough: count(enough) };
  return `${t("decision.too_few", { n: photos, ...least })}; ${t("decision.missing", { n: missing })}`;
}

// Versions of an earlier release have only the sentence.
const hasLimit = ({ limit: most, chance }) => (most ?? chance ?? null) !== null;

function limitInWords(rule) {
  const chance = rule.chance?.toPrecision(2);
  if (rule.limit === null) return t("decision.no_chance", { chance });
  if (rule.name === "unknown" && rule.candidate <= rule.limit) return t("decision.rise_no_chance", { chance });
  return t("decision.limit", { limit: number(rule, rule.limit) });
}

function help(name) {
  if (name.startsWith(RECALL)) return t("decision.help_recall", { label: name.slice(RECALL.length) });
  return known(`decision.help_${underscored(name)}`) ?? t("decision.help_accuracy");
}

const underscored = (name) => name.replace(/\W/g, "_");

function ruleName({ name }) {
  if (name.startsWith(RECALL)) return t("decision.recall", { label: name.slice(RECALL.length) });
  return known(`rules.${underscored(name)}`) ?? name;
}

// The accuracy of both versions on the same photos; null if none were compared.
export function onSamePhotos({ rules: found, champion, photos }) {
  const rule = found.find(({ name }) => name === "accuracy");
  if (!rule) return null;
  const [mine, theirs] = [rule.candidate, rule.champion].map((share) => percent(share));
  return t("decision.same_photos", { n: photos, mine, champion, theirs });
}

// Both versions on the same photos, rule by rule.
export function rules({ version, decision }) {
  return decision.rules.length ? rulesTable(t("decision.rules", { n: decision.photos }), version, decision) : null;
}

export function rulesTable(caption, version, decision) {
  const rows = decision.rules.map((rule) => [
    el("span", {}, ruleName(rule), rule.passed ? null : el("strong", { class: "tag failed" }, t("decision.broken"))),
    number(rule, rule.candidate),
    number(rule, rule.champion),
    limit(rule),
  ]);
  const champion = decision.champion === null ? t("decision.champion") : t("page.version", { version: decision.champion });
  const columns = [t("decision.rule"), t("page.version", { version }), champion, t("decision.limit_of")];
  return table(caption, columns, rows);
}

// A rule with its number and limit: "agreement 93.2% (at least 95.0%)".
export function measured(rule) {
  return `${ruleName(rule)} ${number(rule, rule.candidate)} (${limit(rule)})`;
}

function number({ name }, value) {
  if (name === TEST_PHOTOS || name === LIVE_PHOTOS) return count(value);
  if (name === "latency") return milliseconds(value);
  return name === "log-loss" ? loss(value) : percent(value);
}

function limit(rule) {
  if (!hasLimit(rule)) return "";
  if (rule.limit === null) return t("decision.chance", { chance: rule.chance.toPrecision(2) });
  const least = AT_LEAST.includes(rule.name) || rule.name.startsWith(RECALL);
  return t(least ? "decision.at_least" : "decision.at_most", { limit: number(rule, rule.limit) });
}

function sentence(english) {
  const text = worded(english);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
