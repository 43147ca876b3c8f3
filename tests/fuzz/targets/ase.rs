//! The reader of references: Ase.
#![no_main]

versync_fuzz::reader!(Ase);
