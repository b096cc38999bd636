// Ask: pictures in, an answer for each.

import { post } from "../parts/api.js";
import { classes, heardOf, onChampion, serves } from "../parts/champion.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { actions } from "./actions.js";
import { choice } from "./feedback.js";
import { takeFrom, takePasted } from "../parts/files.js";
import { listed, percent } from "../parts/numbers.js";
import { framed } from "../parts/overlay.js";
import { onTrying, stop, trying } from "../parts/trying.js";

const AT_ONCE = 4; // the service accepts many more, but other clients need places too
const UNEXPLAINABLE = "urn:catdog:problem:not-explainable";
const NEITHER_OF_TWO = "looks like neither";

const waiting = [];
let running = 0;

export function setUp() {
  takeFrom(byId("ask"), [byId("ask-files"), byId("ask-camera")], take);
  takePasted(() => !byId("ask").hidden, take);
  onTrying(ask);
  onChampion(() => ask(trying()));
}

export function open() {}

// Says which version answers: the one that is tried, if there is one.
function ask(tried) {
  const known = tried?.classes ?? classes();
  byId("ask-heading").textContent = known.length > 4 ? "What is in the picture?" : capital(`${listed(known)}?`);
  byId("trying").hidden = !tried;
  byId("trying").replaceChildren(...(tried ? tryingOut(tried) : []));
}

function tryingOut({ version, classes: its }) {
  const others = serves() === null ? "" : ` Version ${serves()} still answers everyone else.`;
  const ended = (event) => busy(event.currentTarget, stop);
  return [
    el("p", {}, el("strong", {}, `You are asking version ${version}`), `, which knows ${listed(its, "and")}.${others}`),
    actions(version, () => byId("ask-heading").focus(), button("Stop trying", ended)),
  ];
}

function take(files) {
  for (const file of files) {
    const card = el("li", { class: "card" });
    const shown = framed(file, file.name);
    const body = el("div", { class: "said" });
    body.append(el("p", { class: "small name" }, `Looking at ${file.name || "the picture"} …`));
    card.append(shown.figure, body);
    byId("answers").prepend(card);
    waiting.push({ file, shown, body });
  }
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    answer(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function answer({ file, shown, body }) {
  const name = file.name || "The picture";
  const began = performance.now();
  const version = trying()?.version;
  try {
    const said = await predicted(file, version);
    const milliseconds = performance.now() - began;
    const usual = version ? await predicted(file) : null; // the answer of the version in service, to compare
    body.replaceChildren(...described(said, name, milliseconds, shown, usual));
    say(`${name}: ${verdict(said)}`);
    if (!version) heardOf(said.model_version);
  } catch (error) {
    body.replaceChildren(el("p", { class: "small name" }, name), fault(error));
    say(`${name}: ${error.message}`);
  }
}

// With the class activation map, if the version has one.
async function predicted(file, version) {
  const asked = version ? `version=${version}` : "";
  try {
    return await post(`predict?explain=true&${asked}`, file);
  } catch (error) {
    if (error.type !== UNEXPLAINABLE) throw error;
    return post(`predict?${asked}`, file);
  }
}

function described(said, name, milliseconds, shown, usual) {
  return [
    el("h2", { class: "verdict" }, said.unknown ? capital(neither(said)) : capital(said.label)),
    el("p", { class: "small" }, `${name} · version ${said.model_version} · ${Math.round(milliseconds)} ms`),
    el("ul", { class: "bars" }, bars(said)),
    usual ? el("p", {}, `Version ${usual.model_version}, which is in service: ${verdict(usual)}`) : null,
    shown.slider(said),
    String(Object.keys(said.probabilities)) === String(classes()) || !usual ? choice(said) : null,
  ].filter(Boolean);
}

// In words, for screen readers.
function verdict(said) {
  const found = `${said.label}, ${percent(said.probability)}`;
  return said.unknown ? `${neither(said)}; the most likely class is ${found}` : found;
}

function neither(said) {
  return Object.keys(said.probabilities).length === 2 ? NEITHER_OF_TWO : "looks like none of its classes";
}

// The probability of every class, in the model's order.
export function bars(said) {
  return Object.entries(said.probabilities).map(([label, probability]) => {
    const filled = el("span", { class: "filled" });
    filled.style.inlineSize = `${100 * probability}%`;
    return el(
      "li",
      { class: label === said.label && !said.unknown ? "most" : null },
      el("span", { class: "label" }, label),
      el("span", { class: "track", "aria-hidden": "true" }, filled),
      el("span", { class: "number" }, percent(probability)),
    );
  });
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
