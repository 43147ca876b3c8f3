//! A name of any bytes: what travels in a part header breaks no line, and what is shown steers no terminal.
#![no_main]

use versync::file::{PartName, RelPath};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(name) = PartName::from_local(bytes) {
        assert!(name.as_str().chars().all(|it| !it.is_control()));
    }
    if let Ok(path) = RelPath::from_bytes(bytes) {
        assert!(path.to_string().chars().all(|it| !it.is_control()));
        assert!(!path.as_path().is_absolute());
        let lead = RelPath::from_bytes(b"a/_up/lead.gltf").expect("a plain path");
        if let Ok(name) = PartName::relative(&path, &lead) {
            assert!(name.as_str().split('/').all(|it| !matches!(it, "" | "." | "..")));
        }
    }
});
