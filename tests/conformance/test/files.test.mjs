// What a sync tool does all day: upload, follow, list, page, filter, rename, move, download, delete.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import * as api from "@3dverse/api";
import { form, start, until, upload } from "../emulator.mjs";
import * as shape from "../shapes.mjs";

let emulator;
let folder_id;
before(async () => {
  emulator = await start("conversion_ms=40");
  api.setUserToken(emulator.user_token);
});
beforeEach(async () => {
  const name = `folder ${randomBytes(4).toString("hex")}`;
  const made = await api.createSubfolder({ folder_id: emulator.folder_id, name });
  folder_id = made.data.folder_id;
});
after(() => emulator.stop());

const namesOf = ({ data }) => data.map(({ name }) => name).sort();
const idOf = async (name, folder = folder_id) => {
  const { data } = await api.getSourceFilesInFolder({ folder_id: folder, filters: { source_file_name: name } });
  assert.equal(data.length, 1, `${name} in ${JSON.stringify(data)}`);
  return data[0].source_file_id;
};

test("a model with its companions goes in one request and becomes a scene", async () => {
  const set = { "chair.obj": "mtllib chair.mtl", "chair.mtl": "map_Kd oak.png", "oak.png": randomBytes(5000) };
  let progress;
  const body = form(set);
  const { data } = await api.uploadSourceFiles({ folder_id, body }, (event) => (progress = event));
  assert.deepEqual(Object.keys(data), ["upload_task_id"]);
  assert.ok(progress.loaded > 5000);
  const early = (await api.getUploadTask(data)).data;
  shape.task(early);
  const seen = new Set();
  const task = await until(
    async () => (await api.getUploadTask(data)).data,
    (task) => {
      shape.task(task);
      seen.add(task.status);
      return task.status === "success";
    },
  );
  assert.equal(task.folder_id, folder_id);
  const [conversion] = task.conversion_tasks;
  assert.deepEqual([conversion.source_file_name, conversion.conversion_pipeline], ["chair.obj", "scene"]);
  const { data: assets } = await api.getSourceFileAssets({ source_file_id: conversion.source_file_id });
  shape.assets(assets);
  assert.deepEqual(assets.scenes.map(({ asset_id }) => asset_id), [conversion.asset_id]);
  const listed = await api.getSourceFilesInFolder({ folder_id });
  shape.each(shape.sourceFile)(listed.data);
  assert.deepEqual(namesOf(listed), ["chair.mtl", "chair.obj", "oak.png"]);
});

test("the name of the form field does not matter, and every listed format is taken", async () => {
  const names = ["a.FBX", "b.glb", "c.laz", "d.dcm", "e.tiff", "f.hdr", "g.ogg"];
  for (const [index, name] of names.entries()) {
    const task = await upload(folder_id, { [name]: "content" }, ["file", "files", "whatever"][index % 3]);
    assert.equal(task.status, "success", name);
    assert.equal(task.conversion_tasks.length, 1, name);
    const { data } = await api.getSourceFileAssets(task.conversion_tasks[0]);
    for (const [container, list] of Object.entries(data)) {
      for (const { asset_id } of list) {
        const asked = { asset_container: container, asset_id };
        shape.description(container)((await api.getAssetDescription(asked)).data);
      }
    }
  }
  assert.deepEqual(namesOf(await api.getSourceFilesInFolder({ folder_id })), names);
});

test("uploads that fail are told by their task", async () => {
  assert.equal((await upload(folder_id, { "broken.fbx": "BROKEN" })).status, "error");
  assert.equal((await upload(folder_id, { "scene.blend1": "no listed format" })).status, "rejected");
});

test("names travel unharmed", async () => {
  const names = ["Stuhl größer.fbx", "椅子.glb", "it's 100% (new) & \u201cfine\u201d.obj", "a+b c;d.png", "d\u00ebja\u0308.wav"];
  const task = await upload(folder_id, Object.fromEntries(names.map((name) => [name, name])));
  assert.equal(task.status, "success");
  assert.deepEqual(namesOf(await api.getSourceFilesInFolder({ folder_id })), names.toSorted());
  for (const name of names) assert.ok(await idOf(name));
});

