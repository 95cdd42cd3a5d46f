//! Messages there and back, and bytes that are none.

use super::*;

fn requests() -> Vec<Request> {
    vec![
        Request::Hello { version: 1 },
        Request::Begin { wait_ms: 5000 },
        Request::End,
        Request::Command(Zeroizing::new(vec![0, 0x84, 0, 0, 8])),
        Request::Reset,
        Request::Status,
        Request::Unplug,
    ]
}

fn answers() -> Vec<Answer> {
    let mut answers = vec![
        Answer::Hello {
            version: 1,
            name: "hsm-a".into(),
            atr: vec![0x3B, 0x80, 0x01],
        },
        Answer::Begun { reset: true },
        Answer::Begun { reset: false },
        Answer::Done,
        Answer::Response(Zeroizing::new(vec![0x90, 0])),
        Answer::Status(Status {
            server: 7,
            holder: None,
            waiting: 0,
            elsewhere: None,
        }),
        Answer::Status(Status {
            server: 7,
            holder: Some(9),
            waiting: 2,
            elsewhere: Some("pcscd".into()),
        }),
    ];
    answers.extend(Failure::ALL.map(|failure| Answer::Failed {
        failure,
        pid: 12,
        text: "nö".into(),
    }));
    answers
}

#[test]
fn every_message_is_read_as_it_was_written() {
    for request in requests() {
        let bytes = request.encode();
        assert!(Request::parse(&bytes) == Ok(request), "{bytes:02X?}");
        assert!(Answer::parse(&bytes).is_err(), "a request is no answer");
    }
    for answer in answers() {
        let bytes = answer.encode();
        assert!(Answer::parse(&bytes) == Ok(answer), "{bytes:02X?}");
        assert!(Request::parse(&bytes).is_err(), "an answer is no request");
    }
}

#[test]
fn bytes_missing_or_left_over_are_refused() {
    let open_ended = |kind: u8| matches!(kind, 0x04 | 0x84 | 0x85 | 0x86);
    for bytes in requests()
        .iter()
        .map(Request::encode)
        .chain(answers().iter().map(Answer::encode))
    {
        let parses = |bytes: &[u8]| Request::parse(bytes).is_ok() || Answer::parse(bytes).is_ok();
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(parses(&longer), matches!(bytes[0], 0x04 | 0x84), "{longer:02X?}");
        if bytes.len() > 1 && !open_ended(bytes[0]) {
            assert!(!parses(&bytes[..bytes.len() - 1]), "{bytes:02X?}");
        }
    }
    for bad in [
        &[][..],
        &[0x00],
        &[0x08],
        &[0x80],
        &[0x82, 2],
        &[0x86, 0, 0, 0, 0, 0],
        &[0x86, 8, 0, 0, 0, 0],
        &[0x86, 1, 0, 0, 0, 0, b'\n'],
        &[0x86, 1, 0, 0, 0, 0, 0xFF],
    ] {
        assert!(
            Request::parse(bad).is_err() && Answer::parse(bad).is_err(),
            "{bad:02X?}"
        );
    }
    assert!(Request::parse(b"\x01CHANCERY-WRITER\x01").is_err());
}

#[test]
fn texts_are_sent_plain_and_cut() {
    let failed = |text: String| Answer::Failed {
        failure: Failure::Lost,
        pid: 0,
        text,
    };
    let Ok(Answer::Failed { text, .. }) = Answer::parse(&failed("a\nb\u{7f}".into()).encode()) else {
        panic!("not read");
    };
    assert_eq!(text, "a b ");
    let Ok(Answer::Failed { text, .. }) = Answer::parse(&failed("ö".repeat(1000)).encode()) else {
        panic!("not read");
    };
    assert_eq!(text, "ö".repeat(512));
}

#[test]
fn a_length_over_the_limit_is_refused_before_anything_is_read() {
    let kind = |bytes: &[u8]| read(&mut &*bytes).map_err(|error| error.kind());
    assert_eq!(kind(&[0, 0, 0, 0]), Err(io::ErrorKind::InvalidData));
    assert_eq!(kind(&[0, 1, 0, 4]), Err(io::ErrorKind::InvalidData));
    assert_eq!(kind(&[0xFF; 8]), Err(io::ErrorKind::InvalidData));
    assert_eq!(kind(&[0, 1, 0, 3, 4]), Err(io::ErrorKind::UnexpectedEof));
    assert_eq!(kind(&[0, 0]), Err(io::ErrorKind::UnexpectedEof));
    assert_eq!(kind(&[]), Ok(None));
    let mut bytes = Vec::new();
    write(&mut bytes, &vec![4; LONGEST]).unwrap();
    assert_eq!(kind(&bytes).unwrap().unwrap().len(), LONGEST);
    assert_eq!(
        write(&mut Vec::new(), &vec![4; LONGEST + 1]).unwrap_err().kind(),
        io::ErrorKind::InvalidInput
    );
}
