//! Tasks of phones, as the database knows them.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;

use crate::model::MacAddr;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// For the phone's next session after it is due.
    Waiting,
    /// A session has it.
    Running,
    /// The phone has taken it, and will tell in another session how it ended.
    Started,
    Done,
    Failed,
    /// Its time was over before it was done.
    Expired,
    Cancelled,
}

impl TaskState {
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Running, Self::Started, Self::Done, Self::Failed, Self::Expired, Self::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Started => "started",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether something may still come of it.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::Started)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("\"{text}\" is no state of a task: it is one of {}", words.join(", "))
        })
    }
}

/// Whether its phone is asked to come for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calling {
    /// It comes by itself.
    Unwanted,
    /// It is to be asked as soon as the task is due.
    Wanted,
    /// It was asked, or is just now.
    Done,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// 32 hexadecimal digits, and the CommandKey of transfers. They order by time.
    pub id: String,
    pub mac: MacAddr,
    /// JSON of what is to be done; secrets in it are sealed.
    pub spec: String,
    pub state: TaskState,
    /// How often it was begun, and how often it may be.
    pub tries: u32,
    pub most_tries: u32,
    /// Not before; while a session has it, until when it has.
    pub due: OffsetDateTime,
    pub expires: OffsetDateTime,
    pub created: OffsetDateTime,
    pub created_by: String,
    /// The bulk that it is one of, and after how many failures the others of that are cancelled.
    pub bulk: Option<String>,
    pub bulk_stop: Option<u32>,
    pub calling: Calling,
    /// What came of asking the phone to come.
    pub called: Option<String>,
    /// JSON.
    pub result: Option<String>,
    /// The phone's code: 9005 and so on.
    pub fault: Option<u16>,
    /// Why it failed, or was put off.
    pub why: Option<String>,
    pub finished: Option<OffsetDateTime>,
}

/// What a session made of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskEnd {
    pub id: String,
    /// None: back to waiting, and the try doesn't count.
    pub state: Option<TaskState>,
    /// For [`TaskState::Waiting`]: when it is tried again.
    pub due: Option<OffsetDateTime>,
    pub result: Option<String>,
    pub fault: Option<u16>,
    pub why: Option<String>,
}

/// What a ticket opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRow {
    pub id: String,
    pub mac: MacAddr,
    pub serves: String,
}

/// Which tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    pub mac: Option<MacAddr>,
    pub state: Option<TaskState>,
    pub bulk: Option<String>,
    /// Older than the task of this id.
    pub before: Option<String>,
}

/// How many tasks of a bulk there are in each state.
pub type TaskCounts = Vec<(TaskState, u64)>;
