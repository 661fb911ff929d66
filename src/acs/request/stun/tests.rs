use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A request with these attributes, each filled up or not.
pub fn request(attributes: &[(u16, &[u8])], is_filled: bool) -> Vec<u8> {
    let mut message = [&[0, 1, 0, 0][..], &[7; 16]].concat();
    for (kind, value) in attributes {
        message.extend(kind.to_be_bytes());
        message.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        message.extend(*value);
        while is_filled && !message.len().is_multiple_of(4) {
            message.push(0);
        }
    }
    let length = u16::try_from(message.len() - HEADER).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// The same, signed.
fn signed(attributes: &[(u16, &[u8])], way: Signing, password: &Secret) -> Vec<u8> {
    let text = request(attributes, true);
    let code = signature(way, &text, password).unwrap().finalize().into_bytes();
    let code: &[u8] = &code;
    request(&[attributes, &[(MESSAGE_INTEGRITY, code)]].concat(), true)
}

const PHONE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 40_001);
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);

#[test]
fn a_phone_of_tr_111_is_read_however_long_its_attribute_is() {
    for (attribute, is_filled) in [(TR_111, true), (&b"dslforum.org/TR-111"[..], true), (b"dslforum.org/TR-111", false)]
    {
        for attributes in [
            [(CONNECTION_REQUEST_BINDING, attribute), (USERNAME, &b"000e08abcdef"[..])],
            [(USERNAME, b"000e08abcdef"), (CONNECTION_REQUEST_BINDING, attribute)],
        ] {
            let message = request(&[&attributes[..], &[(BINDING_CHANGE, b"")]].concat(), is_filled);
            let read = Request::read(&message).unwrap();
            assert_eq!(read.user, Some(&b"000e08abcdef"[..]));
            assert!(read.for_connection_requests && read.has_changed && !read.is_signed());
        }
    }
    let filled = request(&[(USERNAME, b"user1   ")], true);
    assert_eq!(Request::read(&filled).unwrap().user, Some(&b"user1"[..]));
    let other = request(&[(CONNECTION_REQUEST_BINDING, b"example.org/TR-111  ")], true);
    assert!(!Request::read(&other).unwrap().for_connection_requests);
}

#[test]
fn it_is_told_where_it_comes_from() {
    let message = request(&[], true);
    let answer = Request::read(&message).unwrap().answer(PHONE, Some(HERE), None);
    assert_eq!(answer, hex("0101000c 07070707 07070707 07070707 07070707 0001 0008 0001 9c41 c6336407"));
    // There is room for where the answer comes from, if the question has as many bytes.
    let message = request(&[(CONNECTION_REQUEST_BINDING, TR_111)], true);
    let answer = Request::read(&message).unwrap().answer(PHONE, Some(HERE), None);
    assert_eq!((answer.len(), message.len()), (44, 44));
    assert!(answer.ends_with(&hex("0004 0008 0001 0d96 c0000201")));
    let v6 = SocketAddr::new("2001:db8::7".parse().unwrap(), 40_001);
    let answer = Request::read(&message).unwrap().answer(v6, Some(v6), None);
    assert_eq!(answer.len(), LONGEST_ANSWER);
    assert!(answer.ends_with(&hex("0001 0014 0002 9c41 20010db8 00000000 00000000 00000007")));
}

#[test]
fn refusals_name_their_reason() {
    let message = request(&[(0x0024, b"abcd")], true);
    let read = Request::read(&message).unwrap();
    assert_eq!(read.unknown, Some(0x0024));
    let refusal = read.refusal(ErrorCode::UnknownAttribute(0x0024));
    assert!(refusal.ends_with(&hex("0009 0004 0000 0414 000a 0004 0024 0024")), "{refusal:x?}");
    let refusal = read.refusal(ErrorCode::Unauthorized);
    assert_eq!(refusal, hex("01110008 07070707 07070707 07070707 07070707 0009 0004 0000 0401"));
    // From where the answer comes can't be chosen; not choosing it is no mistake.
    let read = request(&[(CHANGE_REQUEST, &[0, 0, 0, 6])], true);
    assert_eq!(Request::read(&read).unwrap().unknown, Some(CHANGE_REQUEST));
    let read = request(&[(CHANGE_REQUEST, &[0; 4])], true);
    assert_eq!(Request::read(&read).unwrap().unknown, None);
}

