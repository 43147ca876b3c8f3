// Errors arrive as the client's own. It repeats 403 and 404 for six seconds, so these tests run side by side.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as api from "@3dverse/api";
import { form, start } from "../emulator.mjs";

const nowhere = "00000000-0000-4000-8000-000000000000";
let emulator;
before(async () => (emulator = await start()));
after(() => emulator.stop());

/** Expects the client's `ApiError` with this status, and with a code and a message that our server chose. */
async function refused(status, asking) {
  const error = await asking.then(
    ({ data }) => assert.fail(`${status} was expected, and it answered ${JSON.stringify(data)}`),
    (error) => error,
  );
  assert.ok(error instanceof api.ApiError, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.httpCode, status, error.message);
  assert.equal(typeof error.errorCode, "number");
  assert.ok(error.errorCode > 0 && error.message.length > 0);
  assert.deepEqual(error.serviceError, { errorCode: error.errorCode, message: error.message });
}

// Each request carries its own credential, so that they do not get into each other's way.
const as = (name, value) => ({ api_key: undefined, user_token: undefined, [name]: value });

describe("errors", { concurrency: true }, () => {
  test("401 for no credential, and for an unknown one", async () => {
    await refused(401, api.listFolders({}, as("user_token", undefined)));
    await refused(401, api.listFolders({}, as("user_token", "emulator_user_token_of_nobody")));
    await refused(401, api.listUsers({}, as("api_key", "no key")));
    const body = form({ "a.glb": "a" });
    const folder_id = emulator.folder_id;
    const headers = as("user_token", "expired");
    await refused(401, api.uploadSourceFiles({ folder_id, body }, undefined, headers));
  });

  test("400 for what cannot mean anything", async () => {
    await refused(400, api.getFolderInfo({ folder_id: "not an id" }));
    await refused(400, api.createFolder({ name: "" }));
    await refused(400, api.listFolders({ limit: 0 }));
    await refused(400, api.generateUserToken({ user_id: emulator.user_id, scope: "own", ttl: "1h" }));
    await refused(400, api.generateUserToken({ user_id: emulator.user_id, scope: "read", ttl: "soon" }));
    await refused(400, api.uploadSourceFiles({ folder_id: emulator.folder_id, body: form({}) }));
    await refused(400, api.getSourceFilesInFolder({ folder_id: emulator.folder_id, filters: { name: "x" } }));
  });

  test("409 and 415 where the state or the type forbids it", async () => {
    await refused(409, api.registerUser({ username: emulator.username }));
    await refused(409, api.deleteFolder({ folder_id: await full() }));
    await refused(415, api.axiosInstance.post("/folders", "name=x"));
  });

  test("403 for a right that does not suffice", { timeout: 30_000 }, async () => {
    const reader = await api.generateUserToken({ user_id: emulator.user_id, scope: "read" });
    const headers = as("user_token", reader.data.user_token);
    const { public_folder_id, folder_id, user_token } = emulator;
    const body = () => form({ "a.glb": "a" });
    await Promise.all([
      refused(403, api.createSubfolder({ folder_id, name: "x" }, headers)),
      refused(403, api.uploadSourceFiles({ folder_id, body: body() }, undefined, headers)),
      refused(403, api.getFolderInfo({ folder_id: public_folder_id }, as("user_token", user_token))),
      refused(403, api.listUsers({}, as("user_token", user_token))),
    ]);
  });

  test("404 for what is not there, and for an id of the wrong kind", { timeout: 30_000 }, async () => {
    const { folder_id } = emulator;
    await Promise.all([
      refused(404, api.getFolderInfo({ folder_id: nowhere })),
      refused(404, api.getUploadTask({ upload_task_id: nowhere })),
      refused(404, api.getSourceFileDetails({ source_file_id: folder_id })),
      refused(404, api.deleteSourceFiles({ source_file_ids: [nowhere] })),
      refused(404, api.createSession({ scene_id: nowhere })),
    ]);
  });

  test("what is no error of the API is told apart", { timeout: 30_000 }, async () => {
    const gateway = { status: { status: 400, body: "<html>bad request</html>" } };
    const fault = { method: "GET", route: "/upload-tasks", kind: gateway };
    await emulator.steer("POST", "faults", fault);
    await assert.rejects(api.getUploadTasks({}), (error) => {
      assert.ok(error instanceof api.UnexpectedServiceError);
      assert.deepEqual([error.errorCode, error.httpCode], [0, 400]);
      return true;
    });
  });
});

async function full() {
  const { data } = await api.createFolder({ name: "Full", subfolders: [{ name: "of something" }] });
  return data.folder_id;
}
