//! The reader of references: Ply.
#![no_main]

versync_fuzz::reader!(Ply);
