//! Each format whole, cut at every length, and as something that only bears its name.

use super::*;

fn judge(container: Container, bytes: &[u8]) -> Option<String> {
    let (head, tail) = container.reach();
    let ends = Ends {
        size: bytes.len() as u64,
        head: &bytes[..head.min(bytes.len())],
        tail: &bytes[bytes.len().saturating_sub(tail)..],
    };
    container.unfinished(&ends)
}

fn glb_of(length: u32, size: usize) -> Vec<u8> {
    let mut bytes = b"glTF\x02\0\0\0".to_vec();
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.resize(size, 7);
    bytes
}

fn las_of(points: u32) -> Vec<u8> {
    let mut bytes = vec![0; 227];
    bytes[..4].copy_from_slice(b"LASF");
    bytes[24..26].copy_from_slice(&[1, 2]);
    bytes[96..100].copy_from_slice(&227_u32.to_le_bytes());
    bytes[105..107].copy_from_slice(&20_u16.to_le_bytes());
    bytes[107..111].copy_from_slice(&points.to_le_bytes());
    bytes.resize(227 + 20 * points as usize, 1);
    bytes
}

fn zip_of(body: usize) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.resize(body, 9);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0\0\0\0\0");
    bytes.extend_from_slice(&4_u32.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(body - 4).unwrap().to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

#[test]
fn a_whole_file_is_finished_and_every_beginning_of_it_that_shows_its_format_is_not() {
    let jpeg = b"\xff\xd8\xff\xe0 an image \xff\xd9".to_vec();
    let png = b"\x89PNG\r\n\x1a\n an image \0\0\0\0IEND\xaeB`\x82".to_vec();
    let ifc = b"ISO-10303-21;\nHEADER;\nENDSEC;\nEND-ISO-10303-21;\n".to_vec();
    let gltf = br#"{"asset":{"version":"2.0"},"images":[{"uri":"a\"}.png"}]}"#.to_vec();
    // How much of the beginning shows the format, and how much of the end may be missing.
    for (container, whole, shows, spare) in [
        (Container::Glb, glb_of(400, 400), 12, 0),
        (Container::Gltf, gltf, 1, 0),
        (Container::Zip, zip_of(90), 4, 0),
        (Container::Png, png, 8, 0),
        (Container::Jpeg, jpeg, 3, 0),
        (Container::Las, las_of(5), 227, 0),
        (Container::Ifc, ifc, 12, 2),
    ] {
        assert_eq!(judge(container, &whole), None, "{container:?}");
        for length in shows..whole.len() - spare {
            assert!(judge(container, &whole[..length]).is_some(), "{container:?} of {length} bytes");
        }
    }
}

#[test]
fn what_does_not_begin_as_its_format_does_is_not_judged() {
    for container in [
        Container::Glb,
        Container::Gltf,
        Container::Zip,
        Container::Png,
        Container::Jpeg,
        Container::Las,
        Container::Ifc,
    ] {
        assert_eq!(judge(container, b"something else altogether"), None, "{container:?}");
        assert_eq!(judge(container, b""), None, "{container:?}");
        assert!(judge(container, &[0; 600]).is_some(), "{container:?}: room that was only set aside");
    }
}

#[test]
fn what_stands_behind_the_end_does_no_harm() {
    assert_eq!(judge(Container::Glb, &glb_of(400, 500)), None);
    assert_eq!(judge(Container::Png, b"\x89PNG\r\n\x1a\n IEND\xaeB`\x82 and a note"), None);
    assert!(judge(Container::Glb, &glb_of(0, 500)).is_some(), "a length that is filled in last");
}

#[test]
fn compressed_points_are_not_judged() {
    let mut laz = las_of(500);
    laz.truncate(300);
    laz[104] |= 0x80;
    assert_eq!(judge(Container::Las, &laz), None);
}
