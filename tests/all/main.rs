//! The tests that see versync from outside, in one binary.

mod world; // a temporary studio, an emulator, a ledger
mod first_sync; // a tree arrives whole, once, and is known afterwards
mod corpus; // real models and hostile ones: what they name
