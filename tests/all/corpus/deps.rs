//! `versync deps` as a person and a script see it, in a directory full of traps.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn deps(arguments: &[&str], within: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_versync"))
        .arg("deps")
        .args(arguments)
        .current_dir(within)
        .env_clear()
        .env("HOME", within)
        .output()
        .unwrap()
}

fn json_of(arguments: &[&str], within: &Path) -> Value {
    let output = deps(&[arguments, &["--json"]].concat(), within);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn members_missing_and_embedded_are_told_for_one_file_and_for_several() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("tex")).unwrap();
    write("a.obj", "mtllib a.mtl\n");
    write("a.mtl", "map_Kd tex\\wood.png\nmap_Ks D:\\art\\gone.png\nmap_Ke http://x.org/e.png\n");
    write("tex/WOOD.png", "wood");
    write("b.fbx", "; FBX\nVideo: \"v\" { RelativeFilename: \"tex/WOOD.png\"\n Content: , \"AAAA\" }");

    let one = json_of(&["a.obj"], dir.path());
    assert_eq!(one["file"], "a.obj");
    assert_eq!(one["needs"], json!(["a.mtl", "tex/WOOD.png"]));
    assert_eq!(one["missing"], json!(["D:\\art\\gone.png", "http://x.org/e.png"]));
    assert_eq!(one["embedded"], json!([]));
    assert_eq!(one["by"]["tex/WOOD.png"]["in"], "a.mtl");
    assert_eq!(one["by"]["tex/WOOD.png"]["how"], json!(["backslash", "case"]));
    assert_eq!(one["sought"][0]["tried"], json!(["gone.png"]));
    assert_eq!(one["sought"][1]["scheme"], "http");

    let two = json_of(&["a.obj", "b.fbx"], dir.path());
    assert_eq!(two[0]["file"], "a.obj");
    assert_eq!(two[1]["embedded"], json!(["tex/WOOD.png"]));
    assert_eq!(two[1]["needs"], json!([]));

    let text = String::from_utf8(deps(&["a.obj"], dir.path()).stdout).unwrap();
    assert!(text.contains("needs     tex/WOOD.png  (backslash, case)"), "{text}");
    assert!(text.contains("missing   D:\\art\\gone.png  (in a.mtl)") && text.contains("hint: "), "{text}");
}

#[test]
fn nothing_outside_the_root_is_reached_by_any_road() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("m/sub")).unwrap();
    std::fs::write(dir.path().join("secret.png"), "secret").unwrap();
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
    link("/etc", "m/etc");
    link("../../secret.png", "m/secret.png");
    link("../..", "m/out");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("m/fifo.png"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let names = [
        "/etc/passwd",
        "etc/passwd",
        "C:\\Windows\\win.ini",
        "file://host/etc/passwd",
        "file:///etc/passwd",
        "http://x.org/a.png",
        "../../..",
        "../../secret.png",
        "secret.png",
        "out/secret.png",
        "fifo.png",
        "sub",
        ".",
        "..%2f..%2fsecret.png",
        "a.gltf",
        "\\\\host\\share\\secret.png",
    ];
    let images: Vec<Value> = names.iter().map(|name| json!({ "uri": name })).collect();
    std::fs::write(root.join("m/a.gltf"), json!({ "images": images }).to_string()).unwrap();
    let told = json_of(&["root/m/a.gltf", "--root", "root"], dir.path());
    assert_eq!(told["file"], "m/a.gltf");
    assert_eq!(told["needs"], json!([]));
    // All but the file itself.
    assert_eq!(told["missing"].as_array().unwrap().len(), names.len() - 1);
    for sought in told["sought"].as_array().unwrap() {
        for tried in sought["tried"].as_array().into_iter().flatten() {
            assert!(!tried.as_str().unwrap().split('/').any(|part| part == ".."), "{tried}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_or_not_below_the_root_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    std::fs::write(dir.path().join("a.obj"), "").unwrap();
    for arguments in [&["none.obj"][..], &["a.obj", "--root", "root"], &["root"]] {
        let output = deps(arguments, dir.path());
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("error: failed to"), "{arguments:?}");
    }
}
