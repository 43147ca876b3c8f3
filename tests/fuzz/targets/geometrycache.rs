//! The reader of references: GeometryCache.
#![no_main]

versync_fuzz::reader!(GeometryCache);
