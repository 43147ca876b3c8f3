//! The reader of the heads of slices.
#![no_main]

use versync::references::dicom::{Sliced, slice};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let head = slice(&mut std::io::Cursor::new(bytes)).expect("bytes in memory can always be read");
    if let Sliced::Of(slice) = head {
        assert!(!slice.series.is_empty() && slice.series.len() <= 64);
    }
});
