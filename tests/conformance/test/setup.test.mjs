// What is set up once per environment: users, tokens, groups, folders, and who may do what in them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as api from "@3dverse/api";
import { form, start } from "../emulator.mjs";
import * as shape from "../shapes.mjs";

let emulator;
before(async () => (emulator = await start()));
after(() => emulator.stop());

test("a user is registered, listed, read, renamed and deleted", async () => {
  const { data: user } = await api.registerUser({ username: "workstation 7" });
  shape.user(user);
  const { data: users } = await api.listUsers({});
  shape.each(shape.user)(users);
  assert.ok(users.some(({ user_id }) => user_id === user.user_id));
  await api.updateUser({ user_id: user.user_id, username: "workstation 8" });
  const { data: renamed } = await api.getUser({ user_id: user.user_id });
  assert.equal(renamed.username, "workstation 8");
  shape.each(shape.group)((await api.getUserGroups({ user_id: user.user_id })).data);
  shape.each(shape.task)((await api.getUserUploadTasks({ user_id: user.user_id })).data);
  const { data: deleted } = await api.deleteUser({ user_id: user.user_id });
  assert.equal(typeof deleted, "object");
  assert.ok(!(await api.listUsers({})).data.some(({ user_id }) => user_id === user.user_id));
});

test("the set-up of the documentation: a user, a folder, a grant, a token, an upload with it", async () => {
  const { data: user } = await api.registerUser({ username: "versync at the studio" });
  const { data: folder } = await api.createFolder({ name: "Models" });
  shape.folder(folder);
  const member = { folder_id: folder.folder_id, member_type: "users", member_id: user.user_id };
  await api.grantMemberAccessToFolder({ ...member, access: "write" });
  for (const ttl of ["24h", undefined]) {
    const { data: token } = await api.generateUserToken({ user_id: user.user_id, scope: "write", ttl });
    shape.token(token);
    assert.equal(token.expires_in, ttl ? 24 * 3600 : 3600);
    api.setUserToken(token.user_token);
    const { data: receipt } = await api.uploadSourceFiles({
      folder_id: folder.folder_id,
      body: form({ "chair.glb": "a chair" }),
    });
    const { data: task } = await api.getUploadTask({ upload_task_id: receipt.upload_task_id });
    shape.task(task);
    assert.deepEqual(task.uploaded_by, { user_id: user.user_id, username: user.username });
    api.setApiKey(emulator.api_key);
  }
  const own = await api.getUserUploadTasks({ user_id: user.user_id, limit: 1 });
  shape.each(shape.task)(own.data);
  assert.equal(own.data.length, 1);
});

test("access is listed, raised, and taken away", async () => {
  const { data: user } = await api.registerUser({ username: "guest artist" });
  const { data: folder } = await api.createFolder({ name: "Shared" });
  const member = { folder_id: folder.folder_id, member_type: "users", member_id: user.user_id };
  const listed = async () => {
    const { data } = await api.listFolderAccesses({ folder_id: folder.folder_id });
    shape.accesses(data);
    return data.users.map(({ username, access }) => `${username}: ${access}`);
  };
  assert.deepEqual(await listed(), []);
  await api.grantMemberAccessToFolder({ ...member, access: "read" });
  await api.grantMemberAccessToFolder({ ...member, access: "manage" });
  assert.deepEqual(await listed(), ["guest artist: manage"]);
  await api.revokeMemberAccessToFolder(member);
  assert.deepEqual(await listed(), []);
});

