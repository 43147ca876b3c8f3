//! Which file system a root lies on, and what to expect of it: whether events tell of every change, whether inodes last,
//! how coarse its time stamps are. A table of facts from the kernel's `magic.h` and its documentation; opens nothing.

use std::time::Duration;

/// A file system, as far as it matters to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystem {
    /// Its usual name, for a person.
    pub name: &'static str,
    /// Whether events tell of every change.
    pub events: Events,
    /// Whether an inode number names one file for good.
    pub inodes: Inodes,
}

/// Whether events tell of every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Whoever changes it does so through this kernel, which tells us.
    Local,
    /// Others may change it behind this kernel's back; the reason, in words for a person.
    None(&'static str),
}

/// Whether an inode number names one file for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inodes {
    /// It does.
    Stable,
    /// It is made up, and may change when the file system is mounted again or forgets: leave it out of comparisons.
    Unstable,
}

const NETWORK: Events = Events::None("changes made on other machines raise no events");
const USERSPACE: Events = Events::None("a program serves it, and may change it without an event");
const HOST: Events = Events::None("changes made on the host raise no events");

impl FileSystem {
    const fn new(name: &'static str, events: Events, inodes: Inodes) -> Self {
        Self { name, events, inodes }
    }

    /// How coarse its time stamps may be: a change within one tick of the last may leave no trace in them.
    ///
    /// FAT counts mtime in 2 s and HFS+ in 1 s; elsewhere kernels before 6.13 stamp once a jiffy, up to 10 ms.
    #[must_use]
    pub fn stamp_tick(&self) -> Duration {
        match self.name {
            "vfat" | "exfat" | "hfs" | "hfs+" => Duration::from_secs(2),
            _ => Duration::from_millis(10),
        }
    }

    /// The file system with this `f_type`.
    #[must_use]
    pub fn of_magic(magic: u64) -> Self {
        use Inodes::{Stable, Unstable};
        // The kernel keeps a `long`; 32-bit magics may arrive with their sign extended.
        match magic & 0xffff_ffff {
            0xef53 => Self::new("ext4", Events::Local, Stable),
            0x5846_5342 => Self::new("xfs", Events::Local, Stable),
            0x9123_683e => Self::new("btrfs", Events::Local, Stable),
            0xca45_1a4e => Self::new("bcachefs", Events::Local, Stable),
            0x2fc1_2fc1 => Self::new("zfs", Events::Local, Stable),
            0xf2f5_2010 => Self::new("f2fs", Events::Local, Stable),
            0x0102_1994 => Self::new("tmpfs", Events::Local, Stable),
            0x8584_58f6 => Self::new("ramfs", Events::Local, Stable),
            // Writes through the merged mount are told; the layers below it are not supposed to change.
            0x794c_7630 => Self::new("overlay", Events::Local, Stable),
            0x4d44 => Self::new("vfat", Events::Local, Unstable),
            0x2011_bab0 => Self::new("exfat", Events::Local, Unstable),
            0x7366_746e => Self::new("ntfs3", Events::Local, Stable),
            0x482b => Self::new("hfs+", Events::Local, Stable),
            0x4244 => Self::new("hfs", Events::Local, Stable),
            0x9660 => Self::new("iso9660", Events::Local, Stable),
            0x6969 => Self::new("nfs", NETWORK, Stable),
            0x517b | 0xfe53_4d42 => Self::new("smb", NETWORK, Unstable),
            0xff53_4d42 => Self::new("cifs", NETWORK, Unstable),
            0x00c3_6400 => Self::new("ceph", NETWORK, Stable),
            0x5346_414f | 0x6b41_4653 => Self::new("afs", NETWORK, Stable),
            0x0bd0_0bd0 => Self::new("lustre", NETWORK, Stable),
            0x0116_1970 => Self::new("gfs2", NETWORK, Stable),
            0x7461_636f => Self::new("ocfs2", NETWORK, Stable),
            0x4750_4653 => Self::new("gpfs", NETWORK, Stable),
            0x1983_0326 => Self::new("beegfs", NETWORK, Stable),
            0x7375_7245 => Self::new("coda", NETWORK, Unstable),
            0x0102_1997 => Self::new("9p", HOST, Unstable),
            0x786f_4256 => Self::new("vboxsf", HOST, Unstable),
            0xbacb_acbc => Self::new("vmhgfs", HOST, Unstable),
            0x7c7c_6673 => Self::new("prl_fs", HOST, Unstable),
            0x6573_5546 => Self::new("fuse", USERSPACE, Unstable),
            _ => Self::new("unknown", Events::Local, Stable),
        }
    }

    /// The file system with this type name, as macOS and the BSDs tell it.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        use Inodes::{Stable, Unstable};
        match name {
            "apfs" => Self::new("apfs", Events::Local, Stable),
            "hfs" => Self::new("hfs+", Events::Local, Stable),
            "msdos" => Self::new("vfat", Events::Local, Unstable),
            "exfat" => Self::new("exfat", Events::Local, Unstable),
            "nfs" => Self::new("nfs", NETWORK, Stable),
            "smbfs" => Self::new("smb", NETWORK, Unstable),
            "afpfs" => Self::new("afp", NETWORK, Unstable),
            "webdav" => Self::new("webdav", NETWORK, Unstable),
            "macfuse" | "osxfuse" => Self::new("fuse", USERSPACE, Unstable),
            _ => Self::new("unknown", Events::Local, Stable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w10_a_network_root_has_no_events_and_a_local_one_has() {
        for (magic, name) in
            [(0x6969, "nfs"), (0xfe53_4d42, "smb"), (0xff53_4d42, "cifs"), (0x6573_5546, "fuse")]
        {
            let found = FileSystem::of_magic(magic);
            assert_eq!(found.name, name);
            assert!(matches!(found.events, Events::None(_)), "{name}");
        }
        assert_eq!(FileSystem::of_magic(0xef53).events, Events::Local);
        assert_eq!(FileSystem::of_name("apfs").events, Events::Local);
    }

    #[test]
    fn a_magic_number_is_known_with_its_sign_extended() {
        assert_eq!(FileSystem::of_magic(0xffff_ffff_ff53_4d42).name, "cifs");
        assert_eq!(FileSystem::of_magic(0xffff_ffff_9123_683e).name, "btrfs");
    }

    #[test]
    fn fat_stamps_in_two_seconds() {
        assert_eq!(FileSystem::of_magic(0x4d44).stamp_tick(), Duration::from_secs(2));
        assert_eq!(FileSystem::of_magic(0xef53).stamp_tick(), Duration::from_millis(10));
    }
}
