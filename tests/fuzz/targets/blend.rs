//! The reader of references: Blend.
#![no_main]

versync_fuzz::reader!(Blend);
