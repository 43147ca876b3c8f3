//! Files that nobody would write on purpose: of every format, they cost little and break nothing.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::*;

const ALL: [Format; 20] = [
    Format::Gltf,
    Format::Glb,
    Format::Obj,
    Format::Mtl,
    Format::Collada,
    Format::Zae,
    Format::Fbx,
    Format::Tds,
    Format::Ply,
    Format::X3d,
    Format::Vrml,
    Format::Usd,
    Format::MaterialX,
    Format::GeometryCache,
    Format::Lwo,
    Format::Lws,
    Format::DirectX,
    Format::Blend,
    Format::Ifc,
    Format::Ase,
];

/// How a file of each format begins.
const HEADS: [&[u8]; 24] = [
    b"{\"images\":[",
    b"glTF\x02\0\0\0\xff\xff\xff\xff\xff\xff\xff\xffJSON",
    b"mtllib ",
    b"map_Kd ",
    b"<COLLADA><image>",
    b"PK\x03\x04",
    b"; FBX\nVideo: {",
    b"Kaydara FBX Binary  \0\x1a\0\x4c\x1d\0\0",
    b"MM\xff\xff\xff\xff",
    b"ply\n",
    b"<X3D><Inline url='",
    b"#VRML V2.0 utf8\n",
    b"#usda 1.0\n",
    b"PXR-USDC\0\x08\0\0\0\0\0\0",
    b"<materialx>",
    b"<Autodesk_Cache_File>",
    b"FORM\xff\xff\xff\xffLWO2",
    b"FORM\xff\xff\xff\xffLWOB",
    b"LWSC\n",
    b"xof 0303txt 0032",
    b"xof 0303bin 0032",
    b"BLENDER-v402",
    b"ISO-10303-21;",
    b"*BITMAP \"",
];

/// A file of `length` bytes that repeats one text behind a head: as large as wanted, of no memory.
struct Endless<'a> {
    head: &'a [u8],
    again: &'a [u8],
    length: u64,
    at: u64,
}

impl Read for Endless<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX).min(into.len());
        let head = self.head.len() as u64;
        for byte in &mut into[..left] {
            *byte = match usize::try_from(self.at) {
                Ok(at) if self.at < head => self.head[at],
                _ => self.again[usize::try_from((self.at - head) % self.again.len() as u64).unwrap()],
            };
            self.at += 1;
        }
        Ok(left)
    }
}

impl Seek for Endless<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => i128::from(at),
            SeekFrom::End(by) => i128::from(self.length) + i128::from(by),
            SeekFrom::Current(by) => i128::from(self.at) + i128::from(by),
        };
        self.at = u64::try_from(at.clamp(0, i128::from(self.length))).unwrap();
        Ok(self.at)
    }
}

fn endless(format: Format, head: &[u8], again: &[u8], length: u64) -> References {
    read(format, &mut Endless { head, again, length, at: 0 }, &Limits::default()).unwrap()
}

#[test]
fn every_format_survives_the_beginning_of_every_other_with_anything_behind() {
    let behind: [&[u8]; 9] =
        [b"", b"\0", b"\xff", b"(", b"[{\"uri\":", b"<a b='", b"\"", b"@@@", b"A: {\n#1=IFCIMAGETEXTURE('"];
    for format in ALL {
        for head in HEADS {
            for again in behind {
                let bytes = [head, &again.repeat(2_000)].concat();
                let found = read(format, &mut Cursor::new(bytes), &Limits::default()).unwrap();
                assert!(found.names.len() <= 2_000 && found.warnings.len() <= WARNINGS);
            }
        }
    }
}

#[test]
fn an_empty_file_names_nothing_and_says_so() {
    for format in ALL {
        assert_eq!(warnings(format, b""), ["the file is empty"]);
        assert!(told(format, b"\x89PNG\r\n\x1a\n").is_empty());
        assert_eq!(warnings(format, b"\x89PNG\r\n\x1a\n").len(), 1, "{format:?}");
    }
}

#[test]
fn structures_that_nest_without_end_are_left_with_a_warning() {
    for (format, head, again) in [
        (Format::Gltf, &b"{"[..], &b"\"a\":{"[..]),
        (Format::Collada, b"<COLLADA>", b"<a>"),
        (Format::X3d, b"<X3D>", b"<a>"),
        (Format::Vrml, b"#VRML\n", b"A { "),
        (Format::MaterialX, b"<materialx>", b"<a>"),
        (Format::DirectX, b"xof 0303txt 0032", b"A { "),
        (Format::Fbx, b"; FBX\n", b"A: { "),
    ] {
        let found = endless(format, head, again, 1 << 20);
        assert!(found.warnings.iter().any(|warning| warning.contains("too deep")), "{format:?}: {found:?}");
    }
}

#[test]
fn one_name_or_line_of_megabytes_is_no_name_and_is_not_kept() {
    for (format, head) in [
        (Format::Gltf, &b"{\"images\":[{\"uri\":\""[..]),
        (Format::Obj, b"mtllib "),
        (Format::Mtl, b"map_Kd "),
        (Format::Collada, b"<COLLADA><image><init_from>"),
        (Format::X3d, b"<X3D><Inline url='"),
        (Format::Usd, b"#usda 1.0\nasset a = @"),
        (Format::Fbx, b"; FBX\nVideo: \"v\" { FileName: \""),
        (Format::Ase, b"*BITMAP "),
        (Format::Ply, b"ply\ncomment TextureFile "),
    ] {
        let found = endless(format, head, b"x", 8 << 20);
        let longest = Limits::default().name + 64;
        assert!(found.names.iter().all(|name| name.written.len() <= longest), "{format:?}");
    }
}

#[test]
fn a_billion_references_are_cut_with_a_warning() {
    let limits = Limits { references: 100, ..Limits::default() };
    let many = |line: &dyn Fn(usize) -> String| (0..5_000).map(line).collect::<String>();
    for (format, text) in [
        (Format::Obj, many(&|n| format!("mtllib {n}.mtl\n"))),
        (Format::Mtl, many(&|n| format!("map_Kd {n}.png\n"))),
        (Format::Usd, "#usda 1.0\n".to_owned() + &many(&|n| format!("asset a = @{n}.png@\n"))),
        (Format::Collada, "<COLLADA>".to_owned() + &many(&|n| format!("<image source='{n}.png'/>"))),
        (
            Format::Fbx,
            "; FBX\n".to_owned() + &many(&|n| format!("Video: \"{n}\" {{ FileName: \"{n}.png\" }}\n")),
        ),
        (Format::Vrml, "#VRML\n".to_owned() + &many(&|n| format!("Inline {{ url \"{n}.wrl\" }}\n"))),
    ] {
        let found = read(format, &mut Cursor::new(text), &limits).unwrap();
        assert_eq!(found.names.len(), 100, "{format:?}");
        assert!(!found.warnings.is_empty());
    }
}

#[test]
fn a_gzip_bomb_stops_at_its_limit() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(&mut io::repeat(b' ').take(16 << 20), &mut packed).unwrap();
    let packed = packed.finish().unwrap();
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let found = read(Format::Collada, &mut Cursor::new(packed), &limits).unwrap();
    assert!(found.warnings.iter().any(|warning| warning.contains("larger than may be read")), "{found:?}");
}

#[test]
fn a_disk_that_fails_is_an_error_and_no_empty_answer() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }
    for format in ALL {
        assert!(read(format, &mut Failing, &Limits::default()).is_err());
    }
}
