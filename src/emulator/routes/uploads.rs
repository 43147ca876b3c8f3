//! The upload: one multipart request, one or more files, one task.

use std::sync::Arc;

use axum::extract::multipart::Multipart;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Answer;
use crate::emulator::Site;
use crate::emulator::access::{Caller, Level};
use crate::emulator::asked::{self, Query};
use crate::emulator::fault::Kept;
use crate::emulator::gate::{KeepPartial, Noted, drain};
use crate::emulator::journal::Part;
use crate::emulator::knobs::Knobs;
use crate::emulator::knobs::choice::{LateExpiry, PartPath, Switch};
use crate::emulator::refusal::Refusal;
use crate::emulator::vault::admission::Received;

pub(super) async fn receive(
    State(site): State<Arc<Site>>,
    Path(raw): Path<String>,
    Extension(noted): Extension<Noted>,
    partial: Option<Extension<KeepPartial>>,
    query: Query,
    request: Request,
) -> Answer<(StatusCode, Json<Value>)> {
    let headers = request.headers().clone();
    let early = site.knobs().early_refusals == Switch::On;
    let announced = query.done().and_then(|()| announced(&site, &raw, &headers));
    let (caller, folder, knobs) = match announced {
        Ok(announced) => announced,
        Err(refusal) => {
            if !early {
                drain(request).await;
            }
            return Err(refusal);
        }
    };
    let multipart = Multipart::from_request(request, &()).await;
    let mut multipart =
        multipart.map_err(|fault| Refusal::wrong_type(format!("expected multipart/form-data: {fault}")))?;
    let mut files = Vec::new();
    let kept = partial.map_or(Kept::Nothing, |_| Kept::Partial);
    let read = read(&site, &knobs, &noted, &mut multipart, &mut files, kept).await;
    match (read, kept) {
        (Ok(()), _) => {}
        (Err(refusal), Kept::Nothing) => {
            while !early && matches!(multipart.next_field().await, Ok(Some(_))) {}
            return Err(refusal);
        }
        (Err(_), Kept::Partial) => {}
    }
    if files.is_empty() {
        return Err(Refusal::malformed("an upload holds at least one file"));
    }
    match knobs.late_expiry {
        LateExpiry::Never => {}
        LateExpiry::Checked => {
            site.caller(&headers)?;
        }
        LateExpiry::Always => return Err(Refusal::unauthorized("the token has expired during the upload")),
    }
    let mut visit = site.visit(caller);
    // The folder may have gone, or the right to it, while the bytes were travelling.
    visit.folder(folder, Level::Write)?;
    let task = visit.admit(&site.objects, folder, files)?;
    let answer = match visit.knobs.omit_upload_task_id {
        Switch::Off => json!({ "upload_task_id": task }),
        Switch::On => json!({}),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// What can be said before a byte of the body is read.
fn announced(site: &Site, raw: &str, headers: &HeaderMap) -> Result<(Caller, Uuid, Knobs), Refusal> {
    let caller = site.caller(headers)?;
    let folder = asked::id("folder", raw)?;
    let visit = site.visit(caller);
    visit.folder(folder, Level::Write)?;
    if let Some(length) = headers.get(CONTENT_LENGTH).and_then(|text| text.to_str().ok()) {
        must_fit(&visit.knobs, length.parse().unwrap_or(0))?;
    }
    Ok((caller, folder, visit.knobs.clone()))
}

/// Reads all parts. What has arrived is in `files` also after an error, the broken part too if it is wanted.
async fn read(
    site: &Site,
    knobs: &Knobs,
    noted: &Noted,
    multipart: &mut Multipart,
    files: &mut Vec<Received>,
    kept: Kept,
) -> Result<(), Refusal> {
    let mut total = 0;
    while let Some(mut field) = multipart.next_field().await.map_err(|fault| broken_off(&fault))? {
        let (field_name, file_name) =
            (field.name().unwrap_or_default().to_owned(), field.file_name().map(str::to_owned));
        let Some(file_name) = file_name else {
            return Err(Refusal::malformed(format!("the part {field_name:?} has no file name")));
        };
        if field_name.is_empty() || (!knobs.upload_field.is_empty() && field_name != knobs.upload_field) {
            return Err(Refusal::malformed(format!("files are not sent in a field called {field_name:?}")));
        }
        let name = part_name(knobs, &file_name)?;
        let is_taken = files.iter().any(|other| asked::same_name(knobs, &other.name, &name));
        if is_taken && knobs.part_path != PartPath::Cut {
            return Err(Refusal::malformed(format!("two files of this upload are called {name:?}")));
        }
        let mut incoming = site.objects.receive().map_err(|fault| lost(&fault))?;
        let ended = loop {
            match field.chunk().await {
                Ok(None) => break Ok(()),
                Err(fault) => break Err(broken_off(&fault)),
                Ok(Some(piece)) => {
                    total += piece.len() as u64;
                    must_fit(knobs, total)?;
                    incoming.write(&piece).await.map_err(|fault| lost(&fault))?;
                }
            }
        };
        noted.0.part(Part { field: field_name, file_name, size: incoming.size() });
        if ended.is_ok() || kept == Kept::Partial {
            files.push(Received { name, object: incoming.finish().await.map_err(|fault| lost(&fault))? });
        }
        ended?;
    }
    Ok(())
}

fn part_name(knobs: &Knobs, raw: &str) -> Result<String, Refusal> {
    let slashed = raw.contains(['/', '\\']);
    let name = match knobs.part_path {
        PartPath::Keep => raw,
        PartPath::Strip | PartPath::Cut => raw.rsplit(['/', '\\']).next().unwrap_or_default(),
        PartPath::Reject if slashed => {
            return Err(Refusal::malformed(format!("the file name {raw:?} holds a path")));
        }
        PartPath::Reject => raw,
    };
    asked::name(knobs, name).map(str::to_owned)
}

fn must_fit(knobs: &Knobs, bytes: u64) -> Result<(), Refusal> {
    if knobs.max_upload_bytes > 0 && bytes > knobs.max_upload_bytes {
        return Err(Refusal::too_large(format!("an upload may have {} bytes", knobs.max_upload_bytes)));
    }
    Ok(())
}

fn broken_off(fault: &axum::extract::multipart::MultipartError) -> Refusal {
    Refusal::malformed(format!("the multipart body cannot be read: {}", fault.body_text()))
}

fn lost(fault: &std::io::Error) -> Refusal {
    Refusal::broken(format!("failed to store an upload: {fault}"))
}
