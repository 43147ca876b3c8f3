//! The reader of references: Lwo.
#![no_main]

versync_fuzz::reader!(Lwo);
