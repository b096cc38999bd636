// The API page: the addresses of the service, from its OpenAPI document.

import { get } from "./parts/api.js";
import { byId, el, fault, prose, table } from "./parts/dom.js";
import * as key from "./parts/key.js";
import { t, translate } from "./parts/texts.js";
import { trial } from "./trial.js";

const [FORM, JSON_TYPE] = ["multipart/form-data", "application/json"];
const ADMIN = "admin-key"; // the security scheme of addresses that require it or a role above `predict`
const SAMPLE = "app/ui/static/samples/cat.jpg";
const VALUES = { version: "1", job: "latest", model: "catdog", label: "cat" };

async function start() {
  translate(document);
  document.title = `${t("docs.heading")} – catdog`;
  key.setUp();
  try {
    const document_ = await get("openapi.json");
    byId("how").replaceChildren(...prose(t("docs.how")));
    byId("summary").replaceChildren(...prose(document_.info.summary));
    byId("addresses").replaceChildren(...groups(document_));
  } catch (error) {
    byId("addresses").replaceChildren(fault(error));
  }
}

function groups(document_) {
  const byTag = new Map();
  for (const [path, methods] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "other";
      byTag.set(tag, [...(byTag.get(tag) ?? []), shown(document_, method, path, operation)]);
    }
  }
  return [...byTag].map(([tag, operations]) => el("section", {}, el("h2", {}, tag), operations));
}

function shown(document_, method, path, operation) {
  const name = `${method.toUpperCase()} ${path}`;
  const [first, ...rest] = (operation.description ?? "").split("\n\n");
  const tag = needsAdmin(operation) ? el("span", { class: "tag" }, t("docs.role", { role: roleOf(operation) })) : null;
  const summary = el("summary", {}, el("code", {}, name), el("span", { class: "about" }, prose(first)), tag);
  const details = el("details", { class: "address" }, summary);
  details.addEventListener("toggle", () => details.open && fill(), { once: true }); // there are many, and few are opened
  const fill = () => details.append(...content(document_, method, path, operation, name, rest));
  return details;
}

function content(document_, method, path, operation, name, rest) {
  const body = operation.requestBody?.content ?? {};
  const about = needsAdmin(operation) ? "needs_role" : operation.security ? "may_need_key" : "needs_none";
  return [
    ...rest.map((text) => el("p", {}, prose(text))),
    el("p", { class: "small" }, prose(t(`docs.${about}`, { role: roleOf(operation) }))),
    operation.parameters ? parameters(operation.parameters, name) : null,
    ...Object.entries(body).map(([type, { schema }]) => fields(document_, schema, t("docs.body", { type }))),
    responses(document_, operation.responses, name),
    curl(method, path, operation, body),
    trial(method, path, operation.parameters ?? [], body),
  ].filter(Boolean);
}

function parameters(found, name) {
  const about = (one) => el("span", { lang: "en" }, prose(one.description ?? ""));
  const rows = found.map((one) => [one.name, one.in, typeName(one.schema), one.required ? t("docs.required") : "", about(one)]);
  return table(t("docs.parameters", { name }), ["name", "in", "type", "needed", "description"].map((one) => t(`docs.${one}`)), rows);
}

function responses(document_, found, name) {
  const rows = Object.entries(found).map(([status, response]) => [status, response.description]);
  const [success] = Object.entries(found).filter(([status]) => status.startsWith("2"));
  const schema = success?.[1].content?.["application/json"]?.schema;
  const answer = schema ? fields(document_, schema, t("docs.answer", { status: success[0], name })) : null;
  return el("div", {}, answer, table(t("docs.statuses", { name }), [t("docs.status"), t("docs.meaning")], rows));
}

function fields(document_, schema, caption) {
  const whole = resolved(document_, schema);
  if (!whole.properties) return el("p", { class: "small" }, `${caption}: ${typeName(whole)}`);
  const about = (of) => el("span", {}, prose(of.description ?? ""));
  const rows = Object.entries(whole.properties).map(([field, of]) => [field, typeName(of), about(of)]);
  return table(caption, [t("docs.field"), t("docs.type"), t("docs.description")], rows);
}

function resolved(document_, schema) {
  return schema.$ref ? document_.components.schemas[schema.$ref.split("/").at(-1)] : schema;
}

function typeName(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(typeName).join(` ${t("docs.or")} `);
  if (schema.enum) return schema.enum.join(", ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return t("docs.list", { type: typeName(schema.items) });
  if (schema.format === "binary") return t("docs.file");
  return schema.type === "object" && schema.additionalProperties?.type
    ? t("docs.object", { type: typeName(schema.additionalProperties) })
    : (schema.type ?? t("docs.anything"));
}

// A command that works as shown in the folder of catdog, with the admin key where it is required.
function curl(method, path, operation, body) {
  const parts = ["curl", method === "get" ? "" : `-X ${method.toUpperCase()}`];
  if (needsAdmin(operation)) parts.push('--oauth2-bearer "$(cat data/admin.key)"');
  if (body[FORM]) {
    const file = path.endsWith("/archive") ? "pets.zip" : SAMPLE;
    for (const field of Object.keys(body[FORM].schema.properties)) {
      parts.push(field === "file" ? `-F file=@${file}` : `-F ${field}=${VALUES[field] ?? field.toUpperCase()}`);
    }
  } else if (body[JSON_TYPE]) {
    const { example } = body[JSON_TYPE].schema;
    parts.push('-H "Content-Type: application/json"', `-d ${example ? `'${JSON.stringify(example)}'` : "@request.json"}`);
  }
  parts.push(`"${new URL(filled(path), document.baseURI).href.replace(/%7B/g, "{").replace(/%7D/g, "}")}"`);
  return el("pre", { tabindex: "0", role: "region", "aria-label": t("docs.command") }, parts.filter(Boolean).join(" "));
}

// The path with values that exist in most services; others stay as {names}.
function filled(path) {
  const values = { ...VALUES, label: "champion", name: path.includes("/report/") ? "evaluation.json" : "pets" };
  return path.slice(1).replace(/{(\w+)}/g, (whole, name) => values[name] ?? whole);
}

// The role of the key that an address requires; "" if it requires none.
const roleOf = ({ security }) => (security ?? []).flatMap((scheme) => Object.values(scheme).flat())[0] ?? "";

const needsAdmin = ({ security }) => (security ?? []).some((scheme) => ADMIN in scheme);

start();
