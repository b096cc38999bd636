// A form that sends one request and shows the answer, for the API page.

import { send } from "./parts/api.js";
import { busy, el, fault } from "./parts/dom.js";
import { t } from "./parts/texts.js";

const [FORM, JSON_TYPE] = ["multipart/form-data", "application/json"];
const LONGEST = 20_000; // characters of an answer that are shown

export function trial(method, path, parameters, body) {
  const asked = parameters.filter((one) => one.in !== "header").map(asInput);
  const sent = bodyInputs(body);
  const answer = el("pre", { tabindex: "0", role: "region", "aria-label": t("docs.answered"), hidden: true });
  const submit = el("button", { type: "submit" }, t("docs.send"));
  const form = el("form", { class: "row" }, [...asked, ...sent].map((one) => one.label), submit);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(submit, () => show(answer, address(path, asked), { method: method.toUpperCase(), ...encoded(body, sent) }));
  });
  return el("div", {}, form, answer);
}

function asInput({ name, in: place, required, schema }) {
  return { place, ...labelled(name, el("input", { required, autocomplete: "off", value: schema?.default ?? null })) };
}

function labelled(name, input) {
  return { name, input, label: el("label", {}, name, input) };
}

function bodyInputs(body) {
  if (body[FORM]) {
    return Object.entries(body[FORM].schema.properties).map(([name, schema]) => labelled(name, field(schema)));
  }
  if (!body[JSON_TYPE]) return [];
  const text = el("textarea", { rows: "4", spellcheck: "false" }, JSON.stringify(body[JSON_TYPE].schema.example ?? {}));
  return [labelled("body", text)];
}

function field(schema) {
  const isList = schema.type === "array";
  const isFile = (isList ? schema.items : schema).format === "binary";
  return el("input", isFile ? { type: "file", multiple: isList, required: true } : { required: true });
}

function address(path, inputs) {
  const query = new URLSearchParams();
  let filled = path.slice(1);
  for (const { name, place, input } of inputs) {
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value) query.set(name, input.value);
  }
  const asked = query.toString();
  return asked ? `${filled}?${asked}` : filled;
}

function encoded(body, inputs) {
  if (!inputs.length) return {};
  if (!body[FORM]) return { body: inputs[0].input.value, headers: { "Content-Type": JSON_TYPE } };
  const form = new FormData();
  for (const { name, input } of inputs) {
    for (const value of input.files ?? [input.value]) form.append(name, value);
  }
  return { body: form };
}

async function show(answer, path, options) {
  answer.hidden = false;
  answer.textContent = "…";
  try {
    answer.textContent = await asText(await send(path, options));
  } catch (error) {
    answer.replaceChildren(fault(error));
  }
}

async function asText(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (!/json|^text/.test(type)) return `${response.status} ${type}`;
  const text = await response.text();
  const pretty = type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return pretty.slice(0, LONGEST);
}
