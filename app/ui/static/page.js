// The page: shows one section at a time, and sets up all of them.

import * as ask from "./ask/ask.js";
import * as audit from "./audit/audit.js";
import { onChampion, refresh } from "./parts/champion.js";
import { byId } from "./parts/dom.js";
import { ignoreElsewhere } from "./parts/files.js";
import * as gallery from "./pictures/gallery.js";
import * as key from "./parts/key.js";
import * as models from "./models/models.js";
import * as review from "./pictures/review.js";
import * as teach from "./teach/teach.js";
import { translate } from "./parts/texts.js";
import * as trying from "./parts/trying.js";
import * as webhooks from "./webhooks/webhooks.js";

const SECTIONS = { ask, teach, gallery, models, review, audit, webhooks };
const INSIDE = { gallery: "teach" }; // sections without a link of their own, by the link that leads to them

// `of` is what the section shows: for the gallery, the name of a data set.
function show(name, of, focus) {
  for (const other of Object.keys(SECTIONS)) byId(other).hidden = other !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${INSIDE[name] ?? name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  SECTIONS[name].open(of);
  const heading = byId(`${name}-heading`);
  document.title = name === "ask" ? "catdog" : `${heading.textContent} – catdog`;
  if (focus) {
    heading.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

function follow(focus) {
  const [name, of] = location.hash.slice(1).split("/");
  if (name === "main" && focus) return; // the skip link
  show(Object.hasOwn(SECTIONS, name) ? name : "ask", of, focus);
}

translate(document);
for (const section of Object.values(SECTIONS)) section.setUp();
key.setUp();
ignoreElsewhere();
trying.setUp();
addEventListener("hashchange", () => follow(true));
follow(false);
refresh();
