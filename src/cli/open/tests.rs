//! Which link is made of which template.

use super::*;
use crate::id::FolderId;

fn scene() -> Asset {
    Asset {
        id: AssetId::from_uuid(uuid::Uuid::from_u128(2)),
        kind: "scene".to_owned(),
        name: "Main".to_owned(),
    }
}

#[test]
fn a_link_leads_to_the_scene_in_its_folder() {
    let folder = FolderId::from_uuid(uuid::Uuid::from_u128(1));
    for (template, link) in [
        (
            "https://console.example/studio/film/default/",
            "https://console.example/studio/film/default/folders/00000000-0000-0000-0000-000000000001?item=00000000-0000-0000-0000-000000000002.scene",
        ),
        ("https://view.example/{asset_id}", "https://view.example/00000000-0000-0000-0000-000000000002"),
    ] {
        assert_eq!(Console::new(template).unwrap().link(folder, &scene()), link);
    }
}

#[test]
fn a_template_that_was_not_filled_in_says_what_is_missing() {
    let failure = Console::new("https://console.3dverse.com/{org}/{project}/{env}").unwrap_err();
    assert!(failure.heading().contains("{org}"), "{failure:?}");
    assert_eq!(failure.exit(), Exit::Configuration);
}
