// What the service says, in the reader's language. The service speaks English; sentences/ has a file for each other
// language, {sentence: translation}. A `{}` stands for a value, `{1}` for the first one in the translation.

import { language } from "./texts.js";

const JOINTS = [", but ", " and ", ", "]; // between sentences, or a sentence and a name

const translations = language === "en" ? {} : await loaded();
const phrases = compiled(translations);

// A sentence of the service in the reader's language; parts without a translation stay as they are.
export function worded(text) {
  if (!phrases.length || !text) return text;
  return cut(text).map((part) => translated(part) ?? part).join("; ");
}

// Null if nothing of it has a translation.
function translated(text) {
  for (const { pattern, translation } of phrases) {
    const found = pattern.exec(text);
    if (found) return translation.replace(/\{(\d+)\}/g, (_, place) => value(found[Number(place)]));
  }
  for (const joint of JOINTS) {
    const parts = text.split(joint);
    const said = parts.length > 1 ? parts.map(translated) : [];
    if (said.some((part) => part !== null)) return said.map((part, place) => part ?? parts[place]).join(translations[joint]);
  }
  return null;
}

// A value may be a sentence of its own, or a number.
function value(text) {
  const [, digits, unit] = /^([\d,]+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  if (digits === undefined) return worded(text);
  const fraction = digits.split(".")[1]?.length ?? 0;
  const shown = Number(digits.replaceAll(",", "")).toLocaleString(language, { minimumFractionDigits: fraction });
  return unit ? `${shown}\u00a0${unit}` : shown;
}

// The parts between semicolons that aren't in brackets.
function cut(text) {
  const parts = [""];
  let depth = 0;
  for (const character of text) {
    depth += (character === "(") - (character === ")");
    if (character === ";" && depth <= 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim());
}

async function loaded() {
  const answer = await fetch(new URL(`../sentences/${language}.json`, import.meta.url));
  return answer.json();
}

// The most specific ones, which have the most words of their own, first.
function compiled(found) {
  const own = (sentence) => sentence.replaceAll("{}", "").length;
  const sorted = Object.entries(found).sort(([one], [other]) => own(other) - own(one));
  return sorted.map(([sentence, translation]) => ({ pattern: pattern(sentence), translation }));
}

function pattern(sentence) {
  const fixed = sentence.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const values = fixed.slice(1).map((part, place) => (/[a-z]$/.test(fixed[place]) ? "(s?)" : "(.*?)") + part); // or a plural
  return new RegExp(`^${fixed[0]}${values.join("")}$`, "s");
}
