// Nothing of the official client is forgotten: each of its functions is driven by a test here, or is no business of a sync tool.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import * as api from "@3dverse/api";

/** What versync, its set-up and its user never need, with what it is for. */
const elsewhere = {
  "editing assets and scenes": [
    "createAsset",
    "createCubemap",
    "createEntity",
    "createMaterial",
    "deleteEntity",
    "getEntity",
    "updateEntity",
  ],
  "3dverse's own formats and their history": [
    "exportAsset",
    "getAssetCode",
    "getAssetCustomTypes",
    "getAssetHistory",
    "getAssetMeta",
    "getAssetPayload",
    "importAssets",
    "packageAsset",
  ],
  "needs an id that no answer tells": ["getConversionTaskMetadata"],
};

test("every function of the official client is driven, or left out for a reason", async () => {
  const here = new URL(".", import.meta.url);
  const files = [...(await readdir(here)).map((name) => new URL(name, here)), new URL("../emulator.mjs", here)];
  const sources = (await Promise.all(files.map((file) => readFile(file, "utf8")))).join("\n");
  const functions = Object.keys(api).filter((name) => typeof api[name] === "function" && /^[a-z]/.test(name));
  const driven = functions.filter((name) => name === "axiosInstance" || sources.includes(`api.${name}(`));
  const left = Object.values(elsewhere).flat();
  assert.deepEqual(functions.filter((name) => !driven.includes(name)).sort(), left.toSorted());
});
