//! Models of every format that can be written by hand, each of which names everything that a model should not name: of all that only
//! the file beside it travels along, and nothing outside of the root is so much as opened.

use std::sync::{Arc, Mutex};

use notify::event::{AccessKind, EventKind};
use notify::{RecursiveMode, Watcher as _};
use versync::file::State;

use crate::world::{World, hash_of};

/// The names that a hostile model of this file name refers to; `outside` lies beside the root, and holds `secret.png`.
fn names(world: &World, lead: &str, port: u16) -> Vec<String> {
    let outside = world.dir().join("outside").display().to_string();
    let root = world.root().display().to_string();
    vec![
        "good.png".to_owned(),
        "/etc/passwd".to_owned(),
        format!("{outside}/secret.png"),
        "../../outside/secret.png".to_owned(),
        "../../../../../../../../../../../../etc/passwd".to_owned(),
        "..\\..\\outside\\secret.png".to_owned(),
        "%2e%2e/%2e%2e/outside/secret.png".to_owned(),
        format!("{root}/../outside/secret.png"),
        format!("file://{outside}/secret.png"),
        format!("file://localhost{outside}/secret.png"),
        "file://host/share/secret.png".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("http://127.0.0.1:{port}/remote.png"),
        format!("https://127.0.0.1:{port}/remote.png"),
        "C:\\Windows\\win.ini".to_owned(),
        "C:\\outside\\secret.png".to_owned(),
        "\\\\host\\share\\secret.png".to_owned(),
        "//host/share/secret.png".to_owned(),
        "pipe.png".to_owned(),
        "dir.png".to_owned(),
        "out.png".to_owned(),
        "door/secret.png".to_owned(),
        "/dev/zero".to_owned(),
        "/proc/self/environ".to_owned(),
        ".".to_owned(),
        "..".to_owned(),
        "/".to_owned(),
        "good.png/..".to_owned(),
        lead.to_owned(),
    ]
}

fn each(names: &[String], line: impl Fn(&str) -> String) -> String {
    names.iter().map(|name| line(name)).collect()
}

fn json(names: &[String]) -> String {
    let images: Vec<_> = names.iter().map(|name| serde_json::json!({ "uri": name })).collect();
    serde_json::json!({ "asset": { "version": "2.0" }, "images": images, "buffers": images }).to_string()
}

fn glb(names: &[String]) -> Vec<u8> {
    let mut text = json(names).into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    let length = u32::try_from(text.len()).unwrap();
    let heads: [&[u8]; 5] =
        [b"glTF", &2_u32.to_le_bytes(), &(length + 20).to_le_bytes(), &length.to_le_bytes(), b"JSON"];
    [heads.concat(), text].concat()
}

fn fbx_ascii(names: &[String]) -> String {
    let videos = each(names, |name| {
        format!(
            "\tVideo: 1, \"Video::v\", \"Clip\" {{\n\t\tFileName: \"{name}\"\n\t\tRelativeFilename: \"{name}\"\n\t}}\n"
        )
    });
    format!(
        "; FBX 7.4.0 project file\nFBXHeaderExtension:  {{\n\tFBXVersion: 7400\n}}\nObjects:  {{\n{videos}}}\n"
    )
}

/// A node of a binary FBX of version 7400 that begins at `at`: its end, its properties, its name, its children.
fn fbx_node(at: usize, name: &str, properties: &[&str], children: &dyn Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut values = Vec::new();
    for property in properties {
        values.push(b'S');
        values.extend(u32::try_from(property.len()).unwrap().to_le_bytes());
        values.extend(property.as_bytes());
    }
    let head = 13 + name.len();
    let inner = children(at + head + values.len());
    let end = at + head + values.len() + inner.len();
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut node = [number(end), number(properties.len()), number(values.len())].concat();
    node.push(u8::try_from(name.len()).unwrap());
    node.extend(name.as_bytes());
    node.extend(values);
    node.extend(inner);
    node
}

