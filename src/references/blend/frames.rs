//! What zstd compressed, out of as many frames as there are: Blender writes one per megabyte, and an index behind them.

use std::io::{self, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// What a frame begins with.
pub(super) const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// The largest window that a frame may ask for; Blender's frames are no larger than a few megabytes.
const LARGEST_WINDOW: u64 = 64 << 20;

/// The content of all frames, one after the other.
pub(super) struct Frames<'a> {
    source: &'a mut dyn Read,
    decoder: FrameDecoder,
    open: bool,
}

impl<'a> Frames<'a> {
    pub(super) fn new(source: &'a mut dyn Read) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self { source, decoder, open: false }
    }

    /// Begins the next frame; says whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let mut magic = [0; 4];
            if !exactly(self.source, &mut magic)? {
                return Ok(false);
            }
            if magic == MAGIC {
                let mut frame = (&magic[..]).chain(&mut *self.source);
                self.decoder.reset(&mut frame).map_err(broken)?;
                self.open = true;
                return Ok(true);
            }
            // A frame that is to be passed over: sixteen marks stand for it.
            let mut length = [0; 4];
            if u32::from_le_bytes(magic) >> 4 != 0x0184_d2a5 || !exactly(self.source, &mut length)? {
                return Err(broken("what follows a frame is none"));
            }
            let length = u32::from_le_bytes(length).into();
            if io::copy(&mut (&mut *self.source).take(length), &mut io::sink())? < length {
                return Ok(false);
            }
        }
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.open && !self.begin()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut *self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(broken)?;
            }
            let length = self.decoder.read(into)?;
            if length > 0 || into.is_empty() {
                return Ok(length);
            }
            self.open = !self.decoder.is_finished();
        }
    }
}

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn exactly(source: &mut dyn Read, into: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
