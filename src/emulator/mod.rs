//! The emulator of the 3dverse Asset API: a real HTTP server on loopback.
