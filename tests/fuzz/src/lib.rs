//! What the targets share: one macro that makes a target of a reader. Knows the public doors of versync and nothing behind them.

/// A target that has one reader of references read the bytes, with little memory to unpack into.
#[macro_export]
macro_rules! reader {
    ($format:ident) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
            use versync::references::{Format, Limits, read};
            let limits = Limits { unpacked: 16 << 20, ..Limits::default() };
            let found = read(Format::$format, &mut std::io::Cursor::new(bytes), &limits)
                .expect("bytes in memory can always be read");
            let named: usize = found.names.iter().map(|name| name.written.len()).sum();
            assert!(named <= 64 * (bytes.len() + 1_000));
        });
    };
}
