//! A ledger of any bytes is opened, set aside or refused, and never believed.
#![no_main]

use versync::ledger::Ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let home = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(home.path().join("ledger.db"), bytes).expect("a file in it");
    let _ = Ledger::open(home.path());
});
