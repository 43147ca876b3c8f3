//! versync mirrors local directories of 3D source files into 3dverse folders, and keeps them so.

pub mod emulator;
