//! The reader of references: Collada.
#![no_main]

versync_fuzz::reader!(Collada);
