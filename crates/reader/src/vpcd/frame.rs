//! vpcd's messages: two bytes length, big endian, then so many bytes.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// What vpcd asks of a card.
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// Something about the card; a message of one byte.
    Control(Control),
    /// A command APDU. It has to be answered, whatever it is.
    Command(Zeroizing<Vec<u8>>),
}

/// What is asked beside commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// No power any more. Not answered.
    PowerOff,
    /// Power. Not answered.
    PowerOn,
    /// Reset. Not answered.
    Reset,
    /// The answer to reset is wanted.
    Atr,
}

/// Longest message, in bytes.
const LONGEST: usize = 65_535;
/// 6F00: what is said when nothing else can be.
const UNKNOWN_ERROR: [u8; 2] = [0x6F, 0x00];

impl Request {
    /// What a message says. One byte that is no control code is a command, which a card refuses.
    #[must_use]
    pub fn parse(message: Zeroizing<Vec<u8>>) -> Self {
        match message.as_slice() {
            [0x00] => Self::Control(Control::PowerOff),
            [0x01] => Self::Control(Control::PowerOn),
            [0x02] => Self::Control(Control::Reset),
            [0x04] => Self::Control(Control::Atr),
            _ => Self::Command(message),
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Control(control) => write!(f, "{control:?}"),
            Self::Command(command) => write!(f, "Command({} bytes)", command.len()),
        }
    }
}

/// Reads one request; `None` when the other side has closed the connection between two.
///
/// # Errors
/// Those of the connection, and [`io::ErrorKind::UnexpectedEof`] when it ends within a message.
pub fn read_request(stream: &mut impl Read) -> io::Result<Option<Request>> {
    let mut length = [0; 2];
    let there = loop {
        match stream.read(&mut length) {
            Ok(0) => return Ok(None),
            Ok(there) => break there,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    stream.read_exact(length.get_mut(there..).unwrap_or_default())?;
    // Sized once, so that no copy of a PIN stays behind.
    let mut message = Zeroizing::new(vec![0; usize::from(u16::from_be_bytes(length))]);
    stream.read_exact(&mut message)?;
    Ok(Some(Request::parse(message)))
}

/// Sends one answer, with its length, in one piece.
///
/// An empty one would say that the card was pulled, and one of more than 65535 bytes fits no message: both become `6F00`.
///
/// # Errors
/// Those of the connection.
pub fn write_answer(stream: &mut impl Write, answer: &[u8]) -> io::Result<()> {
    let answer = if answer.is_empty() || answer.len() > LONGEST {
        &UNKNOWN_ERROR
    } else {
        answer
    };
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    let mut message = Zeroizing::new(Vec::with_capacity(2 + answer.len()));
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(answer);
    stream.write_all(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut bytes: &[u8]) -> (Vec<Request>, Option<io::ErrorKind>) {
        let mut requests = Vec::new();
        loop {
            match read_request(&mut bytes) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => return (requests, None),
                Err(error) => return (requests, Some(error.kind())),
            }
        }
    }

    fn command(bytes: &[u8]) -> Request {
        Request::Command(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn one_byte_is_a_control_code_and_everything_else_a_command() {
        let (requests, error) = read_all(&[
            0, 1, 4, 0, 1, 1, 0, 1, 2, 0, 1, 0, 0, 1, 3, 0, 0, 0, 5, 0, 0x84, 0, 0, 8,
        ]);
        assert_eq!(error, None);
        assert_eq!(
            requests,
            [
                Request::Control(Control::Atr),
                Request::Control(Control::PowerOn),
                Request::Control(Control::Reset),
                Request::Control(Control::PowerOff),
                command(&[3]),
                command(&[]),
                command(&[0, 0x84, 0, 0, 8]),
            ]
        );
    }

    #[test]
    fn a_connection_that_ends_within_a_message_is_an_error() {
        for cut in [&[0_u8][..], &[0, 5, 0, 0x84], &[0xFF, 0xFF, 1]] {
            assert_eq!(read_all(cut), (Vec::new(), Some(io::ErrorKind::UnexpectedEof)));
        }
    }

    /// Counts the writes.
    struct Pieces(Vec<Vec<u8>>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_goes_in_one_piece_and_is_never_empty() {
        let mut pieces = Pieces(Vec::new());
        write_answer(&mut pieces, &[0x90, 0x00]).unwrap();
        write_answer(&mut pieces, &[]).unwrap();
        write_answer(&mut pieces, &vec![0; 65_536]).unwrap();
        assert_eq!(
            pieces.0,
            [[0, 2, 0x90, 0x00], [0, 2, 0x6F, 0x00], [0, 2, 0x6F, 0x00]]
        );
        write_answer(&mut pieces, &vec![7; 65_535]).unwrap();
        assert_eq!(pieces.0[3].len(), 65_537);
        assert_eq!(pieces.0[3][..3], [0xFF, 0xFF, 7]);
    }
}
