//! Answers as they might come, and what is read of them.

use super::*;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_life_of_a_token_is_the_earlier_plausible_one_within_bounds() {
    let now = Timestamp::from_stat(2_000_000_000, 0);
    let day = 24 * 3600;
    for (expires_in, expires_on, seconds) in [
        (Some(3600.0), None, Some(3600)),
        (Some(0.0), None, Some(30)),
        (Some(-5.0), None, Some(30)),
        (Some(1.0), None, Some(30)),
        (Some(1e300), None, Some(day)),
        (Some(3_600_000.0), None, Some(day)),
        (None, Some(2_000_000_600.0), Some(600)),
        (None, Some(2_000_000_600_000.0), Some(600)),
        (Some(3600.0), Some(2_000_000_600.0), Some(600)),
        (Some(3600.0), Some(1_999_999_000.0), Some(3600)),
        (Some(-1.0), Some(2_000_000_600.0), Some(600)),
        (Some(0.0), Some(0.0), Some(30)),
        (None, None, None),
    ] {
        let told = life(expires_in, expires_on, now, now).map(|life| life.as_secs());
        assert_eq!(told, seconds, "{expires_in:?} {expires_on:?}");
    }
}

#[test]
fn a_span_counts_from_when_it_was_written() {
    let now = Timestamp::from_stat(2_000_000_000, 0);
    let written = now.minus(Duration::from_secs(3000));
    assert_eq!(life(Some(3600.0), None, written, now), Some(Duration::from_secs(600)));
}

#[test]
fn a_token_comes_bare_or_as_json_and_is_never_repeated_in_a_refusal() {
    let now = Timestamp::EPOCH;
    assert_eq!(minted("fake-token\n", now, now).unwrap().token, Secret::new("fake-token").unwrap());
    let told = minted(r#" {"user_token":"fake-token","expires_in":"soon","more":1}"#, now, now).unwrap();
    assert_eq!((told.token, told.life), (Secret::new("fake-token").unwrap(), None));
    for text in
        ["", "<html>fake-token</html> ", r#"{"user_token":["fake-token"]}"#, r#"{"token":"fake-token"}"#, "{"]
    {
        let refusal = minted(text, now, now).map(|_| ()).and(Ok::<_, String>(())).err();
        assert!(refusal.is_some_and(|why| !why.contains("fake-token")), "{text}");
    }
    assert!(minted_json("fake-token", now).is_err());
}

const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";
const C: &str = "00000000-0000-0000-0000-00000000000c";

#[test]
fn folders_are_found_in_lists_and_trees_each_once_with_their_parent() {
    let told = folders(json(&format!(
        r#"[{{"folder_id":"{A}","name":"a","subfolders":[{{"folder_id":"{B}","name":"b","created_at":7}}]}},
            {{"folder_id":"{B}","name":"b","parent_folder_id":"{A}"}},
            {{"folder_id":"{C}","name":"c","subfolders":null,"created_at":"2026-01-02T03:04:05Z"}}]"#
    )))
    .unwrap();
    let names: Vec<_> =
        told.iter().map(|folder| (folder.name.as_str(), folder.parent.map(|p| p.to_string()))).collect();
    assert_eq!(names, [("a", None), ("b", Some(A.into())), ("c", None)]);
    assert!(told[2].created_at.is_some() && told[1].created_at.is_none());
}

#[test]
fn an_unreadable_subfolder_makes_the_answer_unreadable() {
    assert!(
        folders(json(&format!(r#"[{{"folder_id":"{A}","name":"a","subfolders":[{{"name":"b"}}]}}]"#)))
            .is_err()
    );
}

#[test]
fn a13_a_source_file_needs_an_id_a_name_and_a_plausible_size() {
    let told =
        source_file(json(&format!(r#"{{"source_file_id":"{A}","name":"x","size":12.0,"new":[]}}"#))).unwrap();
    assert_eq!((told.size, told.original_name.as_str()), (12, "x"));
    for bad in ["-1", "1.5", "1e300", "\"12\"", "null"] {
        assert!(
            source_file(json(&format!(r#"{{"source_file_id":"{A}","name":"x","size":{bad}}}"#))).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn a9_a_task_keeps_words_that_are_newer_than_we_are_and_they_end_nothing() {
    let told = upload_task(json(&format!(
        r#"{{"upload_task_id":"{A}","status":"thinking","progress":"much","conversion_tasks":[
            {{"source_file_id":"{B}","conversion_pipeline":"gaussian","status":"success"}}]}}"#
    )))
    .unwrap();
    assert_eq!(told.status, TaskStatus::Unknown("thinking".into()));
    assert!(!told.status.is_final() && told.conversions[0].status.is_final());
    assert_eq!(told.conversions[0].pipeline, Pipeline::Unknown("gaussian".into()));
}

#[test]
fn assets_are_read_from_every_container_and_unknown_ones_keep_their_name() {
    for (container, kind) in CONTAINERS {
        let told = assets(json(&format!(r#"{{"{container}":[{{"asset_id":"{A}","name":"n"}}]}}"#))).unwrap();
        assert_eq!((told.len(), told[0].kind.as_str()), (1, kind));
    }
    let told = assets(json(&format!(
        r#"{{"total":3,"splats":[{{"asset_id":"{C}"}}],"meshes":[{{"asset_id":"{B}","name":"2"}},{{"asset_id":"{A}","name":"1"}}],"scenes":null}}"#
    )))
    .unwrap();
    let read: Vec<_> = told.iter().map(|asset| (asset.kind.as_str(), asset.name.as_str())).collect();
    assert_eq!(read, [("mesh", "2"), ("mesh", "1"), ("splats", "")]);
    assert!(assets(json(r#"{"meshes":[{"name":"no id"}]}"#)).is_err());
    assert!(assets(json("[]")).is_err());
}

#[test]
fn a_receipt_may_name_no_task_but_must_be_an_object() {
    assert_eq!(receipt(&json("{}")), Ok(None));
    assert_eq!(receipt(&json(r#"{"upload_task_id":null}"#)), Ok(None));
    assert!(receipt(&json(&format!(r#"{{"upload_task_id":"{A}"}}"#))).unwrap().is_some());
    for bad in ["null", "[]", r#"{"upload_task_id":7}"#, r#"{"upload_task_id":"x"}"#] {
        assert!(receipt(&json(bad)).is_err(), "{bad}");
    }
}
