// The decision on a version: why it was promoted or not, in one sentence and in numbers.

import { el, table } from "../parts/dom.js";
import { count, listed, loss, percent, plural } from "../parts/numbers.js";

const TEST_PHOTOS = "test photos";
const RECALL = "recall of ";
const HELP = {
  accuracy: "more training photos, or corrected labels, would help",
  unknown: "training photos that look more like the test photos would help",
  "log-loss": "more training photos, or corrected labels, would help",
  "calibration error": "more validation photos would help, because its probabilities are calibrated on them",
};

// A sentence for people; `version` is as GET /models/N describes it.
export function why({ version, classes, decision, comparison }) {
  if (decision.promote) return sentence(decision.reason);
  const failed = decision.rules.filter((rule) => !rule.passed);
  if (failed.length) return `Not promoted: ${failedBy(failed[0], decision)}${also(failed.length - 1)}.`;
  const isCompared = comparison?.champion === decision.champion;
  if (isCompared && comparison.classes_added.length + comparison.classes_removed.length) {
    const others = `Version ${version} tells ${listed(classes)}, other classes than those of version ${decision.champion}`;
    return `${others}: no rule can compare the two. Try it, and use it if its answers are what you want.`;
  }
  return sentence(decision.reason);
}

// Rule, number, limit, and what would help.
function failedBy(rule, { champion, photos }) {
  if (rule.name === TEST_PHOTOS || !hasLimit(rule)) return rule.sentence;
  const [mine, theirs] = [rule.candidate, rule.champion].map((value) => number(rule, value));
  const numbers = `its ${rule.name} is ${mine} on ${plural(photos, "test photo")}, and ${limitInWords(rule)}`;
  return `${numbers} (version ${champion} has ${theirs}); ${help(rule.name)}`;
}

// Versions of an earlier release have only the sentence.
const hasLimit = ({ limit: most, chance }) => (most ?? chance ?? null) !== null;

function limitInWords(rule) {
  if (rule.limit === null) return `the difference is no chance: p = ${rule.chance.toPrecision(2)}, and the limit is 0.05`;
  if (rule.name === "unknown" && rule.candidate <= rule.limit) {
    return `the rise is no chance: p = ${rule.chance.toPrecision(2)}, and the limit is 0.05`;
  }
  return `the limit is ${number(rule, rule.limit)}`;
}

function help(name) {
  if (!name.startsWith(RECALL)) return HELP[name] ?? HELP.accuracy;
  return `more training photos of ${name.slice(RECALL.length)}, or corrected labels among them, would help`;
}

const also = (others) => (others ? `; ${plural(others, "other rule")} failed too` : "");

// The accuracy of both versions on the same photos; null if none were compared.
export function onSamePhotos({ rules: found, champion, photos }) {
  const rule = found.find(({ name }) => name === "accuracy");
  if (!rule) return null;
  const [mine, theirs] = [rule.candidate, rule.champion].map((share) => percent(share));
  return `On the same ${plural(photos, "test photo")} it has ${mine}, version ${champion} ${theirs}`;
}

// Both versions on the same photos, rule by rule.
export function rules({ version, decision }) {
  if (!decision.rules.length) return null;
  const rows = decision.rules.map((rule) => [
    el("span", {}, rule.name, rule.passed ? null : el("strong", { class: "tag failed" }, "failed")),
    number(rule, rule.candidate),
    number(rule, rule.champion),
    limit(rule),
  ]);
  const champion = decision.champion === null ? "Champion" : `Version ${decision.champion}`;
  const caption = `The rules of promotion, on the same ${plural(decision.photos, "test photo")}`;
  return table(caption, ["Rule", `Version ${version}`, champion, "Limit"], rows);
}

function number({ name }, value) {
  if (name === TEST_PHOTOS) return count(value);
  return name === "log-loss" ? loss(value) : percent(value);
}

function limit(rule) {
  if (!hasLimit(rule)) return "";
  if (rule.limit === null) return `p = ${rule.chance.toPrecision(2)}, at least 0.05`;
  const least = rule.name === TEST_PHOTOS || rule.name.startsWith(RECALL);
  return `${least ? "at least" : "at most"} ${number(rule, rule.limit)}`;
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
