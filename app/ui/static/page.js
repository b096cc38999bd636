// The page: shows one section at a time, and sets up all of them.

import * as ask from "./views/ask.js";
import { onChampion, refresh } from "./parts/champion.js";
import { byId } from "./parts/dom.js";
import { ignoreElsewhere } from "./parts/files.js";
import * as key from "./parts/key.js";
import * as models from "./views/models.js";
import * as review from "./views/review.js";
import * as teach from "./views/teach.js";
import { translate } from "./parts/texts.js";
import * as trying from "./parts/trying.js";

const SECTIONS = { ask, teach, models, review };

function show(name, focus) {
  for (const other of Object.keys(SECTIONS)) byId(other).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = byId(`${name}-heading`);
  document.title = name === "ask" ? "catdog" : `${heading.textContent} – catdog`;
  if (focus) {
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  SECTIONS[name].open();
}

function follow(focus) {
  const name = location.hash.slice(1);
  if (name === "main" && focus) return; // the skip link
  show(Object.hasOwn(SECTIONS, name) ? name : "ask", focus);
}

translate(document);
for (const section of Object.values(SECTIONS)) section.setUp();
key.setUp();
ignoreElsewhere();
trying.setUp();
addEventListener("hashchange", () => follow(true));
follow(false);
refresh();
