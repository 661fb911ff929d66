//! The pages, a file for each kind, and the order in which they are written: the many last.

mod changes;
mod device;
mod devices;
mod findings;
mod overview;
mod public;

use rayon::prelude::*;
use serde::Serialize;
use tera::Context;

use super::Error;
use super::fleet::Fleet;
use super::paths::numbered;
use super::site::Site;

/// Devices whose pages are written before the progress is told.
const AT_A_TIME: usize = 256;

/// What every page is told.
pub fn common(fleet: &Fleet<'_>) -> Context {
    let mut context = Context::new();
    context.insert("program", concat!("resyncd ", env!("CARGO_PKG_VERSION")));
    context.insert("finding_count", &fleet.findings.len());
    context.insert("device_count", &fleet.rows.len());
    context.insert("listed_count", &fleet.listed().count());
    let base = fleet.preview.base.as_ref();
    context.insert("base", &base.map(|base| base.name));
    context.insert("change_count", &base.map(|base| base.changes.concerned()));
    context
}

/// Writes every page.
pub fn write(site: &Site, fleet: &Fleet<'_>, progress: &mut dyn FnMut(usize, usize)) -> Result<(), Error> {
    overview::write(site, fleet)?;
    findings::write(site, fleet)?;
    changes::write(site, fleet)?;
    public::write(site, fleet)?;
    devices::write(site, fleet)?;
    let listed: Vec<_> = fleet.listed().collect();
    let mut done = 0;
    progress(listed.len(), done);
    for some in listed.chunks(AT_A_TIME) {
        some.par_iter().try_for_each(|row| device::write(site, fleet, row))?;
        done += some.len();
        progress(listed.len(), done);
    }
    Ok(())
}

/// Where a page stands among those of its list.
#[derive(Debug, Serialize)]
struct Pager {
    page: usize,
    pages: usize,
    first: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    last: Option<String>,
}

impl Pager {
    /// `page` is counted from 1.
    fn new(folder: &str, page: usize, pages: usize) -> Self {
        let link = |to: usize| (to != page && (1..=pages).contains(&to)).then(|| numbered(folder, to));
        Self { page, pages, first: link(1), previous: link(page - 1), next: link(page + 1), last: link(pages) }
    }
}

/// How many pages so many rows take: one at least, so that a link to a list always leads somewhere.
fn pages(rows: usize, per_page: usize) -> usize {
    rows.div_ceil(per_page).max(1)
}

/// The rows of a page, which is counted from 1.
fn on_page<T>(rows: &[T], page: usize, per_page: usize) -> &[T] {
    let from = (page - 1).saturating_mul(per_page).min(rows.len());
    rows.get(from..(from + per_page).min(rows.len())).unwrap_or_default()
}

/// A device, as lists link it.
#[derive(Debug, Serialize)]
struct Link {
    name: String,
    /// None: it has no page.
    href: Option<String>,
}

impl Link {
    fn device(fleet: &Fleet<'_>, mac: crate::model::MacAddr) -> Self {
        Self { name: mac.to_string(), href: fleet.link(mac) }
    }

    fn group(name: &str) -> Self {
        Self { name: name.to_owned(), href: Some(numbered(&devices::of_group(name), 1)) }
    }

    fn model(name: &str) -> Self {
        Self { name: name.to_owned(), href: Some(numbered(&devices::of_model(name), 1)) }
    }

    fn rule(fleet: &Fleet<'_>, rule: &str) -> Self {
        let at = fleet.findings.iter().position(|finding| finding.rule == rule).unwrap_or_default();
        Self { name: rule.to_owned(), href: Some(findings::link(at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_to_its_neighbours() {
        let pager = Pager::new("devices", 2, 3);
        assert_eq!(
            (pager.previous.as_deref(), pager.next.as_deref()),
            (Some("devices/1.html"), Some("devices/3.html"))
        );
        let only = Pager::new("devices", 1, 1);
        assert!(only.first.is_none() && only.previous.is_none() && only.next.is_none() && only.last.is_none());
        assert_eq!((pages(0, 10), pages(10, 10), pages(11, 10)), (1, 1, 2));
        assert_eq!(on_page(&[1, 2, 3], 2, 2), [3]);
        assert!(on_page::<u8>(&[], 1, 2).is_empty());
    }
}
