//! What editors, operating systems and version control leave behind: the built-in pack of patterns that are never sent.
//!
//! A table of facts about names. It knows no mapping and no disk, and it is asked for every entry of a tree: a look-up
//! costs two hash probes and a handful of prefix and suffix tests, and allocates nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One line of the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Junk {
    /// The names it covers, as a gitignore pattern; names are compared without regard to ASCII case.
    pub pattern: &'static str,
    /// What leaves such a thing behind, or what it is.
    pub reason: &'static str,
}

/// The whole pack, in the order in which it is printed.
///
/// Four shapes of pattern, and no others: `name`, `name/` (a directory), `*suffix`, `prefix*`, the last two also with a
/// `/` at the end. What these cannot say stands in [`ODD`].
pub const PACK: &[Junk] = &[
    // Ours.
    junk(".versyncignore", "versync's own list of exclusions"),
    // Operating systems and file servers.
    junk(".DS_Store", "macOS folder settings"),
    junk("._*", "macOS resource fork (AppleDouble)"),
    junk(".localized", "macOS folder name"),
    junk(".apdisk", "macOS share information"),
    junk("Icon\r", "macOS folder icon"),
    junk(".VolumeIcon.icns", "macOS volume icon"),
    junk(".AppleDouble/", "macOS resource forks"),
    junk(".AppleDB/", "AppleShare database"),
    junk(".AppleDesktop/", "AppleShare database"),
    junk(".Spotlight-V100/", "macOS search index"),
    junk(".fseventsd/", "macOS event log"),
    junk(".DocumentRevisions-V100/", "macOS document versions"),
    junk(".TemporaryItems/", "macOS temporary items"),
    junk("Temporary Items/", "macOS temporary items"),
    junk("Network Trash Folder/", "trash"),
    junk(".Trashes/", "trash"),
    junk(".Trash/", "trash"),
    junk(".Trash-*/", "trash"),
    junk("$RECYCLE.BIN/", "Windows recycle bin"),
    junk("RECYCLER/", "Windows recycle bin"),
    junk("#recycle/", "recycle bin of a file server"),
    junk("@Recycle/", "recycle bin of a file server"),
    junk("@eaDir/", "index of a file server"),
    junk("#snapshot/", "snapshots of a file server"),
    junk("@Recently-Snapshot/", "snapshots of a file server"),
    junk(".snapshot/", "snapshots of a file server"),
    junk(".snapshots/", "snapshots of the file system"),
    junk(".zfs/", "snapshots of the file system"),
    junk("lost+found/", "what a file system check recovered"),
    junk("System Volume Information/", "Windows volume data"),
    junk("Thumbs.db", "Windows thumbnails"),
    junk("ehthumbs.db", "Windows thumbnails"),
    junk("ehthumbs_vista.db", "Windows thumbnails"),
    junk("desktop.ini", "Windows folder settings"),
    junk("pagefile.sys", "Windows swap file"),
    junk("hiberfil.sys", "Windows hibernation file"),
    junk("swapfile.sys", "Windows swap file"),
    junk(".directory", "KDE folder settings"),
    junk(".thumbnails/", "thumbnails"),
    junk(".xvpics/", "thumbnails"),
    junk(".nfs*", "removed while still open on NFS"),
    junk(".fuse_hidden*", "removed while still open on FUSE"),
    junk(".smbdelete*", "removed while still open on SMB"),
    // Version control.
    junk(".git/", "Git repository"),
    junk(".git", "Git worktree or submodule link"),
    junk(".gitignore", "Git settings"),
    junk(".gitattributes", "Git settings"),
    junk(".gitmodules", "Git settings"),
    junk(".gitkeep", "Git placeholder"),
    junk(".svn/", "Subversion data"),
    junk(".hg/", "Mercurial repository"),
    junk(".hgignore", "Mercurial settings"),
    junk(".bzr/", "Bazaar repository"),
    junk(".jj/", "Jujutsu repository"),
    junk("_darcs/", "Darcs repository"),
    junk("CVS/", "CVS data"),
    junk(".p4config", "Perforce settings"),
    junk(".p4ignore", "Perforce settings"),
    // Other synchronisers, copies and downloads under way.
    junk(".stfolder/", "Syncthing marker"),
    junk(".stversions/", "Syncthing versions"),
    junk(".stignore", "Syncthing settings"),
    junk(".syncthing.*", "Syncthing file under way"),
    junk("~syncthing~*", "Syncthing file under way"),
    junk(".dropbox.cache/", "Dropbox cache"),
    junk(".dropbox", "Dropbox data"),
    junk(".dropbox.attr", "Dropbox data"),
    junk(".rsync-partial/", "rsync file under way"),
    junk(".~tmp~/", "rsync file under way"),
    junk("*.part", "download under way"),
    junk("*.partial", "download under way"),
    junk("*.filepart", "copy under way"),
    junk("*.crdownload", "download under way"),
    junk("*.opdownload", "download under way"),
    junk("*.download", "download under way"),
    junk("*.aria2", "download under way"),
    junk("*.tmp", "temporary file"),
    junk("*.temp", "temporary file"),
    // Editors and office programs.
    junk("*~", "editor backup"),
    junk("*.bak", "backup"),
    junk("*.swp", "Vim swap file"),
    junk("*.swo", "Vim swap file"),
    junk("*.swx", "Vim swap file"),
    junk("4913", "Vim's probe of a directory"),
    junk(".#*", "Emacs lock"),
    junk(".goutputstream-*", "GNOME file under way"),
    junk("*.kate-swp", "Kate swap file"),
    junk("~$*", "lock of an office program"),
    junk("*.lock", "lock file"),
    junk("*.lck", "lock file"),
    junk(".idea/", "editor settings"),
    junk(".vscode/", "editor settings"),
    junk(".vs/", "editor settings"),
    junk("__pycache__/", "compiled Python"),
    junk("*.pyc", "compiled Python"),
    // Programs that make 3D content.
    junk("*.blend@", "Blender file being written"),
    junk("*_autosave.blend", "Blender autosave"),
    junk(".mayaSwatches/", "Maya swatches"),
    junk("*.swatches", "Maya swatches"),
    junk("autosave/", "autosaves"),
    junk("autosaves/", "autosaves"),
    junk("incrementalSave/", "Maya incremental saves"),
    junk("autoback/", "3ds Max autosaves"),
    junk("QuickSave/", "ZBrush quick saves"),
    junk("QuickSave_*", "ZBrush quick save"),
    junk("*.rec", "recovery file"),
    junk("*.autosave", "autosave"),
    junk("*-autosave.kra", "Krita autosave"),
    junk("*_autosave.c4d", "Cinema 4D autosave"),
    junk("~ps*", "Photoshop scratch file"),
    junk("Photoshop Temp*", "Photoshop scratch file"),
];

