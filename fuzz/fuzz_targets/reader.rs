//! Bytes on the two connections of a reader: vpcd's, and the Unix socket's from either side. Never a panic; what is read is
//! what was sent.
//!
//! Input: one byte chooses, the rest is what comes over the connection.
#![no_main]

use chancery_reader::{
    socket::wire::{self, Answer},
    vpcd::{self, Control},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, mut stream)) = bytes.split_first() else {
        return;
    };
    match which % 3 {
        0 => slot(&mut stream),
        1 => each_message(&mut stream, |message| {
            if let Ok(request) = wire::Request::parse(message) {
                assert!(*request.encode() == *message, "requests have one form");
            }
        }),
        _ => each_message(&mut stream, |message| {
            if let Ok(answer) = Answer::parse(message) {
                assert!(*answer.encode() == *message, "answers have one form");
            }
        }),
    }
});

/// Reads what vpcd sends to its end.
fn slot(stream: &mut &[u8]) {
    let mut before = *stream;
    while let Ok(Some(request)) = vpcd::read_request(stream) {
        let taken = before.len() - stream.len();
        let message = match &request {
            vpcd::Request::Control(Control::PowerOff) => &[0][..],
            vpcd::Request::Control(Control::PowerOn) => &[1],
            vpcd::Request::Control(Control::Reset) => &[2],
            vpcd::Request::Control(Control::Atr) => &[4],
            vpcd::Request::Command(command) => command,
        };
        assert!(before[2..taken] == *message);
        before = *stream;
        let mut sent = Vec::new();
        vpcd::write_answer(&mut sent, message).expect("memory takes everything");
        assert!(sent.len() > 2, "no answer is empty");
        assert!(usize::from(u16::from_be_bytes([sent[0], sent[1]])) + 2 == sent.len());
    }
}

/// Reads frames to the end or the first that is none.
fn each_message(stream: &mut &[u8], look: impl Fn(&[u8])) {
    while let Ok(Some(message)) = wire::read(stream) {
        assert!((1..=wire::LONGEST).contains(&message.len()));
        look(&message);
        let mut sent = Vec::new();
        wire::write(&mut sent, &message).expect("what was read can be sent");
        assert!(sent[4..] == **message);
    }
}
