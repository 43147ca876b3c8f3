//! What goes over the line comes out as it went in, and what is no request is refused.

use super::*;

fn failure(blame: Blame) -> Failure {
    Failure::new(blame, "failed to do it")
}

#[test]
fn an_ending_comes_out_as_it_went_in() {
    let mappings = BTreeMap::from([
        (MappingName::new("a"), Trouble::Offline("gone".into())),
        (MappingName::new("b"), Trouble::Halted("another root".into())),
        (MappingName::new("c"), Trouble::Refused(failure(Blame::Mapping))),
        (MappingName::new("d"), Trouble::Paused),
    ]);
    let whys = [
        Why::Finished,
        Why::Stopped,
        Why::NeedsLogin(failure(Blame::User)),
        Why::CloudTrouble(failure(Blame::Cloud)),
        Why::OurTrouble(failure(Blame::Us)),
    ];
    for why in whys {
        let reading = Reading { found: 3, sent_bytes: 9, ..Reading::default() };
        let report = Report { ending: Ending { why, mappings: mappings.clone() }, reading };
        let text = serde_json::to_string(&Answer::new(Kind::from(&report))).unwrap();
        let Answer { schema_version, kind: Kind::Ended(end) } = serde_json::from_str(&text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!((schema_version, end.read()), (1, Ok(report)));
    }
}

#[test]
fn any_path_travels_and_none_climbs_out() {
    let mapping = MappingName::new("m");
    for path in [&b""[..], b"a/b.fbx", b"a/\xff\xfe.obj", "ä b/c.glb".as_bytes()] {
        let path = RelPath::from_bytes(path).unwrap();
        let text = serde_json::to_string(&Place::new(&mapping, &path)).unwrap();
        let place: Place = serde_json::from_str(&text).unwrap();
        assert_eq!(place.read(), Ok((mapping.clone(), path)), "{text}");
    }
    for bad in [
        r#"{"mapping":"m","path":"../x"}"#,
        r#"{"mapping":"m","path":"/etc/passwd"}"#,
        r#"{"mapping":"m","path_bytes":"2e2e"}"#,
        r#"{"mapping":"m","path_bytes":"f"}"#,
        r#"{"mapping":"m","path":"a","path_bytes":"61"}"#,
    ] {
        let place: Place = serde_json::from_str(bad).unwrap();
        assert!(place.read().is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let good = r#"{"request":"sync","scope":[{"mapping":"m"}],"wait":"sent"}"#;
    assert!(serde_json::from_str::<Asked>(good).is_ok());
    for bad in [
        "",
        "null",
        "{}",
        r#"{"request":"exec"}"#,
        r#"{"request":"status","x":1}"#,
        r#"{"request":"sync","scope":"m"}"#,
        r#"{"request":"sync","scope":[],"wait":"ever"}"#,
        r#"{"request":"approve","mapping":"m","root":{"inode":-1}}"#,
    ] {
        assert!(serde_json::from_str::<Asked>(bad).is_err(), "{bad}");
    }
}
