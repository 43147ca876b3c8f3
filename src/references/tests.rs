//! Whole reads of small files: what they name, and what is told of those that are not what they should be.

mod foreign;
mod hostile;

use std::io::Cursor;

use super::*;

/// What a content names, one line each: the name, then its kind, then what is special.
pub(super) fn told(format: Format, bytes: &[u8]) -> Vec<String> {
    let found = read(format, &mut Cursor::new(bytes), &Limits::default()).unwrap();
    found.names.iter().map(line).collect()
}

pub(super) fn warnings(format: Format, bytes: &[u8]) -> Vec<String> {
    read(format, &mut Cursor::new(bytes), &Limits::default()).unwrap().warnings
}

fn line(reference: &Reference) -> String {
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    let mut line = format!("{} [{}]", text(&reference.written), reference.kind);
    for alternative in &reference.alternatives {
        line += &format!(" | {}", text(alternative));
    }
    for item in &reference.list {
        line += &format!(" + {}", text(item));
    }
    if reference.embedded == Embedded::Yes {
        line += " embedded";
    }
    if reference.pattern != Pattern::Plain {
        line += &format!(" {:?}", reference.pattern);
    }
    line
}

#[test]
fn gltf_names_buffers_images_and_what_extensions_hold() {
    let text = r#"{"asset": {"version": "2.0", "extras": {"uri": "no.png"}},
        "buffers": [{"uri": "a%20b.bin"}, {"uri": "data:application/octet-stream;base64,AAAA"}, {"uri": 7}],
        "images": [{"uri": "sub/\u00e4\ud83d\ude02.png"}, {"bufferView": 1}, {"uri": "sub/\u00e4\ud83d\ude02.png"}],
        "extensions": {"KHR_audio": {"audio": [{"uri": "s.mp3"}]}, "EXT_structural_metadata": {"schemaUri": "m.json"}},
        "materials": [{"name": "uri"}, {"name": "\"uri\": \"trap.png\""}]}"#;
    assert_eq!(
        told(Format::Gltf, text.as_bytes()),
        [
            "a%20b.bin [gltf:buffer]",
            "sub/ä😂.png [gltf:image]",
            "s.mp3 [gltf:extension]",
            "m.json [gltf:extension]",
        ]
    );
    assert_eq!(warnings(Format::Gltf, b"[]").len(), 1);
    let inline = format!("{{\"images\":[{{\"uri\":\"data:image/png;base64,{}\"}}]}}", "A".repeat(100_000));
    assert!(
        told(Format::Gltf, inline.as_bytes()).is_empty()
            && warnings(Format::Gltf, inline.as_bytes()).is_empty()
    );
}

#[test]
fn gltf_1_holds_dictionaries_and_its_binary_form_hides_uris() {
    let json = br#"{"buffers": {"binary_glTF": {"uri": "no.bin"}, "b": {"uri": "b.bin"}},
        "images": {"i": {"uri": "no.png", "extensions": {"KHR_binary_glTF": {"bufferView": "v"}}}, "j": {"uri": "j.png"}},
        "shaders": {"s": {"uri": "s.glsl"}}}"#;
    let glb = |version: u32, mark: u32| {
        let words = [version, 0, u32::try_from(json.len()).unwrap(), mark];
        let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        [b"glTF", &words[..], json, br#"{"uri": "behind.png"}"#].concat()
    };
    let names = ["b.bin [gltf:buffer]", "j.png [gltf:image]", "s.glsl [gltf:shader]"];
    assert_eq!(told(Format::Glb, &glb(1, 0)), names);
    assert_eq!(told(Format::Gltf, &glb(1, 0)), names);
    assert_eq!(told(Format::Glb, &glb(2, u32::from_le_bytes(*b"JSON"))).len(), 5);
    assert_eq!(warnings(Format::Glb, &glb(3, 0)).len(), 1);
    assert_eq!(warnings(Format::Glb, b"glTF").len(), 1);
}