test("more than ten files are listed page by page, with their count in a header", async () => {
  const names = Array.from({ length: 25 }, (_, n) => `part ${String(n).padStart(2, "0")}.png`);
  await upload(folder_id, Object.fromEntries(names.map((name) => [name, name])));
  const found = [];
  for (const [offset, length] of [[0, 10], [10, 10], [20, 5], [30, 0]]) {
    const page = await api.getSourceFilesInFolder({ folder_id, offset });
    assert.equal(page.data.length, length);
    assert.equal(page.headers["x-source-files-count"], 25);
    found.push(...page.data.map(({ name }) => name));
  }
  assert.deepEqual(found.sort(), names);
  const all = await api.getSourceFilesInFolder({ folder_id, limit: 100 });
  assert.equal(all.data.length, 25);
  const everywhere = await api.listSourceFiles({ limit: 3 });
  shape.each(shape.sourceFile)(everywhere.data);
  assert.ok(everywhere.headers["x-source-files-count"] >= 25);
  const one = await api.listSourceFiles({ filters: { source_file_name: names[7] } });
  assert.ok(one.data.some(({ name }) => name === names[7]));
});

test("a file is renamed, and remembers its first name", async () => {
  await upload(folder_id, { "draft.glb": "v1" });
  const source_file_id = await idOf("draft.glb");
  await api.updateSourceFileDetails({ source_file_id, name: "final.glb" });
  const { data } = await api.getSourceFileDetails({ source_file_id });
  shape.sourceFile(data);
  assert.deepEqual([data.name, data.source_file_original_name, data.size], ["final.glb", "draft.glb", 2]);
});

test("files and folders move by a list of ids", async () => {
  await upload(folder_id, { "a.png": "a", "b.png": "b", "c.png": "c" });
  const { data: target } = await api.createSubfolder({ folder_id, name: "target" });
  const source_file_ids = [await idOf("a.png"), await idOf("c.png")];
  await api.moveSourceFiles({ folder_id: target.folder_id, source_file_ids });
  assert.deepEqual(namesOf(await api.getSourceFilesInFolder({ folder_id })), ["b.png"]);
  assert.deepEqual(namesOf(await api.getSourceFilesInFolder({ folder_id: target.folder_id })), ["a.png", "c.png"]);
});

test("a file comes back byte by byte", async () => {
  const bytes = randomBytes(3_000_000);
  await upload(folder_id, { "scan.e57": bytes, "empty.png": "" });
  const source_file_id = await idOf("scan.e57");
  const { data } = await api.downloadSourceFile({ source_file_id });
  assert.ok(bytes.equals(Buffer.from(data)));
  const { data: stream } = await api.downloadSourceFile({ source_file_id }, undefined, "stream");
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  assert.ok(bytes.equals(Buffer.concat(pieces)));
  const empty = await api.downloadSourceFile({ source_file_id: await idOf("empty.png") });
  assert.equal(empty.data.byteLength, 0);
});

test("the same name again is another file, with assets of its own", async () => {
  const first = await upload(folder_id, { "chair.glb": "v1" });
  const second = await upload(folder_id, { "chair.glb": "v2" });
  const ids = [first, second].map((task) => task.conversion_tasks[0]);
  assert.notEqual(ids[0].source_file_id, ids[1].source_file_id);
  assert.notEqual(ids[0].asset_id, ids[1].asset_id);
});

test("tasks are listed by folder, for everybody, and by user", async () => {
  await upload(folder_id, { "a.glb": "a" });
  await upload(folder_id, { "b.glb": "b" });
  const of = [
    await api.getUploadTasksInFolder({ folder_id }),
    await api.getUploadTasks({ limit: 100 }),
    await api.getUserUploadTasks({ user_id: emulator.user_id, limit: 100 }),
  ];
  for (const { data } of of) {
    shape.each(shape.task)(data);
    assert.equal(data.filter((task) => task.folder_id === folder_id).length, 2);
  }
  assert.equal((await api.getUploadTasksInFolder({ folder_id, offset: 1 })).data.length, 1);
});

test("files are deleted, alone or with their assets; then their folder", async () => {
  const first = await upload(folder_id, { "keep.glb": "a" });
  const second = await upload(folder_id, { "drop.glb": "b" });
  const [kept, dropped] = [first, second].map((task) => task.conversion_tasks[0]);
  await api.deleteSourceFiles({ source_file_ids: [kept.source_file_id] });
  await api.deleteSourceFiles({ source_file_ids: [dropped.source_file_id], delete_assets: true });
  const files = await api.getSourceFilesInFolder({ folder_id });
  assert.deepEqual([files.data, files.headers["x-source-files-count"]], [[], 0]);
  const assets = await api.getFolderAssets({ folder_id });
  shape.assets(assets.data);
  assert.deepEqual(assets.data.scenes.map(({ asset_id }) => asset_id), [kept.asset_id]);
  const asset_ids = Object.values(assets.data).flatMap((list) => list.map(({ asset_id }) => asset_id));
  await api.deleteAssets({ asset_ids });
  await api.deleteFolder({ folder_id });
  const { data: left } = await api.listFolderSubFolders({ folder_id: emulator.folder_id });
  assert.ok(!left.some((folder) => folder.folder_id === folder_id));
});
