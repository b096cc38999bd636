// The version that Ask asks instead of the one in service, while a user tries it.

import { Refused, get, post } from "./api.js";
import { onChampion } from "./champion.js";

const PLACE = "catdog-trying"; // in this tab's storage: its number, so that a reload goes on with it
const REPOSITORY = "v2/repository/models/catdog";

const watchers = [];
let tried = null; // as GET /models/N describes it

export const trying = () => tried;

export function onTrying(tell) {
  watchers.push(tell);
}

// Loads the version next to the one in service, for which the admin key is needed, and asks it from now on.
export async function tryOut(version) {
  await post(`${REPOSITORY}/load?version=${version}`);
  const described = await get(`models/${version}`);
  if (tried && tried.version !== version) await unload(tried.version); // one at a time: each needs memory
  set(described);
}

export async function stop() {
  const { version } = tried;
  set(null);
  await unload(version);
}

// Asks the version in service again if this one is tried, and frees its memory.
export async function forget(version) {
  if (tried?.version === version) set(null);
  await unload(version);
}

export async function setUp() {
  onChampion((model) => model.version === tried?.version && set(null)); // it was promoted
  const version = sessionStorage.getItem(PLACE);
  if (version) set(await get(`models/${version}`).catch(() => null));
}

function set(described) {
  tried = described;
  if (tried) sessionStorage.setItem(PLACE, tried.version);
  else sessionStorage.removeItem(PLACE);
  watchers.forEach((tell) => tell(tried));
}

async function unload(version) {
  try {
    await post(`${REPOSITORY}/unload?version=${version}`);
  } catch (error) {
    if (![404, 409].includes(error instanceof Refused && error.status)) throw error; // not loaded, or in service
  }
}
