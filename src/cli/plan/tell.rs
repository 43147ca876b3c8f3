//! A plan as text, counts first, or as one object.

use serde_json::{Map, Value, json};

use super::{Deed, Origin, Outlook, Pass, Refresh};
use crate::cli::paper::Paper;
use crate::cli::render::{self, Table};
use crate::file::{MappingName, RelPath, shown};

pub(super) fn tell(origin: Origin, outlooks: &[Outlook], paper: Paper) {
    if paper.is_json() {
        paper.object(&object(origin, outlooks));
        return;
    }
    if origin == Origin::Ledger {
        paper.talk("versync is running: this is what it has before it; the trees were not walked");
    }
    outlooks.iter().flat_map(text).for_each(|line| paper.line(&line));
}

fn text(outlook: &Outlook) -> Vec<String> {
    let mut lines = vec![outlook.mapping.to_string()];
    lines.extend(outlook.troubles.iter().map(|trouble| format!("  trouble: {}", shown(trouble))));
    let totals = outlook.totals();
    for (deed, (files, bytes)) in &totals {
        let size = if *bytes > 0 { format!(" ({})", render::bytes(*bytes)) } else { String::new() };
        lines.push(format!("  {} {}{size}", render::things(*files, "file", "files"), deed.meaning()));
    }
    for (path, Refresh { extent, pass }) in &outlook.refreshes {
        let models = render::things(extent.models, "model", "models");
        let held = match pass {
            Pass::Open => "",
            Pass::Held => ", held",
        };
        lines.push(format!("  {path} -> {models}, {}{held}", render::bytes(extent.bytes)));
    }
    if totals.is_empty() && outlook.troubles.is_empty() {
        let files = outlook.files.map(|files| format!(" ({})", render::things(files, "file", "files")));
        lines.push(format!("  nothing to do{}", files.unwrap_or_default()));
    }
    let mut table = Table::default();
    for deed in Deed::ALL {
        for (key, planned) in outlook.planned.iter().filter(|(_, planned)| planned.deed == deed) {
            let size = if planned.bytes > 0 { render::bytes(planned.bytes) } else { String::new() };
            table.row(vec![render::spoken(deed.word()), key.path.to_string(), size, shown(&planned.reason)]);
        }
    }
    lines.extend(table.lines().into_iter().map(|line| format!("    {line}")));
    lines
}

fn object(origin: Origin, outlooks: &[Outlook]) -> Value {
    let mapping = |outlook: &Outlook| {
        let counts: Map<String, Value> = outlook
            .totals()
            .into_iter()
            .map(|(deed, (files, bytes))| (deed.word().to_owned(), json!({ "files": files, "bytes": bytes })))
            .collect();
        json!({
            "name": outlook.mapping.as_str(),
            "files": outlook.files,
            "counts": counts,
            "troubles": outlook.troubles,
        })
    };
    let actions = outlooks.iter().flat_map(|outlook| &outlook.planned).map(|(key, planned)| {
        let mut fields = render::path_fields(&key.path);
        fields.insert("mapping".to_owned(), key.mapping.as_str().into());
        fields.insert("action".to_owned(), planned.deed.word().into());
        fields.insert("reason".to_owned(), planned.reason.clone().into());
        fields.insert("bytes".to_owned(), planned.bytes.into());
        Value::Object(fields)
    });
    let refresh = |mapping: &MappingName, path: &RelPath, refresh: &Refresh| {
        let mut fields = render::path_fields(path);
        fields.insert("mapping".to_owned(), mapping.as_str().into());
        fields.insert("models".to_owned(), refresh.extent.models.into());
        fields.insert("bytes".to_owned(), refresh.extent.bytes.into());
        fields.insert("held".to_owned(), (refresh.pass == Pass::Held).into());
        Value::Object(fields)
    };
    let refreshes = outlooks
        .iter()
        .flat_map(|outlook| outlook.refreshes.iter().map(|(path, it)| refresh(&outlook.mapping, path, it)));
    let totals = outlooks.iter().flat_map(Outlook::totals);
    let (files, bytes) = totals
        .filter(|(deed, _)| matches!(deed, Deed::UploadNew | Deed::UploadChanged))
        .fold((0_u64, 0_u64), |sum, (_, it)| (sum.0 + it.0, sum.1.saturating_add(it.1)));
    json!({
        "schema_version": render::SCHEMA,
        "source": match origin {
            Origin::Survey => "survey",
            Origin::Ledger => "ledger",
        },
        "mappings": outlooks.iter().map(mapping).collect::<Vec<_>>(),
        "actions": actions.collect::<Vec<_>>(),
        "refreshes": refreshes.collect::<Vec<_>>(),
        "upload_files": files,
        "upload_bytes": bytes,
    })
}
