// Ask: pictures in, an answer for each.

import { fetched } from "./addresses.js";
import { send } from "../parts/api.js";
import { classes, heardOf, onChampion, serves } from "../parts/champion.js";
import { offerChoice } from "../parts/corrections.js";
import { busy, button, byId, el, fault, say } from "../parts/dom.js";
import { takeFrom, takePasted } from "../parts/files.js";
import { keep } from "./kept_answers.js";
import { listed } from "../parts/numbers.js";
import { framed } from "./overlay.js";
import { t } from "../parts/texts.js";
import { onTrying, stop, trying } from "../parts/trying.js";
import * as webcam from "./webcam.js";
import { actions } from "../models/actions.js";
import { capital, verdict, wrong } from "./answer.js";
import * as answers from "./answers.js";

const AT_ONCE = 4; // the service accepts many more, but other clients need places too
const UNEXPLAINABLE = "urn:catdog:problem:not-explainable";
const BYTES = { "Content-Type": "application/octet-stream" }; // the service finds the format in the bytes

const waiting = [];
let running = 0;

export function setUp() {
  takeFrom(byId("ask"), [byId("ask-files"), byId("ask-camera")], take, takeAddresses);
  takePasted(() => !byId("ask").hidden, take, takeAddresses);
  webcam.offer(byId("ask-webcam"), take);
  for (const sample of byId("samples").querySelectorAll("button")) {
    sample.addEventListener("click", () => busy(sample, () => takeSample(sample.querySelector("img").src)));
  }
  answers.setUp();
  onTrying(ask);
  onChampion(() => ask(trying()));
  onChampion(offerCorrections);
}

export const open = () => offerCorrections();

async function offerCorrections() {
  try {
    await offerChoice(byId("ask-corrections"));
  } catch {
    // Without the list of data sets a correction still goes to the one chosen before.
  }
}

// Says which version answers: the one that is tried, if there is one.
function ask(tried) {
  const known = tried?.classes ?? classes();
  byId("ask-heading").textContent = known.length > 4 ? t("ask.heading") : capital(`${listed(known)}?`);
  byId("trying").hidden = !tried;
  byId("trying").replaceChildren(...(tried ? tryingOut(tried) : []));
}

function tryingOut({ version, classes: its }) {
  const others = serves() === null ? [] : [` ${t("trying.others", { version: serves() })}`];
  const ended = (event) => busy(event.currentTarget, stop);
  return [
    el("p", {}, el("strong", {}, t("trying.asking", { version })), ` ${t("trying.knows", { classes: listed(its, "and") })}`, others),
    actions(version, () => byId("ask-heading").focus(), button(t("trying.stop"), ended)),
  ];
}

// Pictures by their address, which the browser fetches.
async function takeAddresses(found) {
  byId("answers-report").replaceChildren();
  for (const address of found) {
    try {
      take([await fetched(address)]);
    } catch (error) {
      byId("answers-report").append(fault(error));
      say(error.message);
    }
  }
}

// A picture that ships with the page, asked like one of the user's.
async function takeSample(address) {
  try {
    const name = address.split("/").at(-1);
    take([new File([await (await send(address)).blob()], name, { type: "image/jpeg" })]);
  } catch (error) {
    byId("answers-report").replaceChildren(fault(error));
  }
}

function take(files) {
  for (const file of files) {
    const name = file.name || t("ask.picture");
    waiting.push({ file, answer: answers.add(name, framed(URL.createObjectURL(file), name)) });
  }
  answers.update();
  next();
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    answered(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function answered({ file, answer }) {
  if (!answers.isListed(answer)) return; // removed in the meantime
  const began = performance.now();
  const version = trying()?.version;
  try {
    const said = await predicted(file, version);
    answer.milliseconds = performance.now() - began;
    answer.usual = version ? await predicted(file) : null; // the answer of the version in service, to compare
    if (!version) await heardOf(said.model_version); // the answer is shown with what is known of its version
    answer.said = said;
    say(`${answer.name}: ${verdict(said)}`);
  } catch (error) {
    answer.problem = wrong(error, answer.name);
    say(`${answer.name}: ${answer.problem}`);
  }
  answers.update();
  await keep(answer, file);
}

// With the class activation map, if the version has one.
async function predicted(file, version) {
  const asked = version ? `version=${version}` : "";
  try {
    return await posted(`predict?explain=true&${asked}`, file);
  } catch (error) {
    if (error.type !== UNEXPLAINABLE) throw error;
    return posted(`predict?${asked}`, file);
  }
}

async function posted(path, file) {
  return (await send(path, { method: "POST", body: file, headers: BYTES })).json();
}
