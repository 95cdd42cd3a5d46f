//! Transports for tests: a script that must be followed to the byte, and a link that breaks at a chosen command.

pub(crate) mod rehearsal;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

/// Bytes of a text of hexadecimal digits and blanks.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode(digits).unwrap()
}

/// Hexadecimal with the characters of `text` in it.
pub(crate) fn ascii(text: &str) -> String {
    hex::encode_upper(text)
}

/// A file of the project's test data, hexadecimal.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors")
        .join(name);
    bytes(&std::fs::read_to_string(path).unwrap())
}

/// Answer to SELECT of a version 4.1 token with no options.
pub(crate) const FCI: &str = "6F0A820178 8505 0000 00 0401 9000";
/// SELECT of the application.
pub(crate) const SELECT: &str = "00A404000B E82B0601040181C31F0201 00";

/// Commands that must come in this order, each with its answer.
pub(crate) struct Script(VecDeque<(Vec<u8>, Vec<u8>)>);

impl Script {
    pub(crate) fn new(dialogue: &[(&str, &str)]) -> Self {
        Self(
            dialogue
                .iter()
                .map(|(command, answer)| (bytes(command), bytes(answer)))
                .collect(),
        )
    }

    /// The script with the selection of the application before it.
    pub(crate) fn selected(dialogue: &[(&str, &str)]) -> chancery_driver::Selected<Self> {
        let mut all = vec![(SELECT, FCI)];
        all.extend_from_slice(dialogue);
        chancery_driver::Card::new(Self::new(&all)).select().unwrap()
    }

    /// The script with selection and PIN before it.
    pub(crate) fn authenticated(dialogue: &[(&str, &str)]) -> chancery_driver::Authenticated<Self> {
        let mut all = vec![("00200081 06 363438323139", "9000")];
        all.extend_from_slice(dialogue);
        Self::selected(&all)
            .verify_pin(&chancery_driver::Pin::new("648219").unwrap())
            .unwrap()
    }
}

impl Transport for Script {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let (wanted, answer) = self
            .0
            .pop_front()
            .unwrap_or_else(|| panic!("unexpected {}", hex::encode_upper(command)));
        assert_eq!(hex::encode_upper(command), hex::encode_upper(wanted));
        Ok(Zeroizing::new(answer))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(
                self.0.is_empty(),
                "{} commands of the script were not sent",
                self.0.len()
            );
        }
    }
}

/// Answers every command with what a function says.
pub(crate) struct Answers<F>(pub(crate) F);

impl<F: FnMut(&[u8]) -> Vec<u8> + Send> Transport for Answers<F> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        Ok(Zeroizing::new((self.0)(command)))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// A token several connections reach one after the other.
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(token: T) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Transport> Transport for Shared<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reset()
    }
}

/// Where a breaking link loses the exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// The command never reaches the card.
    Command,
    /// The card did it, and its answer is lost.
    Answer,
}

/// A link that breaks at one exchange and stays broken.
pub(crate) struct Breaking<T> {
    pub(crate) inner: T,
    /// Exchanges that still go through.
    pub(crate) left: usize,
    pub(crate) loss: Loss,
}

impl<T: Transport> Transport for Breaking<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return self.inner.transmit(command);
        }
        if matches!(self.loss, Loss::Answer) {
            self.loss = Loss::Command;
            drop(self.inner.transmit(command));
        }
        Err(TransportError::lost("pulled by the test"))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}
