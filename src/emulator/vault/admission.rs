//! Taking a received upload in: source files by the rules for equal names and equal bytes, one task, its future assets.

use uuid::Uuid;

use super::object::{Object, Objects};
use super::{Asset, SourceFile, Task};
use crate::emulator::access::{Visit, span};
use crate::emulator::asked;
use crate::emulator::asset_type::AssetType;
use crate::emulator::conversion::{self, Arrived, Conversion, Fate, Job};
use crate::emulator::knobs::choice::{AssetIds, LeftFiles, SameName, Switch};
use crate::emulator::refusal::Refusal;

/// A file that has arrived in an upload.
#[derive(Debug)]
pub(in crate::emulator) struct Received {
    pub(in crate::emulator) name: String,
    pub(in crate::emulator) object: Object,
}

/// Where a file of an upload ended up.
struct Placed {
    id: Uuid,
    name: String,
    known: Known,
}

/// Whether the cloud had these bytes before.
enum Known {
    New,
    Already,
}

impl Visit<'_> {
    /// Stores the files of one upload in a folder, and answers with the id of its task.
    pub(in crate::emulator) fn admit(
        &mut self,
        objects: &Objects,
        folder: Uuid,
        files: Vec<Received>,
    ) -> Result<Uuid, Refusal> {
        if self.knobs.same_name == SameName::Conflict
            && let Some(taken) = files.iter().find(|file| !self.namesakes(folder, &file.name).is_empty())
        {
            return Err(Refusal::conflict(format!("this folder holds a file called {:?}", taken.name)));
        }
        let arrived: Vec<Arrived<'_>> = files
            .iter()
            .map(|file| Arrived { name: &file.name, size: file.object.size, head: &file.object.head })
            .collect();
        let (fate, jobs) = conversion::read(&arrived, self.knobs.companion_tasks, self.knobs.task_end);
        let mut placed = Vec::new();
        for file in files {
            placed.push(self.place(objects, folder, file)?);
        }
        let takes = span(self.knobs.conversion_ms);
        let mut conversions = Vec::new();
        for job in &jobs {
            let file = &placed[job.file];
            let asset = self.make_assets(folder, job, &placed, self.now + takes);
            conversions.push(Conversion {
                asset,
                source_file: file.id,
                name: file.name.clone(),
                pipeline: job.pipeline.into(),
                fate: job.fate,
            });
        }
        if fate == Fate::Rejected && self.knobs.rejected_files == LeftFiles::Drop {
            for file in placed.iter().filter(|file| matches!(file.known, Known::New)) {
                self.vault.files.remove(file.id);
            }
            self.vault.discarded = true;
        }
        let id = self.vault.dice.id();
        let (uploaded_at, uploaded_by) = (self.now, self.actor());
        self.vault.tasks.push(Task { id, folder, uploaded_at, uploaded_by, fate, takes, conversions });
        Ok(id)
    }

    /// The ids of the files of a folder that have this name.
    fn namesakes(&self, folder: Uuid, name: &str) -> Vec<Uuid> {
        let all = self.vault.files_in(folder).filter(|file| asked::same_name(&self.knobs, &file.name, name));
        all.map(|file| file.id).collect()
    }

    fn place(&mut self, objects: &Objects, folder: Uuid, file: Received) -> Result<Placed, Refusal> {
        if self.knobs.dedup == Switch::On
            && let Some(equal) =
                self.vault.files_in(folder).find(|other| other.object.hash == file.object.hash)
        {
            return Ok(Placed { id: equal.id, name: equal.name.clone(), known: Known::Already });
        }
        let object = objects.keep(file.object);
        let object = object.map_err(|fault| Refusal::broken(format!("failed to keep an upload: {fault}")))?;
        let namesakes = self.namesakes(folder, &file.name);
        let (now, by) = (self.now, self.actor());
        match (self.knobs.same_name, namesakes.first().copied()) {
            (SameName::ReplaceSameId, Some(old)) => {
                if let Some(row) = self.vault.files.get_mut(old) {
                    row.original_name = file.name.clone();
                    row.object = object;
                    row.uploaded_at = now;
                    row.uploaded_by = by;
                }
                self.vault.discarded = true;
                return Ok(Placed { id: old, name: file.name, known: Known::New });
            }
            (SameName::ReplaceNewId, Some(_)) => {
                namesakes.into_iter().for_each(|old| self.vault.delete_file(old, now));
            }
            (SameName::ReplaceSameId | SameName::ReplaceNewId, None) => {}
            (SameName::Duplicate | SameName::Conflict, _) => {}
        }
        let id = self.vault.dice.id();
        self.vault.files.push(SourceFile {
            id,
            folder,
            name: file.name.clone(),
            original_name: file.name.clone(),
            object,
            uploaded_at: now,
            uploaded_by: by,
            deleted_at: None,
        });
        Ok(Placed { id, name: file.name, known: Known::New })
    }

    /// Prepares the assets of one conversion, and answers with the id of the main one.
    fn make_assets(&mut self, folder: Uuid, job: &Job, placed: &[Placed], born_at: i64) -> Uuid {
        let lead = &placed[job.file];
        if let (Known::Already, Some((kind, _, _))) = (&lead.known, job.makes.first())
            && let Some(main) = self
                .vault
                .assets
                .iter()
                .find(|asset| asset.source_file == Some(lead.id) && asset.kind == *kind)
        {
            return main.id;
        }
        let mut ids = Vec::new();
        for (ordinal, (kind, _, _)) in job.makes.iter().enumerate() {
            ids.push(match self.knobs.asset_ids {
                AssetIds::New => self.vault.dice.id(),
                AssetIds::Stable => {
                    self.vault.dice.fixed_id(&format!("{folder}/{}/{ordinal}/{}", lead.name, kind.name()))
                }
            });
        }
        let main = ids.first().copied().unwrap_or_else(|| self.vault.dice.id());
        if job.fate != Fate::Success {
            return main;
        }
        let created_by = self.actor();
        for (at, (kind, name, from)) in job.makes.iter().enumerate() {
            let uses = used_by(*kind, job, &ids);
            let source_file = Some(placed[*from].id);
            if let Some(old) = self.vault.assets.get_mut(ids[at]) {
                old.source_file = source_file;
                old.edited_at = born_at;
                old.uses = uses;
                continue;
            }
            let (kind, name, id) = (*kind, name.clone(), ids[at]);
            let thumbnail = None;
            self.vault.assets.push(Asset {
                id,
                kind,
                name,
                folder,
                source_file,
                born_at,
                edited_at: born_at,
                created_by,
                uses,
                thumbnail,
            });
        }
        main
    }
}

/// Scenes refer to all that was made with them, materials to textures, volume materials to volumes.
fn used_by(kind: AssetType, job: &Job, ids: &[Uuid]) -> Vec<Uuid> {
    let all = job.makes.iter().zip(ids);
    let wanted = all.filter(|((other, _, _), _)| match kind {
        AssetType::Scene => *other != AssetType::Scene,
        AssetType::Material => *other == AssetType::Texture,
        AssetType::VolumeMaterial => *other == AssetType::Texture3d,
        _ => false,
    });
    wanted.map(|(_, id)| *id).collect()
}
