//! 3D Studio: the map names of materials and the background bitmap.
//!
//! Source: the chunk list of the 3D Studio File Toolkit. A chunk is an id, a length and its content; those that only hold other
//! chunks are entered by reading on behind their header.

use std::io::{BufReader, Read, Seek};

use super::stream::read_up_to;
use super::{Finding, Reference, Unreadable};

const MAIN: [u16; 3] = [0x4d4d, 0x3daa, 0xc23d];
const EDITOR: u16 = 0x3d3d;
const MATERIAL: u16 = 0xafff;
const MAP_NAME: u16 = 0xa300;
const BACKGROUND: u16 = 0x1100;

/// One walk over the chunks.
pub(super) fn read<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    let mut source = BufReader::with_capacity(4 << 10, source);
    let mut first = true;
    loop {
        let mut header = [0; 6];
        let length = read_up_to(&mut source, &mut header)?;
        if length < header.len() {
            if first {
                found.warn("the content is no 3D Studio file");
            }
            return Ok(());
        }
        let id = u16::from_le_bytes([header[0], header[1]]);
        let size = u32::from_le_bytes([header[2], header[3], header[4], header[5]]);
        if std::mem::take(&mut first) && !MAIN.contains(&id) {
            found.warn("the content is no 3D Studio file");
            return Ok(());
        }
        let Some(content) = size.checked_sub(6) else {
            found.warn("a chunk claims less room than its header; what follows is not known");
            return Ok(());
        };
        let is_map = matches!(id, 0xa200 | 0xa204 | 0xa210 | 0xa220 | 0xa230 | 0xa33a..=0xa34f);
        if MAIN.contains(&id) || id == EDITOR || id == MATERIAL || is_map {
            continue;
        }
        let mut left = i64::from(content);
        if id == MAP_NAME || id == BACKGROUND {
            let mut text = vec![0; content.min(1024) as usize];
            let length = read_up_to(&mut source, &mut text)?;
            let name = text[..length].split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
            let kind = if id == MAP_NAME { "3ds:mapname" } else { "3ds:background" };
            found.push(Reference::new(kind, name));
            left -= length as i64;
        }
        source.seek_relative(left)?;
    }
}
