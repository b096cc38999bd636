// Texts in the reader's language: one file a language in texts/, {group: {name: text}}.

const LANGUAGES = ["en", "de"]; // the first one if the browser asks for none of them

export const language = chosen(navigator.languages);

const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(language);
const texts = await loaded();

// The text "group.name" with its {values} filled in. The value `n` is a number: it is formatted, and chooses the plural form.
export function t(key, values = {}) {
  const found = known(key);
  if (found === null) throw new Error(`There is no text ${key} in ${language}.json.`);
  const text = typeof found === "string" ? found : (found[plurals.select(values.n)] ?? found.other);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    if (values[name] === undefined) throw new Error(`The text ${key} needs the value ${name}.`);
    return name === "n" ? numbers.format(values.n) : values[name];
  });
}

// The text, or null if there is none: for keys with a word from the service in them.
export function known(key) {
  const [group, name] = key.split(".");
  return Object.hasOwn(texts[group] ?? {}, name) ? texts[group][name] : null;
}

// Fills elements with the text that their attribute `data-t` names, and attributes that `data-t-…` names.
export function translate(root) {
  for (const element of root.querySelectorAll("*")) {
    for (const { name, value } of [...element.attributes]) {
      if (name === "data-t") element.prepend(t(value));
      else if (name.startsWith("data-t-")) element.setAttribute(name.slice("data-t-".length), t(value));
    }
  }
  root.documentElement.lang = language;
}

function chosen(wanted) {
  const languages = wanted.map((tag) => tag.split("-")[0].toLowerCase());
  return languages.find((one) => LANGUAGES.includes(one)) ?? LANGUAGES[0];
}

async function loaded() {
  const answer = await fetch(new URL(`../texts/${language}.json`, import.meta.url));
  return answer.json();
}
