//! Any message at any time: what holds of every session.

use proptest::prelude::*;
use resyncd::cwmp::message::{FaultCode, FromPhone, Method, PhoneRequest, Request, ToPhone};
use resyncd::cwmp::session::{Effect, Input, Session};
use resyncd::cwmp::soap::{Envelope, Limits};

use super::posts;

/// What the server says to the questions, and what comes between.
#[derive(Debug, Clone)]
enum Turn {
    /// A POST of the phone, by its number in the transcripts; its ID replaced by that of our last request, or not.
    Post {
        number: usize,
        id: Id,
    },
    Empty,
    Expired,
}

#[derive(Debug, Clone, Copy)]
enum Id {
    Own,
    Right,
    None,
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Yes,
    Later,
    No,
}

fn turn() -> impl Strategy<Value = Turn> {
    let id = prop::sample::select(vec![Id::Own, Id::Right, Id::Right, Id::None]);
    prop_oneof![
        6 => (any::<usize>(), id).prop_map(|(number, id)| Turn::Post { number, id }),
        3 => Just(Turn::Empty),
        1 => Just(Turn::Expired),
    ]
}

fn word() -> impl Strategy<Value = Word> {
    prop::sample::select(vec![Word::Yes, Word::Yes, Word::Yes, Word::Later, Word::No])
}

fn requests() -> [Request; 4] {
    [
        Request::GetRpcMethods,
        Request::GetParameterValues(vec!["Device.".to_owned()]),
        Request::GetQueuedTransfers,
        Request::Reboot { command_key: "k".to_owned() },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn each_post_is_answered_once_and_each_request_settled_once(
        turns in prop::collection::vec(turn(), 1..40),
        words in prop::collection::vec((word(), 0usize..6), 1..40),
    ) {
        let posts = posts();
        let mut words = words.into_iter().cycle();
        let mut session = Session::new();
        // The requests that are out, and all IDs that were sent.
        let mut out: Option<(String, Method)> = None;
        let mut ids: Vec<String> = Vec::new();
        // What an Inform opened.
        let mut open = false;
        for turn in turns {
            let is_post = !matches!(turn, Turn::Expired);
            let mut input = match turn {
                Turn::Empty => Input::Empty,
                Turn::Expired => Input::Expired,
                Turn::Post { number, id } => match Envelope::read(&posts[number % posts.len()], &Limits::default()) {
                    Err(error) => Input::Unreadable(error),
                    Ok(mut envelope) => {
                        match id {
                            Id::Own => {}
                            Id::Right => envelope.id = out.as_ref().map(|(id, _)| id.clone()).or(envelope.id),
                            Id::None => envelope.id = None,
                        }
                        Input::Envelope(Box::new(envelope))
                    }
                },
            };
            let mut answers = 0;
            loop {
                let asks_last = match &input {
                    Input::Work(Some(request)) => request.is_last(),
                    _ => false,
                };
                let (next, effects) = session.step(input);
                session = next;
                let mut question = None;
                for effect in effects {
                    prop_assert!(question.is_none(), "something follows a question");
                    answers += usize::from(effect.is_answer());
                    match &effect {
                        Effect::Reply(reply) => {
                            if let ToPhone::Request(request) = &reply.body {
                                prop_assert!(out.is_none(), "two requests are out");
                                prop_assert!(open);
                                prop_assert_eq!(asks_last, request.is_last());
                                let id = reply.id.clone().unwrap();
                                prop_assert!(!ids.contains(&id), "{id} again");
                                ids.push(id.clone());
                                out = Some((id, request.method()));
                            }
                        }
                        Effect::Answered { request, outcome } => {
                            let (_, method) = out.take().expect("nothing was out");
                            prop_assert_eq!(method, request.method());
                            if let Ok(response) = outcome {
                                prop_assert_eq!(method, response.method());
                            }
                            if request.is_last() {
                                open = false;
                            }
                        }
                        Effect::End(_) => {
                            prop_assert!(out.is_none(), "the session ended with a request out");
                            open = false;
                        }
                        Effect::Status(status) => prop_assert!([400, 413, 415].contains(status), "{status}"),
                        Effect::NoContent => {}
                        question_asked => {
                            open |= matches!(question_asked, Effect::Informed(_));
                            prop_assert!(open, "the server is asked without an Inform");
                            question = Some(matches!(question_asked, Effect::AskForWork));
                        }
                    }
                }
                prop_assert_eq!(session.is_busy(), question.is_some());
                let (word, number) = words.next().unwrap();
                input = match question {
                    None => break,
                    Some(true) => Input::Work(requests().get(number).cloned()),
                    Some(false) => match word {
                        Word::Yes => Input::Accepted,
                        Word::Later => Input::Refused(FaultCode::RETRY_REQUEST),
                        Word::No => Input::Refused(FaultCode::ACS_REQUEST_DENIED),
                    },
                };
            }
            prop_assert_eq!(answers, usize::from(is_post));
        }
        let was_over = session.is_over();
        let (session, _) = session.step(Input::Expired);
        prop_assert!(session.is_over());
        let (again, effects) = session.clone().step(Input::Empty);
        prop_assert_eq!(again, session);
        // Only who was sent 204 before is sent it again.
        prop_assert!(matches!(effects.as_slice(), [Effect::NoContent | Effect::Status(400)]));
        prop_assert!(was_over || effects == [Effect::Status(400)]);
    }
}

#[test]
fn a_post_while_another_is_being_answered_is_refused_and_harms_nothing() {
    let inform = posts()
        .iter()
        .filter_map(|bytes| Envelope::read(bytes, &Limits::default()).ok())
        .find(|envelope| matches!(&envelope.body, FromPhone::Request(PhoneRequest::Inform(_))))
        .unwrap();
    let (session, effects) = Session::new().step(Input::Envelope(Box::new(inform.clone())));
    assert!(matches!(effects.as_slice(), [Effect::Informed(_)]));
    let (same, effects) = session.clone().step(Input::Envelope(Box::new(inform)));
    assert_eq!((&same, effects.as_slice()), (&session, [Effect::Status(400)].as_slice()));
    let (same, effects) = session.clone().step(Input::Empty);
    assert_eq!((&same, effects.as_slice()), (&session, [Effect::Status(400)].as_slice()));
    let (_, effects) = same.step(Input::Accepted);
    assert!(matches!(effects.as_slice(), [Effect::Reply(_)]));
}

#[test]
fn a_server_that_answers_what_was_not_asked_gets_no_panic() {
    for input in [
        Input::Accepted,
        Input::Refused(FaultCode::RETRY_REQUEST),
        Input::Work(None),
        Input::Work(Some(Request::FactoryReset)),
    ] {
        let (session, effects) = Session::new().step(input);
        assert!(session.is_over());
        assert!(effects.contains(&Effect::Status(500)), "{effects:?}");
    }
}
