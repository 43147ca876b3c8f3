//! versync mirrors local directories of 3D source files into 3dverse folders, and keeps them so.

pub mod cli;
pub mod daemon;
pub mod delivery;
pub mod survey;
pub mod desk;
pub mod deed;
pub mod shelf;
pub mod board;
pub mod pace;
pub mod meter;
pub mod config;
pub mod ledger;
pub mod disk;
pub mod cloud;
pub mod signals;
pub mod emulator;
pub mod ambient;
pub mod worker;
pub mod agenda;
pub mod plan;
pub mod verdict;
pub mod mapping;
pub mod patience;
pub mod file;
pub mod timestamp;
pub mod id;