test("a group is made, described, joined, granted a folder, and dissolved", async () => {
  const { data: first } = await api.registerUser({ username: "first" });
  const { data: second } = await api.registerUser({ username: "second" });
  const { data: group } = await api.createGroup({
    name: "Modellers",
    description: "make models",
    members: [{ user_id: first.user_id, group_access: "manage", folder_access: "write" }],
  });
  shape.group(group);
  const { group_id } = group;
  await api.updateGroupDescription({ group_id, name: "Sculptors", description: "make sculptures" });
  const membership = { group_id, member_type: "users", member_id: second.user_id };
  await api.grantMemberAccessToGroup({ ...membership, group_access: "read", folder_access: "read" });
  const { data: joined } = await api.getGroup({ group_id });
  shape.group(joined);
  assert.deepEqual([joined.name, joined.description, joined.members.length], ["Sculptors", "make sculptures", 2]);
  const { data: of } = await api.getUserGroups({ user_id: second.user_id });
  shape.each(shape.group)(of);
  assert.deepEqual(of.map((it) => it.group_id), [group_id]);

  const { data: folder } = await api.createFolder({ name: "Of the group" });
  const access = { folder_id: folder.folder_id, member_type: "groups", member_id: group_id };
  await api.grantMemberAccessToFolder({ ...access, access: "write" });
  const { data: accesses } = await api.listFolderAccesses({ folder_id: folder.folder_id });
  shape.accesses(accesses);
  assert.deepEqual(accesses.groups, [{ group_id, name: "Sculptors", access: "write" }]);
  const { data: token } = await api.generateUserToken({ user_id: first.user_id, scope: "write" });
  api.setUserToken(token.user_token);
  await api.uploadSourceFiles({ folder_id: folder.folder_id, body: form({ "bust.obj": "v 0 0 0" }) });
  api.setApiKey(emulator.api_key);

  await api.revokeMemberAccessToFolder(access);
  await api.revokeMemberAccessToGroup(membership);
  assert.equal((await api.getGroup({ group_id })).data.members.length, 1);
  await api.deleteGroup({ group_id });
  assert.deepEqual((await api.getUserGroups({ user_id: first.user_id })).data, []);
});

test("folders: a tree in one call, subfolders, rename, move, delete", async () => {
  const { data: tree } = await api.createFolder({
    name: "Project",
    subfolders: [{ name: "Props", subfolders: [{ name: "Chairs" }] }, { name: "Sets" }],
  });
  shape.folder(tree);
  const [props, sets] = tree.subfolders;
  assert.deepEqual([props.name, props.subfolders[0].name, sets.name], ["Props", "Chairs", "Sets"]);
  assert.equal(props.parent_folder_id, tree.folder_id);

  const { data: made } = await api.createSubfolder({ folder_id: tree.folder_id, name: "Übung · テスト" });
  shape.folder(made);
  const names = async (folder_id) => {
    const { data } = await api.listFolderSubFolders({ folder_id });
    shape.each(shape.folder)(data);
    return data.map(({ name }) => name).sort();
  };
  assert.deepEqual(await names(tree.folder_id), ["Props", "Sets", "Übung · テスト"]);

  await api.updateFolder({ folder_id: made.folder_id, name: "Exercises" });
  await api.updateFolder({ folder_id: made.folder_id });
  const { data: renamed } = await api.getFolderInfo({ folder_id: made.folder_id });
  shape.folder(renamed);
  assert.equal(renamed.name, "Exercises");

  await api.moveFolders({ folder_id: props.folder_id, folder_ids: [sets.folder_id, made.folder_id] });
  assert.deepEqual(await names(props.folder_id), ["Chairs", "Exercises", "Sets"]);
  assert.deepEqual(await names(tree.folder_id), ["Props"]);
  await api.deleteFolder({ folder_id: sets.folder_id });
  assert.deepEqual(await names(props.folder_id), ["Chairs", "Exercises"]);
});

test("folders within reach are listed page by page, ten at a time unless asked otherwise", async () => {
  const wanted = [];
  for (let n = 0; n < 13; n += 1) wanted.push((await api.createFolder({ name: `Page ${n}` })).data.folder_id);
  const first = (await api.listFolders({})).data;
  assert.equal(first.length, 10);
  const found = [];
  for (let offset = 0; ; offset += 10) {
    const { data } = await api.listFolders({ offset });
    shape.each(shape.folder)(data);
    found.push(...data.map(({ folder_id }) => folder_id));
    if (data.length < 10) break;
  }
  assert.ok(wanted.every((id) => found.includes(id)));
  assert.ok((await api.listFolders({ limit: 100 })).data.length >= 13);
});
