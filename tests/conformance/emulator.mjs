// Starts the emulator as a user would, by the real binary, and stops it again. It knows no route of the API: everything that is
// asked of the API goes through the official client.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import * as api from "@3dverse/api";

const binary =
  process.env.VERSYNC_BIN ?? fileURLToPath(new URL("../../target/debug/versync", import.meta.url));

/**
 * Starts an emulator and points the official client at it, with its api_key.
 *
 * @param {string[]} knobs  settings in the form `name=value`
 * @returns what the emulator prints of itself, with `stop` and `steer`
 */
export async function start(...knobs) {
  const settings = knobs.flatMap((knob) => ["--knob", knob]);
  const child = spawn(binary, ["emulator", "--json", ...settings], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const heard = await Promise.race([once(lines, "line"), ended]);
  if (typeof heard[0] !== "string") {
    throw new Error(`${binary} emulator ended with ${heard[0]} before it answered`);
  }
  const seeds = JSON.parse(heard[0]);
  api.setBaseURL(seeds.url);
  api.setApiKey(seeds.api_key);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  /** Speaks to the emulator itself, not to the API. */
  const steer = async (method, path, body) => {
    const options = { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const answer = await fetch(new URL(`/_emulator/${path}`, seeds.url), options);
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? undefined : answer.json();
  };
  return { ...seeds, stop, steer };
}

/** An upload body with these files, in one field: `{ "name": bytes }`. */
export function form(files, field = "file") {
  const body = new FormData();
  for (const [name, bytes] of Object.entries(files)) {
    body.append(field, new Blob([bytes]), name);
  }
  return body;
}

/** Asks until the answer is as wanted. */
export async function until(ask, wanted) {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Uploads files and waits for the end of their task, which is the answer. */
export async function upload(folder_id, files, field) {
  const { data } = await api.uploadSourceFiles({ folder_id, body: form(files, field) });
  const task = await until(
    async () => (await api.getUploadTask({ upload_task_id: data.upload_task_id })).data,
    ({ status }) => ["success", "error", "rejected"].includes(status),
  );
  return task;
}
