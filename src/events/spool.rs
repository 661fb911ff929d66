//! Events on disk that the database could not take yet: JSON lines in `data_dir/spool`, one file (segment) after the
//! other, bounded together. The newest segment is written, the oldest is read and then deleted as a whole; a segment
//! that is read again after a crash does no harm, because events have ids.
//!
//! Everything here does file I/O and is called where that may block. What the disk refuses (full, read-only) is told to
//! the caller as lost, never as a panic.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Entry;

/// Where a segment ends and the next begins, in bytes: it is read into memory as a whole.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The suffix of segments, and of those that could not be read and are left for the operator.
const SUFFIX: &str = "jsonl";
const UNREADABLE: &str = "unreadable";

/// Why there can be no spool.
#[derive(Debug, thiserror::Error)]
#[error("the spool {} can't be used: {error}; resyncd keeps events there while the database is away, so make it writable", folder.display())]
pub struct SpoolError {
    folder: PathBuf,
    error: io::Error,
}

/// What became of events that were to be spooled.
#[derive(Debug, Default)]
pub struct Appended {
    pub kept: u64,
    pub lost: u64,
    /// Why some are lost, where it is not for want of room.
    pub error: Option<io::Error>,
}

/// What a segment held.
#[derive(Debug, Default)]
pub struct Segment {
    pub entries: Vec<Entry>,
    /// Lines that are no event: the end of a segment that was being written when the machine went down.
    pub unreadable: u64,
}

#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Bytes that all segments together may have.
    limit: u64,
    /// Held while the disk is written to.
    state: Mutex<State>,
    /// Of the state, for those that must not wait for the disk.
    bytes: AtomicU64,
    segments: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// Number and size, oldest first.
    segments: VecDeque<(u64, u64)>,
    /// Open while the newest segment is being written.
    writing: Option<File>,
    next: u64,
}

impl Spool {
    /// Opens the folder, made if need be, with what an earlier run left in it.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, SpoolError> {
        let state = scan(folder).map_err(|error| SpoolError { folder: folder.to_owned(), error })?;
        let (bytes, segments) = (state.bytes().into(), state.segments.len().into());
        Ok(Self { folder: folder.to_owned(), limit, state: Mutex::new(state), bytes, segments })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves at worst a size that is off by one batch.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, number: u64, suffix: &str) -> PathBuf {
        self.folder.join(format!("{number:016}.{suffix}"))
    }

    fn publish(&self, state: &State) {
        self.bytes.store(state.bytes(), Ordering::Release);
        self.segments.store(state.segments.len(), Ordering::Release);
    }

    fn forget(&self, number: u64) {
        let mut state = self.state();
        state.segments.retain(|(other, _)| *other != number);
        self.publish(&state);
    }

    /// Bytes of all segments. Never waits.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether there is no segment. Never waits.
    pub fn is_empty(&self) -> bool {
        self.segments.load(Ordering::Acquire) == 0
    }

    /// Adds the events that `take` gives, as many as there is room for. The spool is locked meanwhile: who looks at it
    /// next sees them.
    pub fn append_with(&self, take: impl FnOnce() -> Vec<Entry>) -> Appended {
        let mut state = self.state();
        let entries = take();
        let mut appended = Appended::default();
        let mut lines = Vec::new();
        let mut pending = 0;
        let mut room = self.limit.saturating_sub(state.bytes());
        for entry in &entries {
            let before = lines.len();
            let written = serde_json::to_writer(&mut lines, entry).map_err(io::Error::from);
            lines.push(b'\n');
            let size = (lines.len() - before) as u64;
            if written.is_err() || size > room {
                lines.truncate(before);
                appended.lost += 1;
                appended.error = appended.error.take().or(written.err());
                continue;
            }
            room -= size;
            pending += 1;
            if lines.len() as u64 >= SEGMENT_BYTES {
                self.write(&mut state, &mut lines, &mut pending, &mut appended);
            }
        }
        self.write(&mut state, &mut lines, &mut pending, &mut appended);
        self.publish(&state);
        appended
    }

    /// Writes whole lines to the newest segment, or none of them.
    fn write(&self, state: &mut State, lines: &mut Vec<u8>, pending: &mut u64, appended: &mut Appended) {
        if lines.is_empty() {
            return;
        }
        match self.write_lines(state, lines) {
            Ok(()) => appended.kept += *pending,
            Err(error) => {
                appended.lost += *pending;
                appended.error.get_or_insert(error);
            }
        }
        lines.clear();
        *pending = 0;
    }

    fn write_lines(&self, state: &mut State, lines: &[u8]) -> io::Result<()> {
        if state.segments.back().is_some_and(|(_, size)| *size >= SEGMENT_BYTES) {
            state.writing = None;
        }
        let mut file = match state.writing.take() {
            Some(file) => file,
            None => {
                let path = self.path(state.next, SUFFIX);
                let file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(path)?;
                state.segments.push_back((state.next, 0));
                state.next += 1;
                file
            }
        };
        let Some((_, size)) = state.segments.back_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err(error) = file.write_all(lines) {
            // Part of it may be there (a full disk): cut it off, so that the next line begins at its own beginning. Where
            // not even that works the segment is left as it is, its broken line told as unreadable, and a new one begun.
            if file.set_len(*size).is_ok() {
                state.writing = Some(file);
            }
            return Err(error);
        }
        *size += lines.len() as u64;
        state.writing = Some(file);
        Ok(())
    }

    /// Reads the oldest segment. It is not written to any more.
    pub fn read_oldest(&self) -> Option<(u64, io::Result<Segment>)> {
        let mut state = self.state();
        if state.segments.len() == 1 {
            state.writing = None;
        }
        let (number, _) = *state.segments.front()?;
        drop(state);
        Some((number, self.read(number)))
    }

    fn read(&self, number: u64) -> io::Result<Segment> {
        let mut segment = Segment::default();
        for line in fs::read(self.path(number, SUFFIX))?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(entry) => segment.entries.push(entry),
                Err(_) => segment.unreadable += 1,
            }
        }
        Ok(segment)
    }

    /// Deletes a segment whose events are in the database.
    pub fn remove(&self, number: u64) -> io::Result<()> {
        let result = fs::remove_file(self.path(number, SUFFIX));
        self.forget(number);
        result
    }

    /// Leaves a segment that can't be read to the operator, under another name.
    pub fn set_aside(&self, number: u64) -> PathBuf {
        let path = self.path(number, UNREADABLE);
        // Where even that fails there is nothing left to try; the segment is found again at the next start.
        let _ = fs::rename(self.path(number, SUFFIX), &path);
        self.forget(number);
        path
    }

    /// Makes sure that what was written survives a power cut.
    pub fn sync(&self) -> io::Result<()> {
        self.state().writing.as_ref().map_or(Ok(()), File::sync_data)
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, size)| size).sum()
    }
}

