// Requests to the service. Keys are sent in a header, never in an address.

import { authorization, key, obtain } from "./key.js";
import { worded } from "./sentences.js";
import { t } from "./texts.js";

const AGAIN_MILLISECONDS = 1000; // before a broken stream is requested again

// A request that the service refused: the message says why; `status` and `type` are those of the problem.
export class Refused extends Error {
  constructor(message, status = 0, type = "") {
    super(message);
    this.status = status;
    this.type = type;
  }
}

export const get = (path) => json(path);
export const post = (path, body) => json(path, { method: "POST", body });
export const remove = (path) => json(path, { method: "DELETE" });

export const postJSON = (path, value) => sendJSON("POST", path, value);
export const patchJSON = (path, value) => sendJSON("PATCH", path, value);

function sendJSON(method, path, value) {
  return json(path, { method, body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });
}

// The URL of a picture that may need the key, for an image: revoke it once it is shown.
export async function picture(path) {
  const response = await send(path);
  return URL.createObjectURL(await response.blob());
}

async function json(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

export async function send(path, options = {}) {
  const known = key();
  const response = await reach(path, options, known);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && (await another(known, problem))) return send(path, options);
  const detail = problem.detail ?? problem.error ?? t("errors.answered", { status: response.status });
  throw new Refused(sentence(worded(detail)), response.status, problem.type);
}

async function reach(path, options, known) {
  const headers = new Headers(options.headers);
  if (known) headers.set("Authorization", authorization(known));
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refused(t("errors.unreachable"));
  }
}

// Whether there is a key other than the refused one; asks the user for it.
async function another(refused, problem) {
  if (key() !== null && key() !== refused) return true; // entered in the meantime
  const kind = /\badmin\b/.test(problem.detail) ? "admin" : "predict";
  if ((await obtain(refused === null ? t(`key.${kind}`) : `${t("key.wrong")} ${t(`key.${kind}`)}`)) !== null) return true;
  throw new Refused(t("errors.no_key"), 401);
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

// Server-sent events from the beginning: {id, kind, data} each. Uses fetch, because EventSource can't send a key.
// A broken stream is requested again after its last event, until a stream has ended with an event that `isLast`.
export async function* events(path, isLast, signal) {
  let last = 0;
  let isOver = false;
  while (!signal.aborted && !isOver) {
    try {
      const response = await send(path, { signal, headers: { "Last-Event-ID": String(last) } });
      for await (const event of parsed(response.body)) {
        last = event.id;
        isOver ||= isLast(event);
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status) throw error; // otherwise the connection broke
    }
    if (!isOver) await new Promise((resolve) => setTimeout(resolve, AGAIN_MILLISECONDS));
  }
}

async function* parsed(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.data) yield { id: Number(fields.id), kind: fields.event, data: JSON.parse(fields.data) };
    }
  }
}
