//! The reader of references: Mtl.
#![no_main]

versync_fuzz::reader!(Mtl);
