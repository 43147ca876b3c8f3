//! The reader of references: DirectX.
#![no_main]

versync_fuzz::reader!(DirectX);
