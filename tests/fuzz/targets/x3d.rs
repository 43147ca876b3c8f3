//! The reader of references: X3d.
#![no_main]

versync_fuzz::reader!(X3d);
