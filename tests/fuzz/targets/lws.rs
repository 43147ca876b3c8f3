//! The reader of references: Lws.
#![no_main]

versync_fuzz::reader!(Lws);
