//! The room that the ledger takes on its disk, and what is left there. Knows no row.

use super::error::Error;
use super::{Ledger, home};

impl Ledger {
    /// Whether its disk has room for more than the next write. Gives back first what it can do without itself.
    ///
    /// # Errors
    /// [`Error::Directory`] if the disk cannot be asked.
    pub fn has_room(&self) -> Result<bool, Error> {
        // Where even that finds no room, the log stays as it is.
        drop(self.read(home::empty_log));
        let home::Room { free, wanted } = home::room(&self.shared.state_dir)?;
        Ok(free >= wanted)
    }

    /// How many bytes have to be free on its disk for [`Ledger::has_room`].
    ///
    /// # Errors
    /// [`Error::Directory`] if the disk cannot be asked.
    pub fn wanted_room(&self) -> Result<u64, Error> {
        Ok(home::room(&self.shared.state_dir)?.wanted)
    }

    /// Cuts a log that has grown beyond [`super::MOST_LOG`], which is not possible while somebody reads what only the log has; returns the
    /// size that it has then, in bytes.
    ///
    /// # Errors
    /// [`Error`] if the ledger cannot be used any more.
    pub fn cut_log(&self) -> Result<u64, Error> {
        drop(self.lock()?);
        if home::log_size(&self.shared.state_dir) > super::MOST_LOG {
            // A log that cannot be cut now is cut another time.
            drop(self.read(home::empty_log));
        }
        Ok(home::log_size(&self.shared.state_dir))
    }
}