#[test]
fn obj_names_libraries_alone_and_in_lists() {
    let text = "# mtllib no.mtl\n  mtllib a.mtl\r\nmtllib red one.mtl blue two.mtl\nv 1 2 3\nMTLLIB \"q u.mtl\"\n\
                mtllib with space.v2 final.mtl\nmtllib long\\\n er.mtl\nusemtl mtllib\nmtllib\nmtllib last.mtl";
    assert_eq!(
        told(Format::Obj, text.as_bytes()),
        [
            "a.mtl [mtllib]",
            "red one.mtl blue two.mtl [mtllib] + red one.mtl + blue two.mtl",
            "q u.mtl [mtllib]",
            "with space.v2 final.mtl [mtllib]",
            "long  er.mtl [mtllib]",
            "last.mtl [mtllib]",
        ]
    );
}

#[test]
fn obj_in_utf16_and_latin1_is_read() {
    let wide: Vec<u8> = "\u{feff}mtllib ä.mtl\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(told(Format::Obj, &wide), ["ä.mtl [mtllib]"]);
    let found = read(Format::Obj, &mut Cursor::new(b"mtllib \xe4.mtl"), &Limits::default()).unwrap();
    assert_eq!(found.names[0].written, b"\xe4.mtl");
}

#[test]
fn mtl_names_textures_behind_their_options() {
    let text = "newmtl map_Kd.png\nKd 1 1 1\n\tmap_Kd -s 1 1 1 tex one.png\nmap_aat on\nrefl -type sphere r.png\n\
                map_bump b.png -bm 0.5\nnorm n.png\nmap_Pr p.png\nmap_Kd\ndisp -mm 0 1 d.png\nmap_Kd \"q.png\"";
    assert_eq!(
        told(Format::Mtl, text.as_bytes()),
        [
            "tex one.png [map_Kd] | -s 1 1 1 tex one.png",
            "r.png [refl] | -type sphere r.png",
            "b.png [map_Bump] | b.png -bm 0.5",
            "n.png [norm]",
            "p.png [map_Pr]",
            "d.png [disp] | -mm 0 1 d.png",
            "q.png [map_Kd] | \"q.png\"",
        ]
    );
}

#[test]
fn collada_names_images_and_other_documents_but_no_ids() {
    let text = r##"<?xml version="1.0"?><COLLADA><library_images>
        <image id="a"><init_from> ./a&amp;b.png </init_from></image>
        <image id="b"><init_from><ref>b.png</ref></init_from></image>
        <image id="c" source="c.png"/><image><init_from><hex format="png">00</hex></init_from></image></library_images>
        <newparam><surface><init_from>a</init_from></surface></newparam>
        <instance_geometry url="#g"/><instance_node url="other.dae#n"/></COLLADA>"##;
    let names =
        ["./a&b.png [init_from]", "b.png [init_from]", "c.png [dae:image]", "other.dae [dae:instance]"];
    assert_eq!(told(Format::Collada, text.as_bytes()), names);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    assert_eq!(told(Format::Collada, &packed.finish().unwrap()), names);
    assert_eq!(warnings(Format::Collada, b"<html/>").len(), 1);
}

#[test]
fn an_archive_of_collada_names_only_what_it_does_not_hold() {
    let document = br#"<COLLADA><image><init_from>in%20side.png</init_from></image>
        <image><init_from>../outside.png</init_from></image></COLLADA>"#;
    let entries: [(&str, &[u8]); 2] = [("d/model.dae", document), ("d/in side.png", b"x")];
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let offset = u32::try_from(body.len()).unwrap().to_le_bytes();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        body.extend(
            [b"PK\x03\x04", &[0; 14][..], &size, &size, &length, &[0; 2], name.as_bytes(), content].concat(),
        );
        let middle = [&[0; 16][..], &size, &size, &length, &[0; 12], &offset].concat();
        directory.extend([b"PK\x01\x02", &middle[..], name.as_bytes()].concat());
    }
    let sizes = [u32::try_from(directory.len()).unwrap(), u32::try_from(body.len()).unwrap()];
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    let archive = [&body[..], &directory, b"PK\x05\x06", &[0; 8], &sizes, &[0; 2]].concat();
    assert_eq!(told(Format::Zae, &archive), ["../outside.png [init_from]"]);
    for length in 1..archive.len() {
        assert!(told(Format::Zae, &archive[..length]).is_empty());
    }
}

