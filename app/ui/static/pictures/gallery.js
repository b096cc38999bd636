// The gallery: all pictures of a data set, to look at, filter, relabel, move and delete.

import { get, post } from "../parts/api.js";
import { pathOf } from "./changes.js";
import { byId, el, fault, say } from "../parts/dom.js";
import { known, t } from "../parts/texts.js";
import { Thumbnails } from "./thumbnails.js";
import { Tiles } from "./tiles.js";
import { Labelling } from "./labelling.js";
import { enlarge } from "./enlarged.js";

const AT_ONCE = 120; // pictures described by one request
const REQUESTS = 2; // at a time
const KEPT = 30_000; // descriptions
const SETTLED_MILLISECONDS = 50; // after which the pictures in view are requested: while scrolling not for every frame
const FILTERS = ["label", "split", "finding", "opinion"];
const FINDINGS = ["likely-mislabel", "conflicting-labels", "leakage", "near-duplicate", "duplicate", "unreadable"];
const OPINIONS = ["disagrees", "unsure", "unknown"];

let dataset = null;
let like = null; // the picture that the listed ones look like
let labels = [];
let ids = []; // the numbers of the listed pictures, in order
let view = [0, 0]; // the places in view: first, end
let loading = 0; // counts the loads, so that only the last one is shown
let requests = 0;
let waiting = null; // the timer for the next request
const items = new Map(); // descriptions by number; null for a picture that is gone
let tiles, thumbnails, labelling;

export function setUp() {
  thumbnails = new Thumbnails(() => tiles.refillSoon());
  tiles = new Tiles(byId("gallery-tiles"), fill, (first, end) => {
    view = [first, end];
    waiting ??= setTimeout(describe, SETTLED_MILLISECONDS);
  });
  labelling = new Labelling({ tiles, list: () => ids, item: (id) => items.get(id), remove, reload: load, open: show, alike });
  byId("gallery-like").addEventListener("click", () => alike(null));
  for (const name of FILTERS) byId(`gallery-${name}`).addEventListener("change", () => load());
}

export const heading = () => t("gallery.heading", { dataset });

// Opens the data set that the address names.
export async function open(name) {
  if (name !== dataset) {
    dataset = name;
    like = null;
    for (const filter of FILTERS) byId(`gallery-${filter}`).value = "";
    labelling.begin(dataset);
  }
  byId("gallery-heading").textContent = heading();
  await load();
}

const path = (sha256) => `${pathOf(dataset)}/images/${sha256}`;

// Lists the pictures that fit the filters, from the top unless `keep`.
async function load(keep = false) {
  const mine = ++loading;
  const chosen = FILTERS.map((name) => [name, byId(`gallery-${name}`).value]).filter(([, value]) => value);
  if (like) chosen.push(["like", like.sha256]);
  byId("gallery-like").hidden = !like;
  byId("gallery-like").textContent = like ? t("gallery.like", { name: like.name }) : "";
  const asked = (more = {}) => `?${new URLSearchParams([...chosen, ...Object.entries(more)])}`;
  try {
    const whole = () => Promise.all([get(`${pathOf(dataset)}/pictures/ids${asked()}`), get(pathOf(dataset))]);
    const all = showsOpinions() ? null : whole(); // opinions keep the service busy: first those of the first pictures
    all?.catch(() => null); // it is awaited below
    const first = await get(`${pathOf(dataset)}/pictures${asked({ limit: AT_ONCE, opinions: showsOpinions() })}`); // sooner there than the numbers of all
    if (mine !== loading) return;
    items.clear();
    for (const item of first.pictures) items.set(item.id, item);
    if (!keep) list(first.pictures.map((item) => item.id));
    const [found, described] = await (all ?? whole());
    if (mine !== loading) return;
    offer(described.counts);
    byId("gallery-report").replaceChildren();
    list(found.ids);
    labelling.listed(labels, keep);
    tell();
    if (like || showsOpinions()) await look(mine);
  } catch (error) {
    if (mine !== loading) return;
    list([]);
    byId("gallery-report").replaceChildren(fault(error));
  }
}

const showsOpinions = () => Boolean(byId("gallery-opinion").value);

