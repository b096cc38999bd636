// Answers as a CSV file (RFC 4180), for a spreadsheet.

const FIELDS = ["file", "answer", "probability", "unknown", "familiarity", "version", "prediction_id", "problem"];

// One row an answer: {name, said, problem}, of which `said` or `problem` is set; a column for each class at the end.
export function csv(answers) {
  const classes = [...new Set(answers.flatMap(({ said }) => Object.keys(said?.probabilities ?? {})))];
  const rows = answers.map(({ name, said, problem }) => [
    name,
    said && (said.unknown ? "unknown" : said.label),
    said?.probability,
    said?.unknown,
    said?.familiarity,
    said?.model_version,
    said?.prediction_id,
    problem,
    ...classes.map((label) => said?.probabilities[label]),
  ]);
  const columns = [...FIELDS, ...classes.map((label) => `probability of ${label}`)];
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}

// Quoted if it must be. A spreadsheet would run text that begins like a formula, so it gets an apostrophe.
function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Lets the browser save a text as a file of this name.
export const save = (text, name) => saveBlob(new Blob([text], { type: "text/csv;charset=utf-8" }), name);

// Lets the browser save a blob as a file of this name.
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address)); // once the browser has begun to read it
}
