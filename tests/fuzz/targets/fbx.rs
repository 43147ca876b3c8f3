//! The reader of references: Fbx.
#![no_main]

versync_fuzz::reader!(Fbx);
