//! docs/events.md: the words that events are written with.

use super::{first_row, heading, row};
use crate::events::{Flag, Kind, Outcome, Refusal, TARGET};

const INTRODUCTION: &str = r#"Every request, and every connection that came to none, is an event: a line in the log, a row in the database, a count in
the metrics. These are the words they are written with. Words are added in later versions; none changes its meaning.

`resyncd log --format json` prints events with these keys: `id`, `time` (UTC), `kind`, `listener`, `peer`, `method`, `target`,
`status` (0 where no answer was sent), `bytes` (of the answer's body; of an upload, of what was sent), `duration_ms`, `tls_version`, `tls_cipher`, `certificate` (its
subject), `user_agent`, `vendor`, `model`, `firmware`, `device` (whose file was asked for), `asked_mac` (what was asked for, known or
not), `file`, `generation`, `encoding`, `outcome`, `refusal`, `reason`, `flags`. What isn't known is null.
"#;

pub fn page() -> String {
    let mut page = heading("Events", "src/events/words.rs");
    page += INTRODUCTION;
    page += &format!(
        "\nIn the log they are the lines of the target `{TARGET}`, so that `log.level` can choose them by themselves.\n"
    );
    table("kind", Kind::ALL.iter().map(|kind| (kind.as_str(), kind.explanation())), &mut page);
    // The refusal that stands in here is not shown: its table follows.
    let outcomes = Outcome::WORDS.iter().filter_map(|word| Outcome::from_words(word, Some("no-proof")).ok());
    let outcomes = outcomes.map(|outcome| match outcome {
        Outcome::Refused(_) => (outcome.as_str(), "The phone got nothing; `refusal` says why."),
        _ => (outcome.as_str(), outcome.explanation()),
    });
    table("outcome", outcomes, &mut page);
    table("refusal", Refusal::ALL.iter().map(|refusal| (refusal.as_str(), refusal.explanation())), &mut page);
    table("flags", Flag::ALL.iter().map(|flag| (flag.as_str(), flag.explanation())), &mut page);
    page
}

fn table<'w>(key: &str, words: impl Iterator<Item = (&'w str, &'w str)>, page: &mut String) {
    *page += &format!("\n## {key}\n\n");
    *page += &first_row(&["Word", "Meaning"]);
    for (word, meaning) in words {
        *page += &row(&[&format!("`{word}`"), meaning]);
    }
}
