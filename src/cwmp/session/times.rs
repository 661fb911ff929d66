use std::time::{Duration, Instant};

/// How long a session may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Without a POST. 30 s: TR-069 3.7.2 asks servers to wait that long at least.
    pub idle: Duration,
    /// Altogether. 300 s.
    pub longest: Duration,
}

/// Which of the two has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    Idle,
    TooLong,
}

impl Default for Times {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), longest: Duration::from_secs(300) }
    }
}

impl Times {
    /// Whether a session's time is over: that was opened, had its last POST, and is looked at now.
    pub fn expired(&self, opened: Instant, last: Instant, now: Instant) -> Option<Expired> {
        if now.saturating_duration_since(opened) >= self.longest {
            Some(Expired::TooLong)
        } else if now.saturating_duration_since(last) >= self.idle {
            Some(Expired::Idle)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_a_session_and_so_does_talk_without_end() {
        let opened = Instant::now();
        let at = |seconds| opened + Duration::from_secs(seconds);
        let expired = |last, now| Times::default().expired(opened, at(last), at(now));
        assert_eq!(expired(0, 29), None);
        assert_eq!(expired(0, 30), Some(Expired::Idle));
        assert_eq!(expired(280, 299), None);
        assert_eq!(expired(299, 300), Some(Expired::TooLong));
        // Looked at by somebody who read the clock before.
        assert_eq!(expired(5, 0), None);
    }
}