// Lets the model look at the pictures that it hasn't seen, as long as this list is shown, and then lists them again.
async function look(mine) {
  byId("gallery-summary").textContent = t("gallery.asking");
  for (let seen = 0; ; ) {
    const { pictures, judged, left } = await post(`${pathOf(dataset)}/looks`);
    if (mine !== loading) return;
    seen += pictures + judged;
    if (left) byId("gallery-summary").textContent = t("gallery.looking", { n: left });
    else if (seen) return load(true);
    else return tell();
  }
}

// Lists the pictures that look like this one; all of them if there is none.
function alike(item) {
  like = item;
  return load();
}

function list(found) {
  ids = found;
  tiles.resize(ids.length);
}

// Removes pictures from the list that were deleted or moved away.
function remove(gone) {
  list(ids.filter((id) => !gone.has(id)));
  tell();
}

function tell() {
  const isFiltered = like || FILTERS.some((name) => byId(`gallery-${name}`).value);
  const text = ids.length || isFiltered ? t("gallery.listed", { n: ids.length }) : t("gallery.empty");
  byId("gallery-summary").textContent = text;
}

// Fills the filters, which keep their values.
function offer(counts) {
  const numbers = {};
  for (const byLabel of Object.values(counts))
    for (const [label, number] of Object.entries(byLabel)) numbers[label] = (numbers[label] ?? 0) + number;
  labels = Object.keys(numbers).sort();
  options("label", labels.map((label) => [label, `${label} (${numbers[label]})`]));
  options("split", Object.keys(counts).map((split) => [split, t(`splits.${split}`)]));
  options("opinion", OPINIONS.map((kind) => [kind, t(`opinions.${kind}`)]));
  options("finding", FINDINGS.map((kind) => [kind, known(`findings.${kind}`)]));
}

function options(name, choices) {
  const select = byId(`gallery-${name}`);
  const before = select.value;
  const all = el("option", { value: "" }, t("gallery.all"));
  select.replaceChildren(all, ...choices.map(([value, text]) => el("option", { value }, text)));
  select.value = choices.some(([value]) => value === before) ? before : "";
}

// Requests the descriptions of the pictures in view, then their thumbnails.
async function describe() {
  waiting = null;
  const shown = ids.slice(...view);
  thumbnails.want(shown.flatMap((id) => (items.get(id) ? [thumbnail(items.get(id))] : [])));
  const first = shown.findIndex((id) => !items.has(id));
  if (first < 0 || requests >= REQUESTS) return;
  const mine = loading;
  const from = view[0] + first;
  const missing = ids.slice(from, from + AT_ONCE).filter((id) => !items.has(id));
  requests++;
  try {
    for (const id of missing) items.set(id, undefined); // requested
    const found = await get(`${pathOf(dataset)}/pictures?ids=${missing.join(",")}&opinions=${showsOpinions()}`);
    if (mine !== loading) return;
    for (const id of missing) items.set(id, null);
    for (const item of found.pictures) items.set(item.id, item);
    for (const oldest of items.keys()) {
      if (items.size <= KEPT) break;
      items.delete(oldest);
    }
    tiles.refill();
  } catch (error) {
    for (const id of missing) items.delete(id);
    byId("gallery-report").replaceChildren(fault(error));
    return;
  } finally {
    requests--;
  }
  describe();
}

const thumbnail = (item) => `${path(item.sha256)}/thumbnail`;

// Shows what is known of the picture at this place.
function fill(tile, place) {
  const item = items.get(ids[place]);
  const address = item ? thumbnails.address(thumbnail(item)) : undefined;
  const [image, caption] = tile.children;
  const text = item === null ? t("findings.deleted") : said(item);
  tile.setAttribute("aria-label", item ? `${text}, ${t(`splits.${item.split}`)}, ${item.name}` : text || t("gallery.loading"));
  if (caption.textContent !== text) caption.textContent = text;
  image.hidden = !address;
  if (address && image.getAttribute("src") !== address) image.src = address;
  tile.classList.toggle("not-shown", address === null);
  labelling.mark(tile, place);
}

// The class of a picture, and what the model says instead if that is asked.
function said(item) {
  const other = item?.opinion?.label;
  return other && other !== item.label ? t("gallery.says", { label: item.label, other }) : (item?.label ?? "");
}

function show(id) {
  const item = items.get(id);
  if (item) enlarge(item, path(item.sha256));
  else say(t("gallery.loading"));
}