fn fbx_nodes(at: usize, nodes: &[&dyn Fn(usize) -> Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for node in nodes {
        bytes.extend(node(at + bytes.len()));
    }
    bytes.extend([0; 13]);
    bytes
}

fn fbx_binary(names: &[String]) -> Vec<u8> {
    let head = [&b"Kaydara FBX Binary  \0\x1a\0"[..], &7400_u32.to_le_bytes()].concat();
    let none = |_: usize| Vec::new();
    let video = |at: usize, name: &str| {
        fbx_node(at, "Video", &["v\0\x01Video", "Clip"], &|at| {
            let file = |at: usize| fbx_node(at, "FileName", &[name], &none);
            let relative = |at: usize| fbx_node(at, "RelativeFilename", &[name], &none);
            fbx_nodes(at, &[&file, &relative])
        })
    };
    let objects = |at: usize| {
        fbx_node(at, "Objects", &[], &|at| {
            let videos: Vec<_> = names.iter().map(|name| move |at: usize| video(at, name)).collect();
            let videos: Vec<&dyn Fn(usize) -> Vec<u8>> = videos.iter().map(|it| it as _).collect();
            fbx_nodes(at, &videos)
        })
    };
    let nodes = fbx_nodes(head.len(), &[&objects]);
    [head, nodes].concat()
}

/// A chunk of a 3DS file.
fn tds(id: u16, inner: &[u8]) -> Vec<u8> {
    let length = u32::try_from(inner.len() + 6).unwrap();
    [&id.to_le_bytes()[..], &length.to_le_bytes(), inner].concat()
}

fn tds_file(names: &[String]) -> Vec<u8> {
    let named = |name: &String| tds(0xa200, &tds(0xa300, &[name.as_bytes(), b"\0"].concat()));
    let material = tds(0xafff, &names.iter().flat_map(named).collect::<Vec<_>>());
    tds(0x4d4d, &tds(0x3d3d, &material))
}

fn lwo_file(names: &[String]) -> Vec<u8> {
    let clip = |name: &String| {
        let mut text = [name.as_bytes(), b"\0"].concat();
        text.resize(text.len().next_multiple_of(2), 0);
        let still = [b"STIL", &u16::try_from(text.len()).unwrap().to_be_bytes()[..], &text].concat();
        let inner = [&1_u32.to_be_bytes()[..], &still].concat();
        [b"CLIP", &u32::try_from(inner.len()).unwrap().to_be_bytes()[..], &inner].concat()
    };
    let clips = [b"LWO2".to_vec(), names.iter().flat_map(clip).collect()].concat();
    [b"FORM", &u32::try_from(clips.len()).unwrap().to_be_bytes()[..], &clips].concat()
}

fn in_markup(name: &str) -> String {
    name.replace('&', "&amp;")
}

/// A format, and files of a directory: a lead of the format, and what it needs to be one.
type Model = (&'static str, Vec<(&'static str, Vec<u8>)>);

