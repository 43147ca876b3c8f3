//! The reader of references: Glb.
#![no_main]

versync_fuzz::reader!(Glb);