#[test]
fn a_signature_is_one_of_both_standards() {
    // RFC 5769, section 2.1: with a signature that FINGERPRINT follows, and an attribute that we would have to understand.
    let sample = hex(
        "00010058 2112a442 b7e7a701 bc34d686 fa87dfae 80220010 5354554e 20746573 7420636c 69656e74 00240004 6e0001ff \
         80290008 932ff9b1 51263b36 00060009 6576746a 3a683676 59202020 00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 \
         c1b571a2 80280004 e57a3bcf",
    );
    let read = Request::read(&sample).unwrap();
    assert_eq!((read.user, read.unknown), (Some(&b"evtj:h6vY"[..]), Some(0x0024)));
    assert_eq!(read.signed_with(&Secret::new("VOkJxbRl1RmTxUk/WvJxBt")), Some(Signing::Rfc5389));
    assert_eq!(read.signed_with(&Secret::new("VOkJxbRl1RmTxUk/WvJxBu")), None);
    let password = Secret::new("not-a-real-password");
    for way in [Signing::Rfc3489, Signing::Rfc5389] {
        let mut message = signed(&[(USERNAME, b"user"), (CONNECTION_REQUEST_BINDING, TR_111)], way, &password);
        let read = Request::read(&message).unwrap();
        assert_eq!(read.signed_with(&password), Some(way));
        let answer = read.answer(PHONE, Some(HERE), Some((way, &password)));
        assert_eq!(answer[HEADER + 24..HEADER + 28], hex("0008 0014"), "{answer:x?}");
        let text = &answer[..HEADER + 24];
        let code = signature(way, text, &password).unwrap();
        assert!(code.verify_slice(&answer[HEADER + 28..]).is_ok());
        for at in (0..message.len()).filter(|at| !(2..4).contains(at)) {
            message[at] ^= 1;
            let holds = Request::read(&message).ok().and_then(|read| read.signed_with(&password));
            assert_eq!(holds, None, "byte {at}");
            message[at] ^= 1;
        }
    }
}

#[test]
fn what_is_no_request_is_none() {
    let good = request(&[(USERNAME, b"user")], true);
    for (bytes, error) in [
        (Vec::new(), ReadError::Size),
        (good[..19].to_vec(), ReadError::Size),
        (vec![0; LONGEST + 1], ReadError::Size),
        ([&[1][..], &good[1..]].concat(), ReadError::Kind),
        ([&[0, 2][..], &good[2..]].concat(), ReadError::Kind),
        ([&good[..], &[0]].concat(), ReadError::Length),
        (good[..24].to_vec(), ReadError::Length),
        (request(&[(USERNAME, &[b'a'; USER + 4])], true), ReadError::Attributes),
        (request(&[(MESSAGE_INTEGRITY, &[0; 16])], true), ReadError::Attributes),
        (request(&[(RESPONSE_ADDRESS, &[0; 8])], true), ReadError::Attributes),
        (request(&[(USERNAME, b"abc"), (0x8000, b"a")], false)[..30].to_vec(), ReadError::Length),
    ] {
        assert_eq!(Request::read(&bytes), Err(error), "{bytes:x?}");
    }
    let mut lies = good.clone();
    lies[23] = 200;
    assert_eq!(Request::read(&lies), Err(ReadError::Attributes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic_or_answer_more_than_it_may(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        attributes in prop::collection::vec((0_u16..12, prop::collection::vec(any::<u8>(), 0..24)), 0..6),
        is_filled: bool,
    ) {
        let attributes: Vec<_> = attributes.iter().map(|(kind, value)| (*kind, value.as_slice())).collect();
        for message in [bytes, request(&attributes, is_filled)] {
            let Ok(read) = Request::read(&message) else { continue };
            let most = message.len().max(LONGEST_ANSWER);
            let codes = [
                ErrorCode::BadRequest,
                ErrorCode::Unauthorized,
                ErrorCode::UnknownAttribute(3),
                ErrorCode::IntegrityCheckFailure,
                ErrorCode::MissingUsername,
            ];
            for code in codes {
                prop_assert!(read.refusal(code).len() <= most);
            }
            prop_assert!(read.answer(PHONE, Some(HERE), None).len() <= most);
            prop_assert!(read.signed_with(&Secret::new("a")).is_none());
        }
    }
}
