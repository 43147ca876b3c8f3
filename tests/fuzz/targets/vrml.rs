//! The reader of references: Vrml.
#![no_main]

versync_fuzz::reader!(Vrml);
