//! A session: one phone, from its Inform to the empty answer.
//!
//! [`Session::step`] takes what came ([`Input`]) and says what to do ([`Effect`]); it does nothing itself. After each POST exactly one
//! effect is an answer to it ([`Effect::is_answer`]), or one is a question to the server ([`Effect::is_question`]), whose answer is
//! the next input and brings the POST's.
//!
//! ```text
//! Opening ──Inform──▶ Deciding ──Accepted──▶ Listening ──empty POST──▶ Asking ──Work(Some)──▶ Waiting
//!    ▲                    │                   │  ▲                      │  ▲                     │
//!    └── Refused(8005) ───┘                   ▼  │                      │  └──────── answer ─────┘
//!                                           Deciding               Work(None) ──▶ Ended ◀── answer to a last request
//! ```
//!
//! * The first message is Inform; anything else is 400. The phone's other requests come before its first empty POST, later ones are 400.
//! * One request of ours is out at a time. Its answer must be of its kind and carry its ID; a missing ID is tolerated.
//! * Reboot and FactoryReset end the session with their answer: a phone may carry them out at once and drop what follows.
//! * A second Inform begins the session anew. GenieACS answers it 400, so that a phone whose connection broke is locked out until the
//!   session has timed out; by the retry policy (TR-069 3.2.1.1) a phone opens a new session after any failure, and it may still hold
//!   the cookie.
//! * 204 to an empty POST says that all was heard. So it is repeated after a session that was ended by it, and never given after one
//!   that failed.
//! * HoldRequests is never sent, MaxEnvelopes is 1, and without UseCWMPVersion phones go by the namespace.
//!
//! Who the phone is, and whether it may come at all, is for the server to say: it is asked with the Inform before that is answered.

mod effect;
mod times;
mod token;

pub use effect::{Effect, End, Failure, Input, PhoneAsk};
pub use times::{Expired, Times};
pub use token::{COOKIE, Token, presented};

use super::message::{Answer, Fault, FaultCode, FromPhone, PhoneRequest, Request, Response, ToPhone};
use super::soap::{CwmpNamespace, Envelope, ReadError, Refusal, Reply};

/// The state of one session. Kept by the server between two POSTs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Session {
    phase: Phase,
    namespace: CwmpNamespace,
    /// How many requests were sent: the next one's ID.
    sent: u32,
}

#[derive(Debug, Clone, PartialEq, Default)]
enum Phase {
    /// Nothing but Inform is heard: at first, or after an Inform that has to be sent again.
    #[default]
    Opening,
    /// The server is asked how the phone's request is to be answered.
    Deciding { id: Option<String>, answer: Answer },
    /// The phone says what it has to say.
    Listening,
    /// The server is asked what there is to do.
    Asking,
    /// The phone has to answer.
    Waiting { id: String, request: Box<Request> },
    /// It is over, and a new Inform begins another. Where both were done, an empty POST is answered as the last one was: 204. Where
    /// it failed, it is 400, since 204 would tell the phone that all it had to report was heard.
    Ended { done: bool },
}

/// What follows, and what to do.
type Step = (Session, Vec<Effect>);