/// The models: each lead with its bytes, and what lies beside it.
fn models(names: &dyn Fn(&str) -> Vec<String>) -> Vec<Model> {
    let mtl = |names: &[String]| {
        format!("newmtl m\n{}", each(names, |name| format!("map_Kd {name}\n"))).into_bytes()
    };
    let mtlx = |names: &[String]| {
        let inputs = each(names, |name| {
            format!(
                "<xi:include href='{0}'/><image name='i'><input name='file' type='filename' value='{0}'/></image>",
                in_markup(name)
            )
        });
        format!("<?xml version='1.0'?><materialx version='1.38' xmlns:xi='x'>{inputs}</materialx>")
            .into_bytes()
    };
    let usd_string = |name: &str| format!("asset a = @{name}@\n");
    vec![
        ("gltf", vec![("model.gltf", json(&names("model.gltf")).into_bytes())]),
        ("glb", vec![("model.glb", glb(&names("model.glb")))]),
        ("obj", vec![("model.obj", each(&names("model.obj"), |name| format!("mtllib {name}\n")).into_bytes())]),
        ("mtl", vec![("model.obj", b"mtllib material.mtl\nv 0 0 0\n".to_vec()), ("material.mtl", mtl(&names("model.obj")))]),
        (
            "dae",
            vec![(
                "model.dae",
                format!(
                    "<COLLADA version='1.4.1'><library_images>{}</library_images></COLLADA>",
                    each(&names("model.dae"), |name| format!("<image><init_from>{}</init_from></image>", in_markup(name)))
                )
                .into_bytes(),
            )],
        ),
        ("fbx-ascii", vec![("model.fbx", fbx_ascii(&names("model.fbx")).into_bytes())]),
        ("fbx-binary", vec![("model.fbx", fbx_binary(&names("model.fbx")))]),
        (
            "x3d",
            vec![(
                "model.x3d",
                format!(
                    "<?xml version='1.0'?><X3D><Scene>{}</Scene></X3D>",
                    each(&names("model.x3d"), |name| {
                        format!("<Inline url='\"{0}\"'/><ImageTexture url='\"{0}\"'/>", in_markup(name))
                    })
                )
                .into_bytes(),
            )],
        ),
        (
            "wrl",
            vec![(
                "model.wrl",
                format!(
                    "#VRML V2.0 utf8\n{}",
                    each(&names("model.wrl"), |name| {
                        format!("Inline {{ url \"{0}\" }}\nShape {{ appearance Appearance {{ texture ImageTexture {{ url \"{0}\" }} }} }}\n", name.replace('\\', "\\\\"))
                    })
                )
                .into_bytes(),
            )],
        ),
        (
            "usda",
            vec![("model.usda", format!("#usda 1.0\ndef Scope \"s\" {{\n{}}}\n", each(&names("model.usda"), usd_string)).into_bytes())],
        ),
        (
            "mtlx",
            vec![
                ("model.usda", b"#usda 1.0\ndef Scope \"s\" (\n references = @look.mtlx@\n) {}\n".to_vec()),
                ("look.mtlx", mtlx(&names("model.usda"))),
            ],
        ),
        (
            "ply",
            vec![(
                "model.ply",
                format!(
                    "ply\nformat ascii 1.0\n{}element vertex 0\nend_header\n",
                    each(&names("model.ply"), |name| format!("comment TextureFile {name}\n"))
                )
                .into_bytes(),
            )],
        ),
        (
            "x",
            vec![(
                "model.x",
                format!(
                    "xof 0303txt 0032\n{}",
                    each(&names("model.x"), |name| {
                        format!("Material m {{ 1;1;1;1;; 0; 0;0;0;; 0;0;0;; TextureFilename {{ \"{}\"; }} }}\n", name.replace('\\', "\\\\"))
                    })
                )
                .into_bytes(),
            )],
        ),
        (
            "ifc",
            vec![(
                "model.ifc",
                format!(
                    "ISO-10303-21;\nHEADER;\nFILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n{}ENDSEC;\nEND-ISO-10303-21;\n",
                    each(&names("model.ifc"), |name| {
                        format!("#1=IFCIMAGETEXTURE(.T.,.T.,$,$,$,'{}');\n", name.replace('\\', "\\\\"))
                    })
                )
                .into_bytes(),
            )],
        ),
        ("3ds", vec![("model.3ds", tds_file(&names("model.3ds")))]),
        ("lwo", vec![("model.lwo", lwo_file(&names("model.lwo")))]),
        (
            "ase",
            vec![(
                "model.ase",
                format!("*3DSMAX_ASCIIEXPORT 200\n{}", each(&names("model.ase"), |name| format!("*BITMAP \"{name}\"\n"))).into_bytes(),
            )],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_model_of_any_format_names_only_what_lies_below_the_root_is_opened_and_sent() {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let outside = world.dir().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret.png"), b"not for the cloud").unwrap();
    world.options("formats = [\"x\", \"ase\"]");

    let models = models(&|lead| names(&world, lead, port));
    for (kind, files) in &models {
        for (name, bytes) in files {
            world.write(&format!("{kind}/{name}"), bytes);
        }
        let good = world.write(&format!("{kind}/good.png"), format!("a texture of {kind}").as_bytes());
        let dir = good.parent().unwrap();
        std::fs::create_dir(dir.join("dir.png")).unwrap();
        std::os::unix::fs::symlink(outside.join("secret.png"), dir.join("out.png")).unwrap();
        std::os::unix::fs::symlink(&outside, dir.join("door")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(dir.join("pipe.png")).status().unwrap().success());
    }
    let opened = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&opened);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let event = event.unwrap();
        if matches!(event.kind, EventKind::Access(AccessKind::Open(_))) {
            note.lock().unwrap().push(event);
        }
    })
    .unwrap();
    watcher.watch(&outside, RecursiveMode::Recursive).unwrap();
    // To set the watch it is opened, perhaps.
    opened.lock().unwrap().clear();

    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, versync::daemon::Why::Finished);
    for (kind, files) in &models {
        let lead = format!("{kind}/{}", files[0].0);
        let entry = world.entry(&lead);
        assert_eq!(entry.state(), State::Synced, "{lead}: {:?}", entry.reason());
        let mut parts: Vec<_> =
            entry.current.unwrap().parts().map(|part| part.part.path.to_string()).collect();
        // A material of a format that the cloud does not list is read for what it names, and stays here.
        let travels = files.iter().filter(|(name, _)| !name.ends_with(".mtlx"));
        let mut expected: Vec<_> = travels.map(|(name, _)| format!("{kind}/{name}")).collect();
        expected.push(format!("{kind}/good.png"));
        parts.sort();
        expected.sort();
        assert_eq!(parts, expected, "{lead}");
    }
    let secret = hash_of(&outside.join("secret.png"));
    assert!(world.remote().iter().all(|(_, stored)| stored.blake3 != secret));
    // Our own look at the secret, just now, is the first and only one.
    let is_seen = || {
        opened
            .lock()
            .unwrap()
            .iter()
            .filter(|it| it.paths.iter().any(|at| at.ends_with("secret.png")))
            .count()
    };
    world.until_some(|_| is_seen() > 0).await;
    assert_eq!(is_seen(), 1, "{:?}", opened.lock().unwrap());
    let asked = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(asked.is_err(), "somebody asked for a remote file");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_cut_and_misnamed_files_of_every_format_stop_nobody() {
    let world = World::new().await;
    world.options("formats = [\"x\", \"ase\"]");
    world.write("chair.fbx", b"chair");
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\0IEND\xaeB`\x82";
    let models = models(&|_| vec!["good.png".to_owned()]);
    for (kind, files) in &models {
        let (name, bytes) = &files[0];
        let extension = name.rsplit('.').next().unwrap();
        world.write(&format!("{kind}/empty.{extension}"), b"");
        for (place, length) in [1, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1].into_iter().enumerate()
        {
            world.write(&format!("{kind}/cut {place}.{extension}"), &bytes[..length]);
        }
        world.write(&format!("{kind}/picture.{extension}"), png);
    }
    let (ending, _) = world.sync().await;
    assert_eq!(ending.why, versync::daemon::Why::Finished);
    assert_eq!(world.entry("chair.fbx").state(), State::Synced);
    for (kind, files) in &models {
        let extension = files[0].0.rsplit('.').next().unwrap();
        let empty = world.entry(&format!("{kind}/empty.{extension}"));
        assert_eq!(empty.state(), State::Held, "{kind}");
        assert!(empty.current.is_none());
        let picture = world.entry(&format!("{kind}/picture.{extension}"));
        assert!(
            matches!(picture.state(), State::Synced | State::Held | State::Settling),
            "{kind}: {picture:?}"
        );
    }
}
