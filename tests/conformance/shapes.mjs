// The forms of the official client's type declarations, as checks: every field that is not optional there must be here.

import assert from "node:assert/strict";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const levels = ["read", "write", "manage"];

const text = (value) => assert.equal(typeof value, "string");
const id = (value) => assert.match(value, uuid);
const count = (value) => assert.ok(Number.isInteger(value) && value >= 0, `${value} is no count`);
const number = (value) => assert.ok(Number.isFinite(value), `${value} is no number`);
const flag = (value) => assert.equal(typeof value, "boolean");
const moment = (value) => {
  text(value);
  assert.ok(!Number.isNaN(Date.parse(value)), `${value} is no date-time`);
};
const among = (words) => (value) => assert.ok(words.includes(value), `${value} is not among ${words}`);
const list = (item) => (value) => {
  assert.ok(Array.isArray(value), `${JSON.stringify(value)} is no list`);
  value.forEach(item);
};
/** An object of these fields and no others; a name that ends in `?` may be missing. */
const object = (fields) => (value) => {
  assert.equal(Object.prototype.toString.call(value), "[object Object]", JSON.stringify(value));
  const known = new Set();
  for (const [key, check] of Object.entries(fields)) {
    const name = key.replace(/\?$/, "");
    known.add(name);
    if (name in value) check(value[name]);
    else assert.equal(name, key.slice(0, -1), `${key} is missing in ${JSON.stringify(value)}`);
  }
  for (const name of Object.keys(value)) assert.ok(known.has(name), `${name} is in no declaration`);
};

export const user = object({ user_id: id, username: text, registered_at: moment });
export const token = object({ user_token: text, expires_in: number, expires_on: number });
export const group = object({
  group_id: id,
  name: text,
  "description?": text,
  created_at: moment,
  members: list(
    object({
      user_id: id,
      "joined_at?": moment,
      group_access: among(levels),
      folder_access: among(levels),
    }),
  ),
});
export const folder = (value) =>
  object({
    folder_id: id,
    "parent_folder_id?": id,
    name: text,
    "created_at?": moment,
    "created_by?": user,
    "subfolders?": list(folder),
    "source_file_count?": count,
    "asset_count?": count,
  })(value);
export const accesses = object({
  "users?": list(object({ user_id: id, username: text, access: among(levels) })),
  "groups?": list(object({ group_id: id, name: text, access: among(levels) })),
});
export const sourceFile = object({
  source_file_id: id,
  source_file_original_name: text,
  name: text,
  size: count,
});
export const task = object({
  upload_task_id: id,
  folder_id: id,
  uploaded_at: moment,
  uploaded_by: object({ user_id: id, username: text }),
  progress: number,
  "download_progress?": number,
  status: among(["waiting", "downloading", "pending", "converting", "error", "success", "rejected"]),
  conversion_tasks: list(
    object({
      asset_id: id,
      source_file_id: id,
      source_file_name: text,
      conversion_pipeline: among(["auto-detect", "volume", "scene", "texture", "animation", "point-cloud"]),
      progress: number,
      status: among(["pending", "converting", "error", "success"]),
    }),
  ),
});

/** Every type of asset with its container. */
export const containers = {
  action_map: "action_maps",
  animation: "animations",
  animation_graph: "animation_graphs",
  animation_sequence: "animation_sequences",
  animation_set: "animation_sets",
  collision_geometry: "collision_geometries",
  cubemap: "cubemaps",
  event_map: "event_maps",
  material: "materials",
  mesh: "meshes",
  module: "modules",
  point_cloud: "point_clouds",
  render_graph: "render_graphs",
  scene: "scenes",
  script: "scripts",
  shader: "shaders",
  skeleton: "skeletons",
  sound: "sounds",
  texture: "textures",
  texture_1d: "textures_1d",
  texture_3d: "textures_3d",
  volume_material: "volume_materials",
};
const assetType = among(Object.keys(containers));
export const assets = object(
  Object.fromEntries(
    Object.values(containers).map((name) => [`${name}?`, list(object({ asset_id: id, name: text }))]),
  ),
);
export const details = object({
  asset_id: id,
  name: text,
  type: assetType,
  "created_at?": moment,
  "created_by?": user,
  "last_edited_at?": moment,
  "last_edited_by?": user,
  "contributors?": list(object({ contribution_count: count, user })),
});
export const dependency = object({
  asset_id: id,
  asset_type: assetType,
  "properties?": object({
    "name?": text,
    "direct_count?": count,
    "indirect_count?": count,
    "is_public?": flag,
    "is_accessible?": flag,
    "payload_info?": object({ "hash?": text, "storage_id?": number }),
    "dependencies?": list(object({ asset_id: id, count })),
  }),
});
export const reference = object({
  asset_id: id,
  asset_type: assetType,
  "properties?": object({ "name?": text, "direct_count?": count, "is_public?": flag }),
});
const corner = (value) => {
  list(number)(value);
  assert.equal(value.length, 3);
};
export const box = object({ min: corner, max: corner });
const any = () => {};
/** What descriptions hold besides `uuid` and `name`, of the types that uploads become. */
const descriptions = {
  scenes: { aabb: box, entities: list(any), "settings?": any, "triangleCount?": number },
  meshes: { payloadSize: number, submeshes: list(any) },
  materials: { dataJson: any, isDoubleSided: flag, shaderRef: text },
  textures: { format: number, mips: list(any), payloadTotalSize: number },
  textures_3d: { format: number, mips: list(any), payloadTotalSize: number, "voxelDimensions?": list(number) },
  cubemaps: { faces: list(text) },
  point_clouds: { format: number, payloadTotalSize: number, pointCount: number },
  sounds: {
    bitDepth: number,
    channelCount: number,
    durationInMs: number,
    payloadSize: number,
    sampleCount: number,
    sampleFrequencyInHz: number,
  },
  volume_materials: { rangeMax: number, rangeMin: number },
};
export const description = (container) => object({ uuid: id, name: text, ...descriptions[container] });

export const client = object({
  "client_id?": id,
  "client_type?": among(["user", "guest"]),
  user_id: id,
  username: text,
});
export const session = object({
  session_id: id,
  scene_id: id,
  scene_name: text,
  folder_id: id,
  max_users: count,
  creator_user_id: id,
  created_at: moment,
  country_code: text,
  continent_code: text,
  is_transient_session: flag,
  clients: list(client),
});
export const sessionCreated = object({ session_id: id });
export const joined = object({
  session_token: text,
  endpoint_info: object({ ip: text, port: count, ssl_port: count }),
});
export const invited = object({ "guest_token?": text });

/** Checks every item of a list. */
export const each = (check) => list(check);
