//! The door to the 3dverse Asset API.