#[test]
fn x3d_lists_are_alternatives_and_hyperlinks_are_nothing() {
    let text = r##"<X3D><Scene><Anchor url='"page.html"'><ImageTexture url='"a.png" "http://x/a.png"'/></Anchor>
        <Inline url="b.x3d#View"/><Background frontUrl='"f.png"' backUrl=""/><Script url='ecmascript: f();'/>
        <ImageTexture url='"data:image/png;base64,AA" "no.png"'/><AudioClip url='"s\t.wav"'/></Scene></X3D>"##;
    assert_eq!(
        told(Format::X3d, text.as_bytes()),
        [
            "a.png [x3d:ImageTexture] | http://x/a.png",
            "b.x3d [x3d:Inline]",
            "f.png [x3d:Background]",
            "s\\t.wav [x3d:AudioClip]",
        ]
    );
}

#[test]
fn vrml_tells_the_same_in_tokens() {
    let text = r##"#VRML V2.0 utf8
        # ImageTexture { url "no.png" }
        Anchor { url "page.html" children [ DEF T ImageTexture { url [ "a.png", "http://x/a.png" ] } ] }
        Inline { url "b.wrl" } Texture2 { filename "c.rgb" }
        Script { field MFString url [ "no.js" ] url "javascript: f()" }
        EXTERNPROTO P [ field SFFloat x ] [ "p.wrl#P" "http://x/p.wrl" ]"##;
    assert_eq!(
        told(Format::Vrml, text.as_bytes()),
        [
            "a.png [wrl:ImageTexture] | http://x/a.png",
            "b.wrl [x3d:Inline]",
            "c.rgb [wrl:Texture2]",
            "p.wrl [x3d:ExternProto] | http://x/p.wrl",
        ]
    );
}

#[test]
fn usd_text_tells_paths_by_their_field() {
    let text = r#"#usda 1.0
        ( subLayers = [ @./a.usda@, @b.usd@ (offset = 1) ]  doc = """ @no.png@ "quoted" """ )
        def "x@no.png@" ( # @no.png@
            assetInfo = { asset identifier = @./me.usd@  string name = "n" }
            prepend references = @c.usd@</P>
            payload = [ @@@odd@name.usd@@@ ] ) {
            asset inputs:file = @tex/<UDIM>.png@
            asset other = @pack.usdz[in/side.png]@
            asset e = @@
            asset v = @`"${X}.usd"`@
            asset[] many = [@1.png@, @2.png@]
            uniform asset plain = "p.png"
            string name = "no.png"
            string templateAssetPath = "clip.###.usd"
        }"#;
    assert_eq!(
        told(Format::Usd, text.as_bytes()),
        [
            "./a.usda [usd:sublayer]",
            "b.usd [usd:sublayer]",
            "c.usd [usd:reference]",
            "odd@name.usd [usd:payload]",
            "tex/<UDIM>.png [usd:asset]",
            "pack.usdz [usd:asset]",
            "1.png [usd:asset]",
            "2.png [usd:asset]",
            "p.png [usd:asset]",
            "clip.###.usd [usd:clip] Frames",
        ]
    );
    assert_eq!(warnings(Format::Usd, b"hello").len(), 1);
}

#[test]
fn materialx_prefixes_its_file_names() {
    let text = r#"<materialx fileprefix="tex/"><xi:include href="lib.mtlx"/><image><input name="file" type="filename"
        value="a.png"/></image><nodegraph fileprefix="other/"><input type="filename" value="b.<UDIM>.png"/>
        <input type="string" value="no.png"/><input type="filename" value="[no].png"/><input type="filename" fileprefix="" value="c.png"/></nodegraph></materialx>"#;
    assert_eq!(
        told(Format::MaterialX, text.as_bytes()),
        [
            "lib.mtlx [mtlx:include]",
            "tex/a.png [mtlx:file]",
            "other/b.<UDIM>.png [mtlx:file]",
            "c.png [mtlx:file]",
        ]
    );
}