/// The segments in a folder.
fn scan(folder: &Path) -> io::Result<State> {
    fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    let mut state = State::default();
    for found in fs::read_dir(folder)? {
        let found = found?;
        let path = found.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let Some(number) = number {
            state.next = state.next.max(number.saturating_add(1));
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                state.segments.push_back((number, found.metadata()?.len()));
            }
        }
    }
    state.segments.make_contiguous().sort_unstable();
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{EventIds, sample};

    fn entries(count: usize) -> Vec<Entry> {
        let ids = EventIds::new().unwrap();
        (0..count).map(|_| Entry::new(ids.next(sample::served().time), sample::served())).collect()
    }

    fn append(spool: &Spool, entries: &[Entry]) -> Appended {
        spool.append_with(|| entries.to_vec())
    }

    fn drain(spool: &Spool) -> Vec<Entry> {
        let mut all = Vec::new();
        while let Some((number, segment)) = spool.read_oldest() {
            all.extend(segment.unwrap().entries);
            spool.remove(number).unwrap();
        }
        all
    }

    #[test]
    fn what_goes_in_comes_out_in_order_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let entries = entries(5);
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(append(&spool, &entries[..2]).kept, 2);
        assert_eq!(spool.read_oldest().unwrap().1.unwrap().entries, entries[..2]);
        assert_eq!(append(&spool, &entries[2..3]).kept, 1, "a segment that is being read is not written to");
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(append(&spool, &entries[3..]).kept, 2);
        assert_eq!(drain(&spool), entries);
        assert_eq!((spool.bytes(), spool.is_empty()), (0, true));
    }

    #[test]
    fn it_never_grows_beyond_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let entries = entries(20);
        let line = serde_json::to_vec(&entries[0]).unwrap().len() as u64 + 1;
        let spool = Spool::open(folder.path(), line * 7 + 3).unwrap();
        let appended = append(&spool, &entries);
        assert_eq!((appended.kept, appended.lost), (7, 13));
        assert_eq!(spool.bytes(), line * 7);
        assert_eq!(drain(&spool), entries[..7]);
        assert_eq!(append(&spool, &entries).kept, 7, "room is given back");
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let entries = entries(2);
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        append(&spool, &entries);
        let path = spool.path(0, SUFFIX);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 20]).unwrap();
        let segment = spool.read(0).unwrap();
        assert_eq!((segment.entries.as_slice(), segment.unreadable), (&entries[..1], 1));
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_and_survived() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("spool");
        let spool = Spool::open(&inside, 1 << 20).unwrap();
        fs::remove_dir(&inside).unwrap();
        let appended = append(&spool, &entries(3));
        assert_eq!((appended.kept, appended.lost), (0, 3));
        assert!(appended.error.is_some());
        fs::create_dir(&inside).unwrap();
        assert_eq!(append(&spool, &entries(3)).kept, 3);
    }

    #[test]
    fn a_folder_that_can_not_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("spool");
        fs::write(&file, "").unwrap();
        let error = Spool::open(&file, 1).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }
}
