//! The reader of references: Zae.
#![no_main]

versync_fuzz::reader!(Zae);
