//! A token that says what was done to it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, Sender, channel},
};

use chancery_iso7816::{Transport, TransportError};
use chancery_reader::WithAtr;
use zeroize::Zeroizing;

pub(crate) const ATR: [u8; 4] = [0x3B, 0x81, 0x01, 0xAA];

/// Answers each command with its bytes and 9000; remembers "VERIFY" (INS 20) until it is reset, and then says 1 before them.
pub(crate) struct Echo {
    verified: bool,
    resets: Arc<AtomicUsize>,
    gates: Option<Gates>,
}

/// A command with INS 99 tells that it began, and ends when it is let.
pub(crate) struct Gates {
    begun: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Echo {
    pub(crate) fn new() -> (WithAtr<Self>, Arc<AtomicUsize>) {
        let resets = Arc::new(AtomicUsize::new(0));
        let echo = Self {
            verified: false,
            resets: Arc::clone(&resets),
            gates: None,
        };
        (WithAtr::new(echo, ATR), resets)
    }

    /// With the ends of its gates.
    pub(crate) fn gated() -> (WithAtr<Self>, Receiver<()>, Sender<()>) {
        let (begun, has_begun) = channel();
        let (let_go_on, go_on) = channel();
        let echo = Self {
            verified: false,
            resets: Arc::default(),
            gates: Some(Gates {
                begun,
                go_on: Mutex::new(go_on),
            }),
        };
        (WithAtr::new(echo, ATR), has_begun, let_go_on)
    }
}

impl Gates {
    fn pass(&self) {
        self.begun.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
    }
}

impl Transport for Echo {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        match command.get(1) {
            Some(0x20) => self.verified = true,
            Some(0x77) => return Err(TransportError::lost("pulled")),
            Some(0x99) => {
                if let Some(gates) = &self.gates {
                    gates.pass();
                }
            }
            _ => {}
        }
        let mut answer = vec![u8::from(self.verified)];
        answer.extend_from_slice(command);
        answer.extend_from_slice(&[0x90, 0x00]);
        Ok(Zeroizing::new(answer))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.resets.fetch_add(1, Ordering::SeqCst);
        self.verified = false;
        Ok(())
    }
}
