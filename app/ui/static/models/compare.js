// Two versions next to each other, and whether their accuracies can be compared.

import { get } from "../parts/api.js";
import { byId, el, fault, table } from "../parts/dom.js";
import { count, listed, loss, moment, percent } from "../parts/numbers.js";
import { t } from "../parts/texts.js";
import { rules } from "./decision.js";
import { samePhotos } from "./same_photos.js";
import { interval } from "../teach/outcome.js";

let offered = []; // versions as GET /models lists them

export function setUp() {
  byId("compare").addEventListener("submit", (event) => {
    event.preventDefault();
    show(...["compare-one", "compare-other"].map((id) => Number(byId(id).value)));
  });
}

// Lets the user choose two of these versions.
export function offer(versions) {
  offered = versions.filter(({ problem }) => !problem);
  byId("compare").hidden = offered.length < 2;
  const numbers = offered.map(({ version }) => version);
  for (const [id, usual] of [["compare-one", numbers[0]], ["compare-other", numbers[1]]]) {
    const chosen = numbers.includes(Number(byId(id).value)) ? Number(byId(id).value) : usual;
    byId(id).replaceChildren(...numbers.map((one) => el("option", { value: one, selected: one === chosen }, one)));
  }
}

async function show(one, other) {
  const heading = el("h2", { tabindex: "-1" }, t("compare.heading", { one, other }));
  try {
    const both = await Promise.all([one, other].map((number) => get(`models/${number}`)));
    const columns = ["", ...both.map(({ version }) => t("page.version", { version }))];
    const judged = both.find((mine) => mine.decision?.champion === both.find((its) => its !== mine).version);
    const parts = [el("p", { class: "notice" }, comparable(both, judged)), table(t("compare.numbers"), columns, rows(both))];
    byId("version").replaceChildren(heading, ...parts, (judged && rules(judged)) ?? "", await samePhotos(both));
    heading.focus();
  } catch (error) {
    byId("version").replaceChildren(fault(error));
  }
}

// Whether both were measured on the same photos, and so whether their accuracies can be compared.
function comparable(both, judged) {
  const [one, other] = both;
  if (String([...one.classes].sort()) !== String([...other.classes].sort())) return t("compare.other_classes");
  if (judged?.decision.rules.length) return t("compare.judged", { n: judged.decision.photos });
  const like = both.map(({ version }) => offered.find((listed) => listed.version === version));
  const same = one.metrics.test && other.metrics.test && like.every((it) => it.champion || it.measured_like_champion);
  return same ? t("compare.same", { n: one.metrics.test.photos }) : t("compare.other_photos");
}

function rows(both) {
  const measured = ({ metrics }) => metrics.test ?? metrics.validation;
  const row = (name, shown) => [t(`compare.${name}`), ...both.map(shown)];
  const number = (name, shown) => row(name, (version) => (measured(version) ? shown(measured(version)) : "–"));
  const labels = [...new Set(both.flatMap((version) => Object.keys(measured(version)?.recall ?? {})))];
  const training = ({ training: { photos } }) => count(Object.values(photos.train ?? {}).reduce((sum, some) => sum + some, 0));
  return [
    row("classes", ({ classes }) => listed(classes, "and")),
    row("created", ({ created }) => moment(created)),
    row("trained", training),
    number("photos", ({ photos }) => count(photos)),
    number("accuracy", (its) => `${percent(its.accuracy)} (${interval(its)})`),
    number("log_loss", (its) => loss(its.log_loss)),
    number("calibration_error", (its) => percent(its.calibration_error)),
    ...labels.map((label) => [
      t("decision.recall", { label }),
      ...both.map((version) => (label in (measured(version)?.recall ?? {}) ? percent(measured(version).recall[label]) : "–")),
    ]),
  ];
}
