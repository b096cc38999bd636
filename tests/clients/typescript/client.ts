// A client generated from the service's OpenAPI document: `node client.js URL PHOTO` prints its answers as JSON.

import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [url, photo] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url });

const { data: model } = await client.GET("/model");
const form = new FormData();
form.append("file", new Blob([await readFile(photo)]));
const { data: answer } = await client.POST("/predict", {
  params: { query: { unknown_keep: 0.9 } },
  body: { file: "" },
  bodySerializer: () => form,
});
const { error } = await client.GET("/models/{version}", { params: { path: { version: 99 } } });

const probability: number | undefined = answer?.probability;
console.log(JSON.stringify({ classes: model?.classes, label: answer?.label, probability, problem: error }));