/// The lines of the pack whose shape is tested by code.
pub const ODD: &[Junk] = &[
    junk("*.blend[0-9]", "older save kept by Blender"),
    junk(".~lock.*#", "lock of an office program"),
    junk("#*#", "Emacs autosave"),
    junk(".*.??????", "rsync file under way"),
];

const fn junk(pattern: &'static str, reason: &'static str) -> Junk {
    Junk { pattern, reason }
}

/// The line of the pack that covers a file of this name (one component, raw bytes).
#[must_use]
pub fn file(name: &[u8]) -> Option<Junk> {
    INDEX.files.find(name).or_else(|| odd(name))
}

/// The line of the pack that covers a directory of this name (one component, raw bytes).
#[must_use]
pub fn directory(name: &[u8]) -> Option<Junk> {
    INDEX.directories.find(name)
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::new);

#[derive(Default)]
struct Index {
    files: Names,
    directories: Names,
}

impl Index {
    fn new() -> Self {
        let mut index = Self::default();
        for line in PACK {
            match line.pattern.strip_suffix('/') {
                Some(pattern) => index.directories.learn(pattern, *line),
                None => index.files.learn(line.pattern, *line),
            }
        }
        index
    }
}

/// No exact name and no extension of the pack is longer than this; longer names need no look-up.
const LONGEST: usize = 32;

#[derive(Default)]
struct Names {
    exact: HashMap<Box<[u8]>, Junk>,
    extensions: HashMap<Box<[u8]>, Junk>,
    prefixes: Vec<(&'static [u8], Junk)>,
    suffixes: Vec<(&'static [u8], Junk)>,
}

impl Names {
    fn learn(&mut self, pattern: &'static str, line: Junk) {
        let lower = |text: &str| text.to_ascii_lowercase().into_bytes().into_boxed_slice();
        if let Some(suffix) = pattern.strip_prefix('*') {
            match suffix.strip_prefix('.') {
                Some(extension) if !extension.contains('.') => {
                    self.extensions.insert(lower(extension), line);
                }
                Some(_) | None => self.suffixes.push((suffix.as_bytes(), line)),
            }
        } else if let Some(prefix) = pattern.strip_suffix('*') {
            self.prefixes.push((prefix.as_bytes(), line));
        } else {
            self.exact.insert(lower(pattern), line);
        }
    }

    fn find(&self, name: &[u8]) -> Option<Junk> {
        let mut buffer = [0; LONGEST];
        if let Some(line) = lower_into(name, &mut buffer).and_then(|name| self.exact.get(name)) {
            return Some(*line);
        }
        // A bare extension counts too: `.swp` is Vim's swap file of a buffer without a name.
        if let Some(dot) = name.iter().rposition(|byte| *byte == b'.')
            && let Some(line) =
                lower_into(&name[dot + 1..], &mut buffer).and_then(|extension| self.extensions.get(extension))
        {
            return Some(*line);
        }
        let starts = |(prefix, line): &(&[u8], Junk)| {
            name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)).then_some(*line)
        };
        let ends = |(suffix, line): &(&[u8], Junk)| {
            let start = name.len().checked_sub(suffix.len())?;
            name[start..].eq_ignore_ascii_case(suffix).then_some(*line)
        };
        self.prefixes.iter().find_map(starts).or_else(|| self.suffixes.iter().find_map(ends))
    }
}

