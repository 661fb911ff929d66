//! A session as far as it goes by itself: what the protocol's state machine asks for, until a POST is answered or something has to
//! be done first.

use std::time::Instant;

use super::server::Answered;
use super::sessions::{State, Work};
use crate::cwmp::session::{Effect, End, Input, PhoneAsk};
use crate::model::MacAddr;

/// How far a session went by itself.
pub(super) struct Driven {
    /// To the POST; none where something has to be done first.
    pub answer: Option<Answered>,
    /// What has to be done first.
    pub asked: Option<PhoneAsk>,
    pub ended: Vec<Ended>,
}

/// A session that came to its end, to be told.
pub(super) struct Ended {
    pub mac: MacAddr,
    pub work: Box<Work>,
    pub end: End,
    pub opened: Instant,
}

impl State {
    /// Does what the protocol asks for, until the POST is answered.
    pub(super) fn drive(&mut self, input: Input, mac: MacAddr, opened: Instant) -> Driven {
        self.last = Instant::now();
        let (mut answer, mut asked, mut ended) = (None, None, Vec::new());
        if let Some(work) = &mut self.work {
            work.messages += 1;
        }
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let (session, effects) = std::mem::take(&mut self.session).step(input);
            self.session = session;
            for effect in effects {
                match effect {
                    Effect::Reply(reply) => {
                        let envelope = reply.write(&self.quirks);
                        if let Some(work) = &mut self.work {
                            work.event.bytes += u64::try_from(envelope.len()).unwrap_or(0);
                        }
                        answer = Some(Answered::Reply { envelope, cookie: None });
                    }
                    Effect::NoContent => answer = Some(Answered::NoContent),
                    Effect::Status(status) => answer = Some(Answered::Status(status)),
                    // Who may have a session was decided before it began.
                    Effect::Informed(_) => next = Some(Input::Accepted),
                    Effect::PhoneAsked(ask) => asked = Some(*ask),
                    Effect::AskForWork => {
                        next = Some(Input::Work(self.work.as_mut().and_then(|work| work.job.next_request())))
                    }
                    Effect::Answered { outcome, .. } => {
                        if let Some(work) = &mut self.work {
                            work.job.answered(outcome);
                        }
                    }
                    Effect::End(end) => {
                        if let Some(work) = self.work.take() {
                            ended.push(Ended { mac, work, end, opened });
                        }
                    }
                }
            }
        }
        Driven { answer, asked, ended }
    }
}