impl Session {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it is over, so that nothing has to be kept of it but its cookie for a while.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether the server was asked something, so that a further POST has to wait or be refused.
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Deciding { .. } | Phase::Asking)
    }

    /// What comes of an input.
    #[must_use]
    pub fn step(self, input: Input) -> Step {
        match input {
            Input::Envelope(envelope) => self.envelope(*envelope),
            Input::Empty => self.empty(),
            Input::Unreadable(error) => self.unreadable(error),
            Input::Accepted => self.decided(None),
            Input::Refused(code) => self.decided(Some(code)),
            Input::Work(request) => self.work(request),
            Input::Expired => self.over(End::TimedOut, &Failure::NoAnswer, Vec::new()),
        }
    }

    fn in_phase(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }

    /// Ends the session: what was out is answered, and the effects given follow.
    fn over(self, end: End, failure: &Failure, answer: Vec<Effect>) -> Step {
        if self.is_over() {
            return (self, answer);
        }
        let mut effects = Vec::new();
        if let Phase::Waiting { request, .. } = &self.phase {
            effects.push(Effect::Answered { request: request.clone(), outcome: Err(failure.clone()) });
        }
        effects.extend(answer);
        effects.push(Effect::End(end));
        (self.in_phase(Phase::Ended { done: false }), effects)
    }

    /// A message in the wrong state.
    fn out_of_turn(self) -> Step {
        if self.is_busy() {
            // The POST before this one is still being answered, and goes on.
            return (self, vec![Effect::Status(400)]);
        }
        self.over(End::OutOfTurn, &Failure::OutOfTurn, vec![Effect::Status(400)])
    }

    fn envelope(self, envelope: Envelope) -> Step {
        match (envelope.body, &self.phase) {
            (_, Phase::Deciding { .. } | Phase::Asking) => self.out_of_turn(),
            (FromPhone::Request(PhoneRequest::Inform(inform)), _) => {
                let (session, mut effects) = match self.phase {
                    Phase::Opening | Phase::Ended { .. } => (self, Vec::new()),
                    _ => self.over(End::Restarted, &Failure::Interrupted, Vec::new()),
                };
                effects.push(Effect::Informed(Box::new(inform)));
                let phase = Phase::Deciding { id: envelope.id, answer: Answer::Inform };
                (Self { phase, namespace: envelope.namespace, ..session }, effects)
            }
            (FromPhone::Request(request), Phase::Listening) => self.asked(envelope.id, request),
            (FromPhone::Unknown(method), Phase::Listening) if !method.ends_with("Response") => {
                let reply = self.reply(envelope.id, ToPhone::Fault(Fault::of(FaultCode::ACS_METHOD_NOT_SUPPORTED)));
                (self, vec![reply])
            }
            (FromPhone::Response(response), Phase::Waiting { id, request }) => {
                if fits(envelope.id.as_deref(), id) && response.method() == request.method() {
                    self.answered(Ok(response))
                } else {
                    self.out_of_turn()
                }
            }
            (FromPhone::Fault(fault), Phase::Waiting { id, .. }) if fits(envelope.id.as_deref(), id) => {
                self.answered(Err(Failure::Fault(fault)))
            }
            _ => self.out_of_turn(),
        }
    }

    /// A request of the phone's own, while it has the word.
    fn asked(self, id: Option<String>, request: PhoneRequest) -> Step {
        let (answer, ask) = match request {
            // Taken care of by the one who calls: it is heard in any phase.
            PhoneRequest::Inform(_) => return self.out_of_turn(),
            PhoneRequest::GetRpcMethods => {
                let reply = self.reply(id, ToPhone::Response(Answer::GetRpcMethods));
                return (self, vec![reply]);
            }
            PhoneRequest::TransferComplete(transfer) => {
                (Answer::TransferComplete, PhoneAsk::TransferComplete(transfer))
            }
            PhoneRequest::AutonomousTransferComplete(transfer) => {
                (Answer::AutonomousTransferComplete, PhoneAsk::AutonomousTransferComplete(transfer))
            }
            PhoneRequest::RequestDownload(wish) => (Answer::RequestDownload, PhoneAsk::RequestDownload(wish)),
            PhoneRequest::Kicked(kicked) => {
                (Answer::Kicked { next_url: kicked.next.clone() }, PhoneAsk::Kicked(kicked))
            }
        };
        (self.in_phase(Phase::Deciding { id, answer }), vec![Effect::PhoneAsked(Box::new(ask))])
    }

    /// The server has decided on a request of the phone: none of the codes accepts it.
    fn decided(mut self, refused: Option<FaultCode>) -> Step {
        let phase = std::mem::take(&mut self.phase);
        let Phase::Deciding { id, answer } = phase else {
            // Nothing was asked: a mistake of the server's own, after which nothing is sure.
            return self.in_phase(phase).over(End::OutOfTurn, &Failure::OutOfTurn, vec![Effect::Status(500)]);
        };
        let opening = answer == Answer::Inform;
        let Some(code) = refused else {
            let reply = self.reply(id, ToPhone::Response(answer));
            return (self.in_phase(Phase::Listening), vec![reply]);
        };
        let reply = self.reply(id, ToPhone::Fault(Fault::of(code)));
        match (opening, code) {
            // It is to come again unchanged, and so nothing has happened yet.
            (true, FaultCode::RETRY_REQUEST) => (self.in_phase(Phase::Opening), vec![reply]),
            // A fault to its Inform ends a session for the phone, too.
            (true, _) => (self.in_phase(Phase::Ended { done: false }), vec![reply, Effect::End(End::Refused(code))]),
            (false, _) => (self.in_phase(Phase::Listening), vec![reply]),
        }
    }

    fn empty(self) -> Step {
        match &self.phase {
            Phase::Listening => (self.in_phase(Phase::Asking), vec![Effect::AskForWork]),
            Phase::Ended { done: true } => (self, vec![Effect::NoContent]),
            // Instead of an answer, among others.
            _ => self.out_of_turn(),
        }
    }

    fn answered(self, outcome: Result<Response, Failure>) -> Step {
        let Phase::Waiting { request, .. } = &self.phase else { return self.out_of_turn() };
        let is_last = request.is_last();
        let mut effects = vec![Effect::Answered { request: request.clone(), outcome }];
        if is_last {
            effects.extend([Effect::NoContent, Effect::End(End::Done)]);
            return (self.in_phase(Phase::Ended { done: true }), effects);
        }
        effects.push(Effect::AskForWork);
        (self.in_phase(Phase::Asking), effects)
    }

    fn work(mut self, request: Option<Request>) -> Step {
        if self.phase != Phase::Asking {
            return self.over(End::OutOfTurn, &Failure::OutOfTurn, vec![Effect::Status(500)]);
        }
        let Some(request) = request else {
            return (self.in_phase(Phase::Ended { done: true }), vec![Effect::NoContent, Effect::End(End::Done)]);
        };
        self.sent = self.sent.saturating_add(1);
        let id = format!("acs-{}", self.sent);
        let reply = self.reply(Some(id.clone()), ToPhone::Request(request.clone()));
        (self.in_phase(Phase::Waiting { id, request: Box::new(request) }), vec![reply])
    }

    /// A fault only where a request can be answered; HTTP's own status otherwise, which ends the session for the phone, too.
    fn unreadable(self, error: ReadError) -> Step {
        if self.is_busy() {
            return self.out_of_turn();
        }
        let can_answer = match self.phase {
            Phase::Opening | Phase::Ended { .. } => error.method.as_deref() == Some("Inform"),
            Phase::Listening => error.is_request(),
            _ => false,
        };
        match error.problem.refusal() {
            Refusal::Fault(code) if can_answer => {
                let fault = Effect::Reply(Box::new(Reply {
                    namespace: error.namespace.unwrap_or(self.namespace),
                    id: error.id.clone(),
                    body: ToPhone::Fault(Fault::of(code)),
                }));
                if self.phase == Phase::Listening {
                    return (self, vec![fault]);
                }
                (self.in_phase(Phase::Ended { done: false }), vec![fault, Effect::End(End::Unreadable(error))])
            }
            refusal => {
                let status = if let Refusal::Status(status) = refusal { status } else { 400 };
                self.over(End::Unreadable(error.clone()), &Failure::Unreadable(error), vec![Effect::Status(status)])
            }
        }
    }

    fn reply(&self, id: Option<String>, body: ToPhone) -> Effect {
        Effect::Reply(Box::new(Reply { namespace: self.namespace, id, body }))
    }
}

/// Whether an answer's ID is the request's. Some phones leave it out, and some write it on a line of its own.
fn fits(id: Option<&str>, expected: &str) -> bool {
    id.is_none_or(|id| id.trim().is_empty() || id.trim() == expected)
}
