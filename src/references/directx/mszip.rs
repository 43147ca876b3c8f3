//! What DirectX meshes are compressed with: blocks of deflate, each of which goes on with the window of the one before.
//!
//! Source: the MSZIP section of Microsoft's cabinet format, and the block headers of compressed `.x` files.

use std::io::{self, Read};

use super::super::stream::Stream;

/// How far deflate looks back, and the most that one block holds.
const WINDOW: usize = 32 << 10;

/// The content of all blocks, one after the other.
pub(super) struct Blocks<'s, 'a> {
    stream: &'s mut Stream<'a>,
    /// The block that was unpacked last.
    block: Vec<u8>,
    at: usize,
}

impl<'s, 'a> Blocks<'s, 'a> {
    /// Begins behind the file's header, at the length of all content.
    pub(super) fn new(stream: &'s mut Stream<'a>) -> Self {
        stream.skip(4);
        Self { stream, block: Vec::new(), at: 0 }
    }

    /// Unpacks the next block; says whether there was one.
    fn unpack(&mut self) -> io::Result<bool> {
        // The length of the content, that of the block with its mark, and the mark.
        let mut header = [0; 6];
        if !self.stream.exactly(&mut header) {
            return Ok(false);
        }
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "a block of the mesh is damaged");
        let packed =
            usize::from(u16::from_le_bytes([header[2], header[3]])).checked_sub(2).ok_or_else(broken)?;
        let mut bytes = vec![0; packed];
        if &header[4..] != b"CK" || !self.stream.exactly(&mut bytes) {
            return Err(broken());
        }
        // The window goes in front as a stored block, and comes out again in front.
        let window = self.block.clone();
        let length = u16::try_from(window.len()).map_err(|_| broken())?;
        let stored = [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), &window].concat();
        let source = (&*stored).chain(&*bytes);
        self.block.clear();
        let most = (window.len() + WINDOW) as u64;
        flate2::read::DeflateDecoder::new(source).take(most).read_to_end(&mut self.block)?;
        self.at = 0;
        self.block.drain(..window.len().min(self.block.len()));
        Ok(!self.block.is_empty())
    }
}

impl Read for Blocks<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.block.len() && !self.unpack()? {
            return Ok(0);
        }
        let length = (self.block.len() - self.at).min(into.len());
        into[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
