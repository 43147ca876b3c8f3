//! Binary FBX: a walk over the node headers, by their end offsets. Arrays and geometry are passed over unread.

use std::io::{BufReader, Read, Seek};

use super::super::stream::read_up_to;
use super::super::{Finding, Unreadable};
use super::{Harvest, MAGIC, Value};

/// From this version on offsets have 64 bits.
const WIDE: u32 = 7500;

/// How many values in front of a node's children are looked at.
const VALUES: u64 = 16;

/// One walk over the nodes.
pub(in super::super) fn read<R: Read + Seek>(source: &mut R, found: &mut Finding) -> Result<(), Unreadable> {
    let length = source.seek(std::io::SeekFrom::End(0))?;
    source.rewind()?;
    let mut walk = Walk { source: BufReader::with_capacity(8 << 10, source), at: 0, end: length, big: false };
    let mut header = [0; 27];
    if !walk.exactly(&mut header)? || !header.starts_with(MAGIC) || header[20] != 0 || header[21] != 0x1a {
        found.warn("the content is no binary FBX: its header is damaged");
        return Ok(());
    }
    walk.big = header[22] == 1;
    let version = walk.number(&header[23..27]);
    let mut harvest = Harvest::new(found.limits.references);
    if let Err(damage) = walk.nodes(version >= u64::from(WIDE), &mut harvest, found)? {
        found.warn(damage);
    }
    harvest.finish(found);
    Ok(())
}

struct Walk<R> {
    source: BufReader<R>,
    at: u64,
    end: u64,
    big: bool,
}

impl<R: Read + Seek> Walk<R> {
    fn nodes(
        &mut self,
        wide: bool,
        harvest: &mut Harvest,
        found: &Finding,
    ) -> Result<Result<(), &'static str>, Unreadable> {
        let mut ends = vec![self.end];
        let mut header = [0; 25];
        let (size, word) = if wide { (25, 8) } else { (13, 4) };
        while let Some(end) = ends.last().copied() {
            if self.at >= end {
                ends.pop();
                if !ends.is_empty() {
                    harvest.close();
                }
                continue;
            }
            if !self.exactly(&mut header[..size])? {
                return Ok(Err("the file is cut off"));
            }
            let [stop, count, space] = [0, 1, 2].map(|i| self.number(&header[i * word..(i + 1) * word]));
            let mut name = vec![0; header[size - 1].into()];
            if !self.exactly(&mut name)? {
                return Ok(Err("the file is cut off"));
            }
            if stop == 0 {
                // The record that ends a list of children; at the top, the file's footer follows.
                ends.pop();
                let Some(_) = ends.last() else { return Ok(Ok(())) };
                harvest.close();
                self.go_to(end)?;
                continue;
            }
            let values_end = self.at.saturating_add(space);
            if stop > end || values_end > stop {
                return Ok(Err("a node claims more room than there is; what follows is not known"));
            }
            if Harvest::passes_over(&name) {
                self.go_to(stop)?;
                continue;
            }
            let values = self.values(count.min(VALUES), values_end, found.limits.name)?;
            self.go_to(values_end)?;
            harvest.open(&name, &values);
            if ends.len() >= found.limits.depth {
                self.go_to(stop)?;
                harvest.close();
                continue;
            }
            ends.push(stop);
        }
        Ok(Ok(()))
    }

    /// The first values in front of a node's children.
    fn values(&mut self, count: u64, end: u64, room: usize) -> Result<Vec<Value>, Unreadable> {
        let mut values = Vec::new();
        for _ in 0..count {
            if self.at >= end {
                break;
            }
            let mut kind = [0];
            let mut word = [0; 12];
            if !self.exactly(&mut kind)? {
                break;
            }
            let fixed = match kind[0] {
                b'C' | b'B' => 1,
                b'Y' => 2,
                b'I' | b'F' | b'S' | b'R' => 4,
                b'D' | b'L' => 8,
                b'f' | b'd' | b'l' | b'i' | b'b' => 12,
                _ => break,
            };
            if self.at + fixed as u64 > end || !self.exactly(&mut word[..fixed])? {
                break;
            }
            let number = self.number(&word[..fixed.min(8)]);
            values.push(match kind[0] {
                b'S' | b'R' => {
                    let length = number.min(end - self.at);
                    let stop = self.at + length;
                    if kind[0] == b'R' {
                        self.go_to(stop)?;
                        Value::Content(length)
                    } else {
                        let mut text = vec![0; usize::try_from(length).unwrap_or(room + 1).min(room + 1)];
                        if !self.exactly(&mut text)? {
                            break;
                        }
                        self.go_to(stop)?;
                        Value::Text(text)
                    }
                }
                b'f' | b'd' | b'l' | b'i' | b'b' => {
                    let packed = self.number(&word[8..12]);
                    let encoding = self.number(&word[4..8]);
                    let count = self.number(&word[..4]);
                    let wide = if matches!(kind[0], b'd' | b'l') { 8 } else { 4 };
                    let unpacked = count.saturating_mul(if kind[0] == b'b' { 1 } else { wide });
                    let length = if encoding == 0 { unpacked } else { packed };
                    self.go_to(self.at.saturating_add(length).min(end))?;
                    Value::Other
                }
                b'I' => Value::Number(i64::from(u32::try_from(number).unwrap_or(0).cast_signed())),
                b'L' => Value::Number(number.cast_signed()),
                b'C' | b'B' | b'Y' => Value::Number(i64::try_from(number).unwrap_or(0)),
                _ => Value::Other,
            });
        }
        Ok(values)
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if self.big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    fn exactly(&mut self, into: &mut [u8]) -> Result<bool, Unreadable> {
        let length = read_up_to(&mut self.source, into)?;
        self.at += length as u64;
        Ok(length == into.len())
    }

    /// Goes on at an offset that lies ahead.
    fn go_to(&mut self, offset: u64) -> Result<(), Unreadable> {
        let step = offset.saturating_sub(self.at).min(i64::MAX as u64);
        if step > 0 {
            self.source.seek_relative(step.cast_signed())?;
            self.at += step;
        }
        Ok(())
    }
}
