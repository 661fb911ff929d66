use crate::cwmp::message::{
    AutonomousTransfer, Fault, FaultCode, FinishedTransfer, Inform, Kicked, Request, RequestDownload, Response,
};
use crate::cwmp::soap::{Envelope, ReadError, Reply};

/// What comes to a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A POST with a message.
    Envelope(Box<Envelope>),
    /// A POST without a body.
    Empty,
    /// A POST with something else.
    Unreadable(ReadError),
    /// To [`Effect::Informed`] and [`Effect::PhoneAsked`]: the phone gets its response.
    Accepted,
    /// To the same: the phone gets a fault. [`FaultCode::RETRY_REQUEST`] has it send the request again, for what we could not do just
    /// now; [`FaultCode::ACS_REQUEST_DENIED`] to an Inform sends it away.
    Refused(FaultCode),
    /// To [`Effect::AskForWork`]: the next request to the phone, or `None`, which ends the session.
    Work(Option<Request>),
    /// Nothing came for too long ([`Times::expired`](super::Times::expired)), or the connection is gone for good.
    Expired,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer the POST: 200 with this envelope.
    Reply(Box<Reply>),
    /// Answer the POST: 204.
    NoContent,
    /// Answer the POST: this status without a body, and the connection closed.
    Status(u16),
    /// The phone has told who it is. The answer is [`Input::Accepted`] or [`Input::Refused`].
    Informed(Box<Inform>),
    /// The phone asked for something. The answer is [`Input::Accepted`] or [`Input::Refused`].
    PhoneAsked(Box<PhoneAsk>),
    /// The phone has nothing more to say. The answer is [`Input::Work`].
    AskForWork,
    /// What became of a request: once for each that was sent.
    Answered { request: Box<Request>, outcome: Result<Response, Failure> },
    /// The session is over.
    End(End),
}

/// A request of the phone that the server has to know of.
#[derive(Debug, Clone, PartialEq)]
pub enum PhoneAsk {
    /// To be accepted even if the key is nobody's: the phone repeats it in every session until it is.
    TransferComplete(FinishedTransfer),
    AutonomousTransferComplete(AutonomousTransfer),
    RequestDownload(RequestDownload),
    /// Accepted, it is answered with the phone's own `Next`.
    Kicked(Kicked),
}

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The phone refused it.
    Fault(Fault),
    /// The phone sent something that could not be read.
    Unreadable(ReadError),
    /// The phone sent something else than the answer. Whether it did what was asked isn't known; nor is it in what follows.
    OutOfTurn,
    /// The phone began anew: it was rebooted, or lost the connection.
    Interrupted,
    /// Nothing came.
    NoAnswer,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Both had nothing more to say.
    Done,
    /// Its Inform was refused.
    Refused(FaultCode),
    /// A message came that nobody waited for.
    OutOfTurn,
    Unreadable(ReadError),
    /// The phone sent another Inform; the next effect is [`Effect::Informed`].
    Restarted,
    TimedOut,
}

impl Effect {
    /// Whether this answers the POST.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Reply(_) | Self::NoContent | Self::Status(_))
    }

    /// Whether the session waits for the server's word.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::Informed(_) | Self::PhoneAsked(_) | Self::AskForWork)
    }
}
