// The answers of this tab, kept in its session storage, so that they survive a reload; each with a small picture.

const PREFIX = "catdog-answer-";
const FIRST = 40; // answers whose picture is kept in the size of a card, the others' in that of a tile
const [CARD_PIXELS, TILE_PIXELS] = [384, 128]; // the longer side

const previews = new Map(); // place: picture as a data URL

// Keeps an answer: {place, name, said or problem, milliseconds, usual}; `file` is its photo.
export async function keep({ place, name, said, problem, milliseconds, usual }, file) {
  if (file && !previews.has(place)) previews.set(place, await preview(file, place <= FIRST ? CARD_PIXELS : TILE_PIXELS));
  const record = { place, name, said, problem, milliseconds, usual };
  write(place, { ...record, picture: previews.get(place) }) || write(place, record);
}

// The kept answers, the oldest first; `picture` is an address.
export function kept() {
  const keys = Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
  const found = keys.map((key) => JSON.parse(sessionStorage.getItem(key))).sort((one, other) => one.place - other.place);
  for (const { place, picture } of found) previews.set(place, picture);
  return found;
}

export function forgetAll() {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  previews.clear();
}

// Whether there was room for it: a browser keeps about 5 MB for a tab.
function write(place, record) {
  try {
    sessionStorage.setItem(`${PREFIX}${place}`, JSON.stringify(record));
    return true;
  } catch {
    return false;
  }
}

// Undefined for a picture that the browser can't show.
async function preview(file, pixels) {
  try {
    const image = await createImageBitmap(file);
    const scale = Math.min(1, pixels / Math.max(image.width, image.height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    image.close();
    return canvas.toDataURL("image/jpeg", 0.8);
  } catch {
    return undefined;
  }
}
