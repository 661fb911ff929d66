//! Files that are no device's own: those that anyone may fetch, told once per model or once for all, and the static ones.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

use super::Side;
use super::cause::{Settings, differing};
use super::change::{Change, Kind, Source, Subject};
use super::device::{Comparing, is_rendered, pairs, path_of};
use super::file::{Shape, Sides, differences};
use super::group::{Finding, Found, Who};
use crate::packs::{Audience, FileEntry, ModelId, Pack};

/// One model of a file for anyone: its index on both sides, and its name.
type Both = (Option<(usize, usize)>, Option<Arc<str>>);

impl Comparing<'_> {
    /// The files that anyone may fetch: once per model where their path names it.
    pub fn for_anyone(&self, found: &mut Found) {
        let (olds, news) = (&self.old.generation.packs, &self.new.generation.packs);
        for (old_index, old_pack) in olds.iter().enumerate() {
            match news.iter().enumerate().find(|(_, pack)| pack.name == old_pack.name) {
                Some((new_index, new_pack)) => self.pack((old_index, old_pack), (new_index, new_pack), found),
                None => found.put(&Who::Model(None), vec![lone_pack(&self.old, old_pack, Kind::Removed)]),
            }
        }
        for pack in news.iter().filter(|pack| olds.named(&pack.name).is_none()) {
            found.put(&Who::Model(None), vec![lone_pack(&self.new, pack, Kind::Added)]);
        }
    }

    fn pack(&self, old: (usize, &Pack), new: (usize, &Pack), found: &mut Found) {
        for (old_file, new_file) in pairs(anyones(old.1), anyones(new.1)) {
            let (Some(old_file), Some(new_file)) = (old_file, new_file) else {
                found.put(&Who::Model(None), vec![self.lone_file(old_file, new_file, (old.1, new.1))]);
                continue;
            };
            found.put(&Who::Model(None), self.manifest(old_file, new_file, new.1));
            if !is_rendered(old_file) || !is_rendered(new_file) {
                continue;
            }
            for (indices, name) in models((old.1, old_file), (new.1, new_file)) {
                let changes = self.anyones_file((old, old_file), (new, new_file), indices);
                let finding = |(kind, change)| Finding { kind, file: Some(path_of(new_file)), change };
                found.put(&Who::Model(name), changes.into_iter().map(finding).collect());
            }
        }
    }

    fn anyones_file(
        &self,
        ((old_index, old_pack), old_file): ((usize, &Pack), &FileEntry),
        ((new_index, new_pack), new_file): ((usize, &Pack), &FileEntry),
        models: Option<(usize, usize)>,
    ) -> Vec<(Kind, Change)> {
        let (old, new) = (self.old.generation, self.new.generation);
        let (old_model, new_model) = (models.map(|(old, _)| old), models.map(|(_, new)| new));
        if old.fingerprint_for_anyone(old_index, old_model) == new.fingerprint_for_anyone(new_index, new_model) {
            return Vec::new();
        }
        let rendered = (
            old.render_for_anyone(old_index, old_file, old_model, self.limit),
            new.render_for_anyone(new_index, new_file, new_model, self.limit),
        );
        let (made_old, made_new) = match rendered {
            (Ok(old), Ok(new)) => (old, new),
            (old, new) => {
                let old = old.err().map(|error| self.old.rooted(&error.to_string()));
                let new = new.err().map(|error| self.new.rooted(&error.to_string()));
                return vec![(Kind::Unrendered, Change::new(Subject::Failure, old, new, Source::Unknown, None))];
            }
        };
        if made_old == made_new {
            return Vec::new();
        }
        let settings = (
            self.anyones_settings(&self.old, old_index, old_model),
            self.anyones_settings(&self.new, new_index, new_model),
        );
        let of = |pack: &Pack, model: Option<usize>| {
            model.and_then(|model| pack.models.get(model)).map(|model| model.family.clone()).unwrap_or_default()
        };
        let families = (of(old_pack, old_model), of(new_pack, new_model));
        let sides = Sides {
            old: &self.old,
            new: &self.new,
            packs: (old_pack, new_pack),
            files: (old_file, new_file),
            families: (&families.0, &families.1),
            differing: &differing(&settings.0, &settings.1),
            is_moved: false,
        };
        // No secret ever reaches such a file.
        let shape = |rendered| Shape { rendered, tokens: &[] };
        let mut changes = differences(&shape(&made_old), &shape(&made_new), &sides);
        if changes.is_empty() {
            changes = sides.by_line(&made_old, &made_new);
        }
        changes.into_iter().map(|change| (Kind::Changed, change)).collect()
    }

    fn anyones_settings<'s>(&self, side: &'s Side<'s>, pack: usize, model: Option<usize>) -> Settings<'s> {
        let plain = side.generation.settings_for_anyone(pack, model);
        let of_model = model.and_then(|model| side.generation.profiles.models.get(&ModelId { pack, model }));
        let layers = side.generation.packs.get(pack).map(|pack| &pack.defaults);
        let layers = layers.into_iter().chain(side.generation.profiles.defaults.as_deref()).chain(of_model).collect();
        Settings { side, sealed: self.sealer.seal(plain.clone(), side), plain, layers, own: None }
    }

    /// What lies under `profiles/files/` and is sent as it is. Only that it changed is told: it may hold secrets.
    pub fn static_files(&self, found: &mut Found) {
        let (olds, news) = (statics(self.old.profiles), statics(self.new.profiles));
        let mut names: Vec<&PathBuf> = olds.keys().chain(news.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (old, new) = (olds.get(name), news.get(name));
            if let (Some((old, old_size)), Some((new, new_size))) = (old, new)
                && old_size == new_size
                && same_content(old, new)
            {
                continue;
            }
            let size = |found: Option<&(PathBuf, u64)>| found.map(|(_, size)| format!("{size} bytes"));
            let source = match (old, new) {
                (_, Some((path, _))) => self.new.file(path),
                (Some((path, _)), None) => self.old.file(path),
                (None, None) => Source::Unknown,
            };
            let kind = match (old, new) {
                (None, _) => Kind::Added,
                (_, None) => Kind::Removed,
                _ => Kind::Changed,
            };
            let subject = Subject::File(format!("files/{}", name.display()).into());
            let change = Change::new(subject, size(old), size(new), source, None);
            found.put(&Who::Model(None), vec![Finding { kind, file: None, change }]);
        }
    }
}

