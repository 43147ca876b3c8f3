//! The reader of references: Ifc.
#![no_main]

versync_fuzz::reader!(Ifc);