#[test]
fn a_geometry_cache_implies_its_data_and_other_xml_nothing() {
    let cache = |inner: &str| format!("<Autodesk_Cache_File>{inner}</Autodesk_Cache_File>");
    let told = |text: String| told(Format::GeometryCache, text.as_bytes());
    assert_eq!(told(cache(r#"<cacheType Type="OneFile" Format="mcx"/>"#)), [".mcx [cache:data] Beside"]);
    let frames = r#"<cacheType Type="OneFilePerFrame" Format="mcc"/>"#;
    assert_eq!(told(cache(frames)), ["Frame*.mc [cache:data] BesideFrames"]);
    assert!(told(r#"<other><cacheType Type="OneFile"/></other>"#.to_owned()).is_empty());
}

#[test]
fn ply_names_textures_in_its_header_only() {
    let text = b"ply\rformat ascii 1.0\rcomment TextureFile a b.png\rcomment not TextureFile\robj_info TextureFile c.png\r\
                 end_header\rcomment TextureFile no.png\r";
    assert_eq!(told(Format::Ply, text), ["a b.png [ply:TextureFile]", "c.png [ply:TextureFile]"]);
    assert_eq!(warnings(Format::Ply, b"plyformat").len(), 1);
}

#[test]
fn three_d_studio_names_maps_and_background() {
    let chunk = |id: u16, content: &[u8]| {
        [&id.to_le_bytes()[..], &u32::try_from(content.len() + 6).unwrap().to_le_bytes(), content].concat()
    };
    let map = chunk(0xa200, &[chunk(0x0030, &[1, 2]), chunk(0xa300, b"WOOD.JPG\0")].concat());
    let material = chunk(0xafff, &[chunk(0xa000, b"name.png\0"), map].concat());
    let editor = chunk(0x3d3d, &[chunk(0x4000, &[7; 100]), material, chunk(0x1100, b"sky.bmp\0")].concat());
    let file = chunk(0x4d4d, &editor);
    assert_eq!(told(Format::Tds, &file), ["WOOD.JPG [3ds:mapname]", "sky.bmp [3ds:background]"]);
    assert_eq!(warnings(Format::Tds, &chunk(0x1234, b"")).len(), 1);
    assert_eq!(warnings(Format::Tds, &[&file[..6], &[0; 12]].concat()).len(), 1);
}

#[test]
fn lightwave_names_stills_sequences_and_movies() {
    let padded = |text: &str| {
        let mut bytes = [text.as_bytes(), b"\0"].concat();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let small = |tag: &[u8; 4], content: &[u8]| {
        [&tag[..], &u16::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    };
    let chunk = |tag: &[u8; 4], content: &[u8]| {
        [&tag[..], &u32::try_from(content.len()).unwrap().to_be_bytes(), content].concat()
    };
    let clip = |inner: Vec<u8>| chunk(b"CLIP", &[vec![0, 0, 0, 1], inner].concat());
    let sequence = [&[4, 1, 0, 0, 0, 0, 0, 7, 0, 9, 0, 0][..], &padded("q/s_"), &padded(".tga")].concat();
    let body = [
        b"LWO2".to_vec(),
        chunk(b"PNTS", &[0; 24]),
        clip(small(b"STIL", &padded("Images/a.png"))),
        clip(small(b"ISEQ", &sequence)),
        clip(small(b"ANIM", &padded("m.avi"))),
    ]
    .concat();
    assert_eq!(
        told(Format::Lwo, &chunk(b"FORM", &body)),
        ["Images/a.png [lwo:STIL] | ../Images/a.png", "q/s_0007.tga [lwo:ISEQ] Frames", "m.avi [lwo:ANIM]",]
    );
    let old =
        [b"LWOB".to_vec(), chunk(b"SURF", &[padded("skin"), small(b"TIMG", &padded("old.iff"))].concat())];
    assert_eq!(told(Format::Lwo, &chunk(b"FORM", &old.concat())), ["old.iff [lwo:TIMG]"]);
    let scene = "LWSC\n5\nLoadObjectLayer 1 10000000 Objects/a.lwo\nLoadObject b.lwo\nBGImage sky.hdr\n";
    assert_eq!(
        told(Format::Lws, scene.as_bytes()),
        [
            "Objects/a.lwo [lws:LoadObject] | ../Objects/a.lwo",
            "b.lwo [lws:LoadObject]",
            "sky.hdr [lws:Image]",
        ]
    );
}

#[test]
fn directx_names_textures_as_text_and_as_tokens() {
    let text = "xof 0303txt 0032\ntemplate TextureFilename { <x> STRING filename; }\n// TextureFilename { \"no.png\"; }\n\
                Mesh m { 3; 1;2;3;, Material { TextureFilename Diffuse { \"C:\\\\a\\\\b.tga\"; } } }";
    assert_eq!(
        told(Format::DirectX, text.as_bytes()),
        ["C:\\a\\b.tga [x:TextureFilename] | C:\\\\a\\\\b.tga"]
    );
    let word = |word: u16| word.to_le_bytes().to_vec();
    let text = |token: u16, text: &str| {
        [word(token), u32::try_from(text.len()).unwrap().to_le_bytes().to_vec(), text.as_bytes().to_vec()]
            .concat()
    };
    let list = [word(7), 2_u32.to_le_bytes().to_vec(), vec![0; 8]].concat();
    let binary = [
        b"xof 0303bin 0032".to_vec(),
        text(1, "Mesh"),
        word(0x0a),
        list,
        text(1, "TextureFilename"),
        word(0x0a),
        text(2, "c.png"),
        word(0x14),
        word(0x0b),
        word(0x0b),
    ];
    assert_eq!(told(Format::DirectX, &binary.concat()), ["c.png [x:TextureFilename]"]);
    assert_eq!(warnings(Format::DirectX, b"xof 0303nope0032").len(), 1);
}

#[test]
fn a_compressed_directx_mesh_is_read_over_the_ends_of_its_blocks() {
    use std::io::Write as _;
    let text = format!("{}TextureFilename {{ \"long name.png\"; }}", "Frame f { } ".repeat(50));
    // The second block is what a compressor writes that knows the first: here, nothing of it is used.
    let block = |part: &str| {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(part.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let sizes = [part.len(), packed.len() + 2].map(|size| u16::try_from(size).unwrap().to_le_bytes());
        [&sizes[0][..], &sizes[1], b"CK", &packed].concat()
    };
    let (first, second) = text.split_at(text.len() - 20);
    let file = [b"xof 0303tzip0032\0\0\0\0".to_vec(), block(first), block(second)].concat();
    assert_eq!(told(Format::DirectX, &file), ["long name.png [x:TextureFilename]"]);
    for length in 16..file.len() {
        assert!(told(Format::DirectX, &file[..length]).len() <= 1);
    }
}

#[test]
fn ifc_names_part_models_and_no_hyperlinks() {
    let text = "ISO-10303-21;\nHEADER;\n#1= IFCDOCUMENTINFORMATION('1','C:\\\\p\\\\Geb\\X2\\00E4\\X0\\ude.ifc',$);\n\
                #2=IFCDOCUMENTREFERENCE('https://x.org/a.html','','a; b');\n#3=IFCWALL('it''s;',$);\n\
                #4=IFCIMAGETEXTURE(.T.,.T.,'TEXTURE',$,$,'t.png');\nEND-ISO-10303-21;";
    assert_eq!(
        told(Format::Ifc, text.as_bytes()),
        ["C:\\p\\Gebäude.ifc [ifc:documentinformation]", "t.png [ifc:imagetexture]",]
    );
}

#[test]
fn ascii_export_names_bitmaps() {
    let text =
        "*3DSMAX_ASCIIEXPORT 200\n\t*BITMAP \"..\\a b.png\"\n*BITMAP_FILTER Pyramidal\n*BITMAP \"None\"\n";
    assert_eq!(told(Format::Ase, text.as_bytes()), ["..\\a b.png [ase:BITMAP]"]);
}
