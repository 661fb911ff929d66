//! The protocol core of TR-069: envelopes, messages, sessions.

mod hostile;
mod session;
mod transcripts;
mod work;
mod writer;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use crate::support::root;

/// Every body that a phone posts in any transcript, each once, but empty ones.
static TRANSCRIPTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut files: Vec<_> = walkdir::WalkDir::new(root().join("tests/golden/cwmp"))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.to_string_lossy().ends_with("-phone.xml"))
        .collect();
    files.sort();
    let mut posts: Vec<Vec<u8>> = files.into_iter().map(|path| fs::read(path).unwrap()).collect();
    posts.retain(|bytes| !bytes.is_empty());
    let mut seen = BTreeSet::new();
    posts.retain(|bytes| seen.insert(bytes.clone()));
    posts
});

fn posts() -> &'static [Vec<u8>] {
    &TRANSCRIPTS
}
