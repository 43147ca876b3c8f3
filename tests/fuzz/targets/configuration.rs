//! A configuration of any bytes is accepted or refused with problems that steer no terminal.
#![no_main]

use versync::config::{Environment, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = parse(text, "versync.toml", &Environment::default()) {
        let told = problems.to_string();
        assert!(told.chars().all(|it| it == '\n' || !it.is_control()), "{told:?}");
    }
});
