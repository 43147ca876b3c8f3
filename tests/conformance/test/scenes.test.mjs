// What uploads become, and the sessions in which people look at it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as api from "@3dverse/api";
import { start, upload } from "../emulator.mjs";
import * as shape from "../shapes.mjs";

let emulator;
let folder_id;
let source_file_id;
let assets;
before(async () => {
  emulator = await start("conversion_ms=0");
  api.setUserToken(emulator.user_token);
  folder_id = (await api.createSubfolder({ folder_id: emulator.folder_id, name: "scenes" })).data.folder_id;
  const task = await upload(folder_id, { "chair.obj": "v", "oak.png": "p" });
  ({ source_file_id } = task.conversion_tasks[0]);
  assets = (await api.getFolderAssets({ folder_id })).data;
});
after(() => emulator.stop());

const the = (container) => ({ asset_container: container, asset_id: assets[container][0].asset_id });
const total = (list) => Object.values(list).flat().length;

test("assets are listed, counted by type, and filtered in every way", async () => {
  const listed = await api.getFolderAssets({ folder_id });
  shape.assets(listed.data);
  const counts = { total: 4, scene: 1, mesh: 1, material: 1, texture: 1 };
  assert.deepEqual(listed.headers["x-assets-count"], counts);
  const by = async (filter, more) => {
    const { data } = await api.getFolderAssets({ folder_id, filter, ...more });
    shape.assets(data);
    return Object.keys(data).sort();
  };
  assert.deepEqual(await by({ asset_type: "mesh" }), ["meshes"]);
  assert.deepEqual(await by({ asset_type: ["scene", "mesh"] }), ["meshes", "scenes"]);
  assert.deepEqual(await by({ asset_name: "Main Scene" }), ["scenes"]);
  assert.deepEqual(await by({ source_file: source_file_id }), ["materials", "meshes", "scenes"]);
  assert.deepEqual(await by({ source_file: [source_file_id] }), ["materials", "meshes", "scenes"]);
  assert.deepEqual(await by({ source_file: "exclude" }), []);
  assert.deepEqual(await by(undefined, { recursive: true, limit: 100 }), Object.keys(assets).sort());
  assert.equal(total((await api.getFolderAssets({ folder_id, offset: 3, limit: 10 })).data), 1);
  const { data: everywhere } = await api.listAssets({
    filter: { asset_type: ["texture", "cubemap"], asset_name: "Texture of part 1", include_public_assets: true },
  });
  shape.assets(everywhere);
  assert.deepEqual(Object.keys(everywhere), ["textures"]);
});

test("every container is a word of the routes", async () => {
  for (const [type, container] of Object.entries(shape.containers)) {
    const { data } = await api.listAssets({ filter: { asset_type: type }, limit: 100 });
    shape.assets(data);
    assert.ok(Object.keys(data).every((name) => name === container));
  }
});

test("an asset tells its details, source file, folder and description", async () => {
  for (const container of Object.keys(assets)) {
    const asset = the(container);
    const { data: details } = await api.getAssetDetails(asset);
    shape.details(details);
    assert.equal(shape.containers[details.type], container);
    const { data: file } = await api.getAssetSourceFile(asset);
    shape.sourceFile(file);
    assert.equal(file.name, container === "textures" ? "oak.png" : "chair.obj");
    const { data: folder } = await api.getAssetFolder(asset);
    shape.folder(folder);
    assert.equal(folder.folder_id, folder_id);
    const { data: description } = await api.getAssetDescription(asset);
    shape.description(container)(description);
    assert.equal(description.uuid, asset.asset_id);
  }
  await api.renameAsset({ ...the("meshes"), name: "Leg" });
  await api.renameAsset(the("meshes"));
  assert.equal((await api.getAssetDescription(the("meshes"))).data.name, "Leg");
});

