//! `[brakes]`: what becomes of those who ask in vain.

use super::table::{Table, Wrong};
use crate::config::Brakes;

pub fn read(table: Table<'_>) -> Option<Brakes> {
    let failures: Option<u32> = table.integer("failures");
    let refuse_after: Option<u32> = table.integer("refuse_after");
    if let (Some(failures), Some(refuse_after)) = (failures, refuse_after)
        && refuse_after < failures
    {
        let wrong = Wrong::new(format!("{refuse_after} is less than brakes.failures, {failures}"));
        table.problem("refuse_after", wrong.help("refusals are delayed first, and become a 503 later"));
    }
    let brakes = (
        table.time("window"),
        table.time("longest_delay"),
        table.integer("waiting"),
        table.integer("tries"),
        table.integer("scan_phones"),
        table.time("scan_window"),
        table.time("spare"),
    );
    table.finish();
    let (window, longest_delay, waiting, tries, scan_phones, scan_window, spare) = brakes;
    Some(Brakes {
        failures: failures?,
        refuse_after: refuse_after?,
        window: window?,
        longest_delay: longest_delay?,
        waiting: waiting?,
        tries: tries?,
        scan_phones: scan_phones?,
        scan_window: scan_window?,
        spare: spare?,
    })
}
