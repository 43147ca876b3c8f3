//! The reader of references: Obj.
#![no_main]

versync_fuzz::reader!(Obj);
