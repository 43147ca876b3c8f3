//! Patterns of any text judge any path without harm: the first line is the path, the rest are the rules.
#![no_main]

use versync::file::RelPath;
use versync::mapping::filter::{Filter, Rules};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (path, rules) = text.split_once('\n').unwrap_or((text, ""));
    let exclude: Vec<String> = rules.lines().map(str::to_owned).collect();
    let filter = Filter::new(Rules { exclude, ..Rules::default() });
    if let (Ok(filter), Ok(path)) = (filter, RelPath::from_bytes(path.as_bytes())) {
        let _ = filter.admits_file(&path);
    }
});
