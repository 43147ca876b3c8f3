//! The reader of references: Tds.
#![no_main]

versync_fuzz::reader!(Tds);
