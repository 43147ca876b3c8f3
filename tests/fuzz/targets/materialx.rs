//! The reader of references: MaterialX.
#![no_main]

versync_fuzz::reader!(MaterialX);