/// `name` in lower case (ASCII only) in a buffer on the stack; nothing if it does not fit.
pub(super) fn lower_into<'b>(name: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let room = buffer.get_mut(..name.len())?;
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    Some(room)
}

fn odd(name: &[u8]) -> Option<Junk> {
    let [blend, office, emacs, rsync] = ODD else { return None };
    match name {
        [b'#', _, .., b'#'] => Some(*emacs),
        [b'.', b'~', b'l', b'o', b'c', b'k', b'.', .., b'#'] => Some(*office),
        [head @ .., digits] if digits.is_ascii_digit() => {
            // Blender counts its older saves from 1 up to 32: one digit or two.
            let head = match head {
                [shorter @ .., digit] if digit.is_ascii_digit() => shorter,
                _ => head,
            };
            let start = head.len().checked_sub(b".blend".len());
            match start {
                Some(start) if head[start..].eq_ignore_ascii_case(b".blend") => Some(*blend),
                _ => is_rsync(name).then_some(*rsync),
            }
        }
        _ => is_rsync(name).then_some(*rsync),
    }
}

/// rsync writes `.name.ext.AbC123` (mkstemp) beside the target and renames it when it is whole.
fn is_rsync(name: &[u8]) -> bool {
    let Some(dot) = name.len().checked_sub(7) else { return false };
    name[0] == b'.'
        && dot > 1
        && name[dot] == b'.'
        && name[dot + 1..].iter().all(u8::is_ascii_alphanumeric)
        && name[1..dot].contains(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_leave_behind_is_known_by_name() {
        for name in [
            ".DS_Store",
            "Thumbs.db",
            "THUMBS.DB",
            "desktop.ini",
            "._chair.fbx",
            "chair.blend1",
            "chair.BLEND32",
            "chair.blend@",
            "chair_1234_autosave.blend",
            "scene.fbx.tmp",
            "chair.fbx~",
            ".chair.fbx.swp",
            ".~lock.list.odt#",
            "~$list.docx",
            "#chair.obj#",
            ".#chair.obj",
            ".chair.fbx.Ab3dE9",
            "big.glb.part",
            "big.glb.crdownload",
            ".nfs0000000001",
            ".fuse_hidden0001",
            ".versyncignore",
            "chair.ma.lock",
            "4913",
            "QuickSave_3.ZPR",
        ] {
            assert!(file(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn work_is_no_junk() {
        for name in [
            "chair.fbx",
            "chair.blend",
            "chair.blender1",
            ".hidden.fbx",
            "tmp.fbx",
            "part.obj",
            "a.b.c.glb",
            ".scene.gltf",
            "chair#1.fbx",
            "#1.png",
            "v4913.obj",
            "x",
            ".",
            "blend1",
            "Größe.glb",
            ".blendfile",
        ] {
            assert_eq!(file(name.as_bytes()), None, "{name}");
        }
        for name in ["textures", "git", "backup", "tmp", "node_modules", "Trash-1000", ".config"] {
            assert_eq!(directory(name.as_bytes()), None, "{name}");
        }
        assert_eq!(file(&[0xff, 0xfe, b'.', 0xff]), None);
    }

    #[test]
    fn directories_that_hold_only_junk_are_known() {
        for name in [
            ".git",
            ".svn",
            ".mayaSwatches",
            "Autosave",
            "$Recycle.Bin",
            ".Trash-1000",
            "lost+found",
            "__pycache__",
        ] {
            assert!(directory(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn every_line_of_the_pack_is_reachable_and_has_a_reason() {
        for line in PACK {
            let name = line.pattern.replace('*', "x");
            let found = match name.strip_suffix('/') {
                Some(name) => directory(name.as_bytes()),
                None => file(name.as_bytes()),
            };
            assert_eq!(found, Some(*line), "{}", line.pattern);
            assert!(!line.reason.is_empty());
            assert!(line.pattern.len() <= LONGEST || line.pattern.contains('*'));
        }
    }
}
