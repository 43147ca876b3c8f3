//! The reader of references: Gltf.
#![no_main]

versync_fuzz::reader!(Gltf);