fn lone_pack(side: &Side<'_>, pack: &Pack, kind: Kind) -> Finding {
    let name = Some(pack.name.clone());
    let (old, new) = if kind == Kind::Removed { (name, None) } else { (None, name) };
    let source = side.file(&pack.folder.join("pack.toml"));
    let subject = Subject::File(format!("pack {}", pack.name).into());
    Finding { kind, file: None, change: Change::new(subject, old, new, source, None) }
}

fn anyones(pack: &Pack) -> Vec<&FileEntry> {
    pack.files.iter().filter(|file| file.audience == Audience::Anyone).collect()
}

/// The models that both sides have, or one entry where the file is the same for all.
fn models((old_pack, old): (&Pack, &FileEntry), (new_pack, new): (&Pack, &FileEntry)) -> Vec<Both> {
    let is_per_model = |file: &FileEntry| file.paths.iter().any(|path| path.to_string().contains("{model}"));
    if !is_per_model(old) || !is_per_model(new) {
        return vec![(None, None)];
    }
    let both = new_pack.models.list.iter().enumerate().filter_map(|(index, model)| {
        let before = old_pack.models.named(&model.name)?;
        (old.is_for(before) && new.is_for(index)).then(|| (Some((before, index)), Some(model.name.clone())))
    });
    both.collect()
}

/// Every file under `files/`, by its path there, with its size.
fn statics(profiles: &Path) -> BTreeMap<PathBuf, (PathBuf, u64)> {
    let folder = profiles.join("files");
    let entries = WalkDir::new(&folder).follow_links(true).into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).filter_map(|entry| {
        let name = entry.path().strip_prefix(&folder).ok()?.to_owned();
        let size = entry.metadata().ok()?.len();
        Some((name, (entry.into_path(), size)))
    });
    files.collect()
}

/// Whether two files hold the same; one that can't be read is another.
fn same_content(one: &Path, other: &Path) -> bool {
    let compare = || -> std::io::Result<bool> {
        let open = |path: &Path| std::fs::File::open(path).map(std::io::BufReader::new);
        let (mut one, mut other) = (open(one)?.bytes(), open(other)?.bytes());
        loop {
            match (one.next().transpose()?, other.next().transpose()?) {
                (None, None) => return Ok(true),
                (one, other) if one != other => return Ok(false),
                _ => {}
            }
        }
    };
    compare().unwrap_or(false)
}
