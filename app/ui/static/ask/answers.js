// The answers to all photos: a few as cards, many as a grid with a summary, a filter, an order, and details on click.

import { csv, save } from "../parts/csv.js";
import { forgetAll, keep, kept } from "./kept_answers.js";
import { button, byId, el, say } from "../parts/dom.js";
import { count, percent, pluralOf } from "../parts/numbers.js";
import { framed } from "./overlay.js";
import { known, t } from "../parts/texts.js";
import { broken, described } from "./answer.js";

const FEW = 3; // photos that are shown as cards
const [ALL, UNKNOWN, BROKEN] = ["", "unknown", "broken"]; // what is shown; each class is another
const ORDERS = {
  newest: (one, other) => other.place - one.place,
  unsure: (one, other) => certainty(one) - certainty(other),
  sure: (one, other) => certainty(other) - certainty(one),
  name: (one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }),
};

let answers = []; // {place, name, shown, item, said or problem, milliseconds, usual}
let places = 0;
let opened = null; // the answer whose details are shown in the grid

export function setUp() {
  byId("answers-show").addEventListener("change", update);
  byId("answers-order").addEventListener("change", update);
  byId("answers-order").replaceChildren(...Object.keys(ORDERS).map((name) => el("option", { value: name }, t(`grid.by_${name}`))));
  byId("answers-save").addEventListener("click", () => save(csv(visible()), "answers.csv"));
  byId("answers-clear").addEventListener("click", clear);
  for (const { place, name, picture, ...answer } of kept()) Object.assign(add(name, framed(picture ?? "", name), place), answer);
  update();
}

// Adds a photo that isn't answered yet, and returns what `update` shows once its answer is set in it.
export function add(name, shown, place = places + 1) {
  places = place;
  const answer = { place, name, shown, item: el("li") };
  answers.push(answer);
  return answer;
}

// Shows the answers as they are now.
export function update() {
  const isGrid = answers.length > FEW;
  offerKinds();
  const found = visible();
  for (const answer of found) fill(answer, isGrid && answer !== opened);
  byId("answers").className = isGrid ? "answers grid" : "answers";
  byId("answers").replaceChildren(...found.map(({ item }) => item));
  byId("answers-tools").hidden = !answers.length;
  byId("answers-many").hidden = !isGrid;
  byId("ask").classList.toggle("asked", answers.length > 0);
  byId("answers-summary").textContent = isGrid ? summary() : "";
}

// Whether it is still listed, and so worth asking for.
export const isListed = (answer) => answers.includes(answer);

function clear() {
  answers.forEach(({ shown }) => shown.close());
  answers = [];
  opened = null;
  forgetAll();
  update();
  byId("ask-heading").focus();
  say(t("grid.cleared"));
}

function visible() {
  const kind = byId("answers-show").value;
  const found = answers.filter((answer) => answers.length <= FEW || kind === ALL || kindOf(answer) === kind);
  return found.sort(ORDERS[answers.length > FEW ? byId("answers-order").value : "newest"]);
}

// The class of an answer, unknown or broken; null while it is waited for.
function kindOf({ said, problem }) {
  if (problem) return BROKEN;
  if (!said) return null;
  return said.unknown ? UNKNOWN : said.label;
}

// "unknown" and "broken" last.
function kinds() {
  const found = [...new Set(answers.map(kindOf).filter(Boolean))];
  const rank = (kind) => [UNKNOWN, BROKEN].indexOf(kind);
  return found.sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

function offerKinds() {
  const select = byId("answers-show");
  const [wanted, found] = [select.value, kinds()];
  const option = (kind) => el("option", { value: kind, selected: kind === wanted }, kind ? word(kind) : t("grid.all"));
  select.replaceChildren(...[ALL, ...found].map(option));
}

// "41 cats, 17 dogs, 2 unknown, 1 broken"
function summary() {
  const parts = kinds().map((kind) => {
    const number = answers.filter((answer) => kindOf(answer) === kind).length;
    const noun = number === 1 || word(kind) !== kind ? word(kind) : pluralOf(kind);
    return `${count(number)} ${noun}`;
  });
  const waiting = answers.filter((answer) => kindOf(answer) === null).length;
  return [...parts, waiting ? t("grid.waiting", { n: waiting }) : null].filter(Boolean).join(", ");
}

// What an answer is counted as: the name of a class, or a word for an unknown or broken photo.
const word = (kind) => known(`kinds.${kind}`) ?? kind;

const certainty = ({ said }) => (said ? said.probability * (said.unknown ? 0.5 : 1) : 0);

function fill(answer, isTile) {
  const { item, shown } = answer;
  const state = `${isTile} ${kindOf(answer)} ${answer === opened}`;
  if (item.dataset.state === state) return; // it is as it was
  item.dataset.state = state;
  item.className = isTile ? "tile" : "card";
  item.replaceChildren(...(isTile ? [tile(answer)] : [shown.figure, details(answer)]));
}

function details(answer) {
  const close = answer === opened ? button(t("grid.close"), () => toggle(answer), { class: "close" }) : null;
  return el("div", { class: "said" }, close, content(answer));
}

function content(answer) {
  const { name, said, problem } = answer;
  if (problem) return broken(name, problem);
  if (said) return described(answer, () => keep(answer));
  return [el("p", { class: "small name" }, t("grid.looking", { name }))];
}

function tile(answer) {
  const { name, said, problem, shown } = answer;
  const kind = word(kindOf(answer) ?? "…");
  const share = said && !said.unknown ? ` ${percent(said.probability, 0)}` : "";
  const pressed = () => toggle(answer);
  const about = `${name}: ${problem ?? `${kind}${share}`}`;
  const inside = [shown.thumbnail(), el("span", { class: `kind ${problem ? "bad" : ""}` }, kind, share)];
  return el("button", { type: "button", onclick: pressed, title: name, "aria-label": about }, inside);
}

function toggle(answer) {
  opened = opened === answer ? null : answer;
  update();
  const focused = answer.item.querySelector("button");
  focused?.focus({ preventScroll: true });
  answer.item.scrollIntoView({ block: "nearest" });
}
