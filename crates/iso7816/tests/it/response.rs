//! Responses and status words.

use chancery_iso7816::{ResponseApdu, ResponseError, StatusWord};
use proptest::prelude::*;

#[test]
fn data_and_status_are_split() {
    let response = ResponseApdu::parse(&[1, 2, 3, 0x62, 0x82]).unwrap();
    assert_eq!(*response.data, [1, 2, 3]);
    assert_eq!(response.status, StatusWord::WARNING_EOF);
    assert!(!response.is_ok());
    assert_eq!(*response.encode(), [1, 2, 3, 0x62, 0x82]);
    assert_eq!(
        format!("{response:?}"),
        "ResponseApdu(3 bytes of data, 6282 end of file before Le bytes)"
    );
}

#[test]
fn fail_responses_without_a_status_word_or_too_long() {
    assert_eq!(
        ResponseApdu::parse(&[]),
        Err(ResponseError::Truncated { length: 0 })
    );
    assert_eq!(
        ResponseApdu::parse(&[0x90]),
        Err(ResponseError::Truncated { length: 1 })
    );
    assert!(ResponseApdu::parse(&vec![0; ResponseApdu::MAX_LENGTH]).is_ok());
    let length = ResponseApdu::MAX_LENGTH + 1;
    assert_eq!(
        ResponseApdu::parse(&vec![0; length]),
        Err(ResponseError::TooLong { length })
    );
}

#[test]
fn retries_are_read_from_63cx_only() {
    assert_eq!(StatusWord(0x63C3).retries_left(), Some(3));
    assert_eq!(StatusWord(0x63C0).retries_left(), Some(0));
    assert_eq!(StatusWord(0x6300).retries_left(), None);
    assert_eq!(StatusWord(0x64C3).retries_left(), None);
    assert_eq!(StatusWord::with_retries_left(15), StatusWord(0x63CF));
}

#[test]
fn status_words_say_what_they_mean() {
    let cases = [
        (0x9000, "9000 ok"),
        (0x6982, "6982 security status not satisfied"),
        (0x63C2, "63C2 verification failed, tries are left (2)"),
        (0x63C1, "63C1 verification failed, one try left"),
        (
            0x6A81,
            "6A81 function not supported, or algorithm not allowed for this key",
        ),
        (0x610A, "610A more response data is waiting"),
        (0x6C10, "6C10 wrong Le, the low byte is the right one"),
        (0x62FF, "62FF warning"),
        (0x6B80, "6B80 error"),
        (0x0000, "0000 unknown status"),
    ];
    for (value, text) in cases {
        assert_eq!(StatusWord(value).to_string(), text);
    }
}

proptest! {
    #[test]
    fn any_two_bytes_or_more_round_trip(bytes in prop::collection::vec(any::<u8>(), 2..400)) {
        let response = ResponseApdu::parse(&bytes).unwrap();
        prop_assert_eq!(&*response.encode(), &bytes);
        prop_assert!(!response.status.to_string().is_empty());
    }
}