test("a thumbnail is bytes, in four sizes, and can be replaced", async () => {
  for (const size of ["large", "medium", "small", "tiny"]) {
    const { data, headers } = await api.getAssetThumbnail({ ...the("scenes"), size });
    assert.match(headers["content-type"], /^image\//);
    assert.equal(Buffer.from(data).toString("latin1", 1, 4), "PNG");
  }
  const body = Buffer.from("not really a picture");
  await api.setAssetThumbnail({ ...the("meshes"), body }, "image/jpg");
  const { data } = await api.getAssetThumbnail({ ...the("meshes"), size: "tiny", default_url: emulator.url });
  assert.ok(body.equals(Buffer.from(data)));
});

test("what an asset uses, and what uses it", async () => {
  const scene = the("scenes");
  const { data: uses } = await api.getAssetDependencies(scene);
  shape.each(shape.dependency)(uses);
  assert.equal(uses.length, 3);
  for (const depth of ["all", "direct", 1, 2]) {
    assert.equal((await api.getAssetDependencies({ ...scene, depth })).data.length, 3);
  }
  const { data: some } = await api.getAssetDependencies({
    ...scene,
    limit: 2,
    filters: { with_asset_types: ["mesh", "texture"], without_asset_types: ["texture"], public: "exclude" },
    properties: ["name", "dependencies", "count", "public", "accessible", "payload_info"],
  });
  shape.each(shape.dependency)(some);
  assert.deepEqual(some.map(({ asset_type, properties }) => [asset_type, properties.is_public]), [["mesh", false]]);
  const { data: none } = await api.getAssetDependencies({ ...scene, filters: { public: "restrict-to" } });
  assert.deepEqual(none, []);
  const { data: users } = await api.getAssetReferences({ ...the("meshes"), properties: ["name", "count", "public"] });
  shape.each(shape.reference)(users);
  assert.deepEqual(users.map(({ asset_id }) => asset_id), [scene.asset_id]);
  shape.each(shape.reference)((await api.getAssetReferences(the("textures"))).data);
});

test("a scene has a box and settings", async () => {
  const scene_id = the("scenes").asset_id;
  shape.box((await api.getSceneAABB({ scene_id })).data);
  assert.equal(typeof (await api.getSceneSettings({ scene_id })).data, "object");
});

test("assets move, and are deleted one by one or together", async () => {
  const { data: target } = await api.createSubfolder({ folder_id, name: "published" });
  const task = await upload(folder_id, { "stool.glb": "s" });
  const { data: made } = await api.getSourceFileAssets(task.conversion_tasks[0]);
  const asset_ids = Object.values(made).flat().map(({ asset_id }) => asset_id);
  await api.moveAssets({ folder_id: target.folder_id, asset_ids });
  assert.equal(total((await api.getFolderAssets({ folder_id: target.folder_id })).data), asset_ids.length);
  const scene_id = made.scenes[0].asset_id;
  await api.deleteAsset({ asset_container: "scenes", asset_id: scene_id });
  await api.deleteAssets({ asset_ids: asset_ids.filter((id) => id !== scene_id) });
  assert.equal(total((await api.getFolderAssets({ folder_id: target.folder_id })).data), 0);
});

test("a session on a scene is created, joined, listed, read, and killed", async () => {
  const scene_id = the("scenes").asset_id;
  const { data: created } = await api.createSession({ scene_id, is_transient: true, options: {} });
  shape.sessionCreated(created);
  const { session_id } = created;
  const { data: joined } = await api.joinSession({ session_id });
  shape.joined(joined);
  const lists = [
    await api.getRunningSessions({}),
    await api.getRunningSessions({ filters: { scene_id } }),
    await api.getRunningSessions({ filters: { folder_id, user_id: emulator.user_id } }),
    await api.getSessionsInFolder({ folder_id }),
    await api.getSceneSessions({ scene_id }),
  ];
  for (const { data } of lists) {
    shape.each(shape.session)(data);
    assert.deepEqual(data.map((session) => session.session_id), [session_id]);
  }
  const { data: session } = await api.getSession({ session_id });
  shape.session(session);
  assert.deepEqual(
    [session.is_transient_session, session.creator_user_id, session.clients.length],
    [true, emulator.user_id, 1],
  );
  const [{ client_id }] = session.clients;
  const { data: client } = await api.getClient({ session_id, client_id });
  shape.client(client);
  assert.deepEqual([client.client_type, client.user_id], ["user", emulator.user_id]);
  await api.kickClientFromSession({ session_id, client_id });
  assert.deepEqual((await api.getSession({ session_id })).data.clients, []);
  await api.killSession({ session_id });
  assert.deepEqual((await api.getRunningSessions({ filters: { scene_id } })).data, []);
});

test("a guest finds and joins the one session", async () => {
  const scene_id = the("scenes").asset_id;
  const { data: other } = await api.createSession({ scene_id });
  const { data: session } = await api.createSession({ scene_id });
  const { data: invited } = await api.generateGuestToken(session);
  shape.invited(invited);
  const { common } = api.axiosInstance.defaults.headers;
  delete common.user_token;
  const headers = { guest_token: invited.guest_token };
  const { data: found } = await api.getRunningSessions({}, headers);
  shape.each(shape.session)(found);
  assert.deepEqual(found.map(({ session_id }) => session_id), [session.session_id]);
  shape.joined((await api.joinSessionAsGuest(headers)).data);
  api.setUserToken(emulator.user_token);
  const { data: now } = await api.getSession(session);
  shape.session(now);
  assert.deepEqual(now.clients.map(({ client_type }) => client_type), ["guest"]);
  await api.killSession(session);
  await api.killSession(other);
});

test("the public token opens what lies in the public folder", async () => {
  api.setApiKey(emulator.api_key);
  const task = await upload(emulator.public_folder_id, { "exhibit.glb": "e" });
  api.setUserToken(emulator.public_token);
  const { data: session } = await api.createSession({ scene_id: task.conversion_tasks[0].asset_id });
  shape.joined((await api.joinSession(session)).data);
  const { data: folders } = await api.listFolders({});
  assert.deepEqual(folders.map(({ folder_id: id }) => id), [emulator.public_folder_id]);
  api.setUserToken(emulator.user_token);
});
