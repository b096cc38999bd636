// Pictures by their address: pasted as text, or dragged from another window.

import { t } from "../parts/texts.js";

const SOURCE = /<img\b[^>]*?\bsrc\s*=\s*["']([^"']+)["']/gi;
const ADDRESS = /^(https?:\/\/|data:image\/)/i;

// The addresses in what was dropped or pasted. Those of images in HTML come first: for an image inside a link, the list
// of addresses names the link.
export function addresses(transfer) {
  const images = [...transfer.getData("text/html").matchAll(SOURCE)].map(([, source]) => source.replaceAll("&amp;", "&"));
  const lines = (transfer.getData("text/uri-list") || transfer.getData("text/plain")).split(/\s+/);
  return (images.length ? images : lines).filter((address) => ADDRESS.test(address));
}

// The picture at an address, as a file. The browser fetches it, without cookies, if its site allows that (CORS).
export async function fetched(address) {
  const { host, pathname } = new URL(address);
  let answer;
  try {
    answer = await fetch(address, { credentials: "omit", referrerPolicy: "no-referrer" });
  } catch {
    throw new Error(t("wrong.cors", { host }));
  }
  if (!answer.ok) throw new Error(t("wrong.status", { host, status: answer.status }));
  return new File([await answer.blob()], named(pathname, address));
}

function named(path, address) {
  const last = address.startsWith("data:") ? "" : path.split("/").at(-1);
  try {
    return decodeURIComponent(last) || t("ask.picture");
  } catch {
    return last; // it has a % that encodes nothing
  }
}
