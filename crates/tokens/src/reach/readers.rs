//! Tokens in the readers of PC/SC.

use std::thread;
use std::time::{Duration, Instant};

use chancery_iso7816::{CommandApdu, Transport, TransportError};
use chancery_pcsc::{Context, PcscError, PcscToken, Sharing, Usage};
use zeroize::Zeroizing;

use super::probe::{Probed, probe};
use super::{Found, Presence, Survey, Way};

/// How long a look waits for another program to end its transaction.
const PATIENCE_TO_LOOK: Duration = Duration::from_secs(3);

/// How long work waits for that.
const PATIENCE_TO_HOLD: Duration = Duration::from_secs(15);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);
const A_MOMENT: Duration = Duration::from_secs(1);

/// Adds the tokens in readers to a survey; what hinders that is remarked.
pub(super) fn survey(into: &mut Survey) {
    let readers = match Context::open().and_then(|context| context.readers()) {
        Ok(readers) => readers,
        Err(error) => {
            into.remarks.push(error.to_string());
            return;
        }
    };
    for reader in readers {
        let Some(card) = reader.card else { continue };
        if card.usage == Usage::Exclusive {
            into.tokens
                .push(found(&reader.name, None, Presence::InUse { pid: None }));
            continue;
        }
        match look(&reader.name) {
            Ok(probed) => {
                if probed.device.is_none() {
                    into.remarks.push(format!(
                        "the token in reader {:?} has no readable device certificate: name it by its label",
                        reader.name
                    ));
                }
                into.tokens
                    .push(found(&reader.name, Some(probed), Presence::Ready));
            }
            Err(Look::OtherCard) => into.remarks.push(format!(
                "the card in reader {:?} is no SmartCard-HSM",
                reader.name
            )),
            Err(Look::Reader(PcscError::InUse { .. } | PcscError::StillInUse { .. })) => into
                .tokens
                .push(found(&reader.name, None, Presence::InUse { pid: None })),
            Err(Look::Reader(error)) => into.remarks.push(error.to_string()),
        }
    }
}

/// Why a look at a card gave nothing.
enum Look {
    OtherCard,
    Reader(PcscError),
}

fn look(reader: &str) -> Result<Probed, Look> {
    let mut token = connect(reader, Sharing::Shared, PATIENCE_TO_LOOK).map_err(Look::Reader)?;
    probe(&mut token).map_err(|_| Look::OtherCard)
}

/// Connects to a card and keeps other programs away.
fn connect(reader: &str, sharing: Sharing, patience: Duration) -> Result<PcscToken, PcscError> {
    let end = Instant::now() + patience;
    let context = Context::open()?;
    let mut token = unless_reset(end, |_| context.connect(reader, sharing))?;
    match token.begin(left(end)) {
        Err(PcscError::Reset { .. }) => keep_again(&mut token, end)?,
        begun => begun?,
    }
    Ok(token)
}

/// Keeps other programs away from a card again that one of them has reset.
fn keep_again(token: &mut PcscToken, end: Instant) -> Result<(), PcscError> {
    unless_reset(end, |left| {
        token.reconnect()?;
        token.begin(left)
    })
}

/// Does something again while other programs reset the card, until `end`: before something was done with it they may do that as often
/// as they like, and nothing is lost. The work is told how much time is left.
fn unless_reset<T>(
    end: Instant,
    mut work: impl FnMut(Duration) -> Result<T, PcscError>,
) -> Result<T, PcscError> {
    loop {
        match work(left(end)) {
            Err(PcscError::Reset { .. }) if Instant::now() < end => thread::sleep(PAUSE),
            done => return done,
        }
    }
}

/// The time until then; a moment at least, since a card that nobody uses needs no longer.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(A_MOMENT)
}

fn found(reader: &str, probed: Option<Probed>, presence: Presence) -> Found {
    let (device, label) = probed.map_or((None, None), |probed| (probed.device, probed.label));
    Found {
        way: Way::Reader {
            reader: reader.to_owned(),
            name: None,
        },
        device,
        label,
        presence,
    }
}

/// A card in a reader that is kept from other programs until this is dropped.
pub(super) struct HeldCard {
    token: PcscToken,
}

impl HeldCard {
    /// Connects and keeps other programs away.
    pub(super) fn take(reader: &str, sharing: Sharing) -> Result<Self, PcscError> {
        Ok(Self {
            token: connect(reader, sharing, PATIENCE_TO_HOLD)?,
        })
    }

    /// Answer to reset.
    pub(super) fn atr(&self) -> &[u8] {
        self.token.atr()
    }
}

impl Transport for HeldCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.token.transmit(command);
        if let Err(TransportError::Reset { .. }) = answer {
            // The connection is made usable and the card kept again at once; the command was not sent, and whoever sent it
            // learns of the reset.
            keep_again(&mut self.token, Instant::now() + PATIENCE_TO_HOLD).map_err(TransportError::from)?;
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

impl Drop for HeldCard {
    fn drop(&mut self) {
        close(&mut self.token);
    }
}

/// Ends the login at a card that other programs get next: it stays powered and is left as it is, so that the next one would
/// find it open. Where the applet cannot be selected anew, which ends the login, the card is reset.
fn close(card: &mut impl Transport) {
    let select = CommandApdu::new(0x00, 0xA4, 0x04, 0x00)
        .with_data(&chancery_driver::AID)
        .map(|command| command.expecting(256).encode());
    let done = select.is_ok_and(|select| {
        matches!(card.transmit(&select), Ok(answer) if matches!(answer.as_slice(), [.., 0x90, 0x00] | [.., 0x61, _]))
    });
    if !done && let Err(error) = card.reset() {
        tracing::warn!(%error, "the card was neither locked nor reset when it was let go: it may stay open");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card that gives one answer to everything.
    struct Answering {
        answer: Option<[u8; 2]>,
        resets: usize,
    }

    impl Transport for Answering {
        fn transmit(&mut self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
            match self.answer {
                Some(answer) => Ok(Zeroizing::new(answer.to_vec())),
                None => Err(TransportError::lost("pulled by the test")),
            }
        }

        fn reset(&mut self) -> Result<(), TransportError> {
            self.resets += 1;
            Ok(())
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn resets_by_others_are_waited_for_and_nothing_else_is() {
        let reset = || PcscError::Reset {
            reader: "r".to_owned(),
        };
        let mut answers = vec![Ok(7), Err(reset()), Err(reset())];
        let done = unless_reset(Instant::now() + MINUTE, |_| answers.pop().unwrap());
        assert!(matches!(done, Ok(7)));
        let mut tries = 0;
        let failed = unless_reset(Instant::now(), |_| {
            tries += 1;
            Err::<(), _>(reset())
        });
        assert!(failed.is_err_and(|error| matches!(error, PcscError::Reset { .. })));
        assert_eq!(tries, 1);
        let mut tries = 0;
        let gone = unless_reset(Instant::now() + MINUTE, |_| {
            tries += 1;
            Err::<(), _>(PcscError::Removed {
                reader: "r".to_owned(),
            })
        });
        assert!(gone.is_err());
        assert_eq!(tries, 1);
    }

    #[test]
    fn a_card_that_cannot_be_locked_is_reset() {
        for (answer, resets) in [
            (Some([0x90, 0x00]), 0),
            (Some([0x61, 0x20]), 0),
            (Some([0x6A, 0x82]), 1),
            (Some([0x6F, 0x00]), 1),
            (None, 1),
        ] {
            let mut card = Answering { answer, resets: 0 };
            close(&mut card);
            assert_eq!(card.resets, resets, "{answer:?}");
        }
    }
}
