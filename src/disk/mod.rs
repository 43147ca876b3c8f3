//! The door to watched files.
