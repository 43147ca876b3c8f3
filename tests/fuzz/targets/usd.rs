//! The reader of references: Usd.
#![no_main]

versync_fuzz::reader!(Usd);
