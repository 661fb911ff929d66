//! Files that anyone may fetch: the same for every phone, or for every phone of a model.

use rayon::prelude::*;
use serde::Serialize;
use tera::Context;

use super::super::Error;
use super::super::fleet::Fleet;
use super::super::paths::numbered;
use super::super::profile;
use super::super::site::Site;
use super::device::Shown;
use super::{Link, Pager, on_page, pages};
use crate::lint::PublicFile;

/// Files of one page of their list.
const PER_PAGE: usize = 500;

#[derive(Debug, Serialize)]
struct Listed {
    link: Link,
    pack: String,
    model: Option<String>,
    is_made: bool,
}

fn path(at: usize) -> String {
    format!("public/file/{}.html", at + 1)
}

pub fn write(site: &Site, fleet: &Fleet<'_>) -> Result<(), Error> {
    let files: Vec<Listed> = used(fleet)
        .map(|(at, file)| Listed {
            link: Link { name: file.path.clone(), href: Some(path(at)) },
            pack: file.pack.name.clone(),
            model: file.model.map(|model| model.name.to_string()),
            is_made: file.outcome.is_ok(),
        })
        .collect();
    let count = pages(files.len(), PER_PAGE);
    for page in 1..=count {
        let mut context = Context::new();
        context.insert("files", on_page(&files, page, PER_PAGE));
        context.insert("pager", &Pager::new("public", page, count));
        site.page(&numbered("public", page), "public_list.html", context)?;
    }
    used(fleet).par_bridge().try_for_each(|(at, file)| one(site, file, at))
}

/// The files, each with its place among all.
fn used<'f>(fleet: &'f Fleet<'_>) -> impl Iterator<Item = (usize, &'f PublicFile<'f>)> + Send {
    fleet.public.iter().filter_map(|at| Some((*at, fleet.deployment.public.get(*at)?)))
}

fn one(site: &Site, file: &PublicFile<'_>, at: usize) -> Result<(), Error> {
    let text =
        file.outcome.as_ref().map_or_else(|_| String::new(), |made| profile::text(file.entry.format, &made.body));
    let shown = Shown::new(1, file.entry, &file.path, Some(&file.outcome), &text, |made| {
        profile::lines(&text, made, file.pack, file.entry, None)
    });
    let mut context = Context::new();
    context.insert("files", &[shown]);
    context.insert("path", &file.path);
    context.insert("pack", &file.pack.name);
    context.insert("model", &file.model.map(|model| &*model.name));
    site.page(&path(at), "public.html", context)
}

/// The files for anyone that a model of a pack asks for.
pub fn of_model(fleet: &Fleet<'_>, pack: &str, model: &str) -> Vec<Link> {
    let is_for = |file: &PublicFile<'_>| {
        let own = file.model.is_none_or(|other| *other.name == *model);
        let index = file.pack.models.named(model);
        own && file.pack.name == pack && index.is_some_and(|index| file.entry.is_for(index))
    };
    let own = used(fleet).filter(|(_, file)| is_for(file));
    own.map(|(at, file)| Link { name: file.path.clone(), href: Some(path(at)) }).collect()
}
