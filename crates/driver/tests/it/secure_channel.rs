//! The host's side of secure messaging against a card made of the card's side and nothing else, with faults on the way.

use std::sync::{Arc, Mutex};

use chancery_cvc::{
    Certificate, CertificateBody, Curve, CvKey, DeviceChain, DeviceIdentity, EcPublicKey, PublicKey,
    Reference, TrustAnchors, Validity, der_to_plain,
};
use chancery_driver::secure::{ChannelError, ChannelLost, SecureChannel};
use chancery_driver::{Card, Error};
use chancery_iso7816::tlv::{Tag, Writer};
use chancery_iso7816::{CommandApdu, StatusWord, Transport, TransportError};
use chancery_schsm::secure_messaging::{CardChannel, ChannelKeys, Protocol};
use openssl::bn::BigNumContext;
use openssl::derive::Deriver;
use openssl::ec::{EcKey, EcPoint};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::{MessageDigest, hash};
use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

type Pair = EcKey<Private>;

fn pair() -> Pair {
    EcKey::generate(&Curve::BrainpoolP256r1.group().unwrap()).unwrap()
}

fn public(key: &Pair) -> CvKey {
    CvKey::with_sha256(PublicKey::Ec(EcPublicKey::from_ec_key(key).unwrap()))
}

fn name(text: &str) -> Reference {
    Reference::new(text).unwrap()
}

fn signed(body: CertificateBody, key: &Pair) -> Certificate {
    body.sign(|message| {
        let digest = hash(MessageDigest::sha256(), message).unwrap();
        let der = EcdsaSig::sign(&digest, key).unwrap().to_der().unwrap();
        der_to_plain(&der, 32)
    })
    .unwrap()
}

/// A device whose certificate is for this key.
fn identity(device: &Pair) -> DeviceIdentity {
    let (root_key, issuer_key) = (pair(), pair());
    let (root, issuer) = (name("ESROOT00001"), name("ESISSUER00001"));
    let day = |year| chancery_cvc::Date::from_ordinal_date(year, 1).unwrap();
    let validity = Validity::new(day(2025), day(2035)).unwrap();
    let mut anchors = TrustAnchors::none();
    let body = CertificateBody::root(&root, public(&root_key), validity).unwrap();
    anchors.add(signed(body, &root_key)).unwrap();
    let issued = signed(
        CertificateBody::issuer(&root, &issuer, &public(&issuer_key), validity),
        &root_key,
    );
    let body = CertificateBody::device(&issuer, &name("ESDEVICE00000"), &public(device), validity);
    let certificate = signed(body, &issuer_key);
    let chain = [certificate.as_bytes(), issued.as_bytes()].concat();
    DeviceChain::parse(&chain)
        .unwrap()
        .verify(&anchors, None)
        .unwrap()
}

/// What goes wrong on the way, counted in protected commands from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// One bit of the answer to this command, at this place from its end, status word left out.
    Flip {
        command: usize,
        from_end: usize,
    },
    /// The answer is an earlier one.
    Replay {
        command: usize,
    },
    /// A bare status word.
    Bare {
        command: usize,
        status: u16,
    },
    /// Plain data without protection.
    Plain {
        command: usize,
    },
    /// The link fails.
    Lost {
        command: usize,
    },
    /// An answer of one byte.
    Stump {
        command: usize,
    },
}

/// A card that knows chip authentication and answers every protected command with a random-looking echo.
struct Chip {
    device: Pair,
    /// The key it really has.
    own: Pair,
    protocol: Protocol,
    channel: Option<CardChannel>,
    fault: Fault,
    protected: usize,
    last: Vec<u8>,
    plain_seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

const SELECTED: &[u8] = &[
    0x6F, 0x0A, 0x82, 0x01, 0x78, 0x85, 0x05, 0, 0, 0, 4, 1, 0x90, 0x00,
];

impl Chip {
    fn new(fault: Fault) -> (Self, DeviceIdentity) {
        let device = pair();
        let identity = identity(&device);
        let chip = Self {
            own: device.clone(),
            device,
            protocol: Protocol::Aes128,
            channel: None,
            fault,
            protected: 0,
            last: Vec::new(),
            plain_seen: Arc::default(),
        };
        (chip, identity)
    }

    fn authenticate(&mut self, point: &[u8]) -> Vec<u8> {
        let mut context = BigNumContext::new().unwrap();
        let group = self.own.group();
        let peer = EcPoint::from_bytes(group, point, &mut context).unwrap();
        let peer = PKey::from_ec_key(EcKey::from_public_key(group, &peer).unwrap()).unwrap();
        let own = PKey::from_ec_key(self.own.clone()).unwrap();
        let mut deriver = Deriver::new(&own).unwrap();
        deriver.set_peer(&peer).unwrap();
        let nonce = [7; 8];
        let keys = ChannelKeys::derive(self.protocol, &deriver.derive_to_vec().unwrap(), &nonce);
        let mut out = Writer::new();
        out.nested(Tag(0x7C), |out| {
            out.tlv(Tag(0x81), &nonce).tlv(Tag(0x82), &keys.token(point));
        });
        self.channel = Some(CardChannel::new(keys));
        [out.finish(), vec![0x90, 0x00]].concat()
    }

    /// What the card does with a plain command: the reversed data, or as many bytes as were asked for.
    fn act(command: &CommandApdu) -> (Vec<u8>, StatusWord) {
        match command.instruction {
            0x84 => (
                vec![0x5A; usize::try_from(command.expected()).unwrap()],
                StatusWord::OK,
            ),
            0xB1 => (Vec::new(), StatusWord(0x6A82)),
            _ => (command.data().iter().rev().copied().collect(), StatusWord::OK),
        }
    }

    fn answer(&mut self, command: &CommandApdu) -> Result<Vec<u8>, TransportError> {
        let at = self.protected;
        self.protected += 1;
        let channel = self.channel.as_mut().unwrap();
        let header = [command.class, command.instruction, command.p1, command.p2];
        let plain = match channel.unprotect_command(header, command.data()) {
            Ok(plain) => plain,
            Err(error) => return Ok(error.card_status().0.to_be_bytes().to_vec()),
        };
        self.plain_seen.lock().unwrap().push(plain.encode().to_vec());
        let (data, status) = Self::act(&plain);
        let mut answer = channel.protect_response(&data, status).unwrap();
        let before = std::mem::replace(&mut self.last, answer.clone());
        match self.fault {
            Fault::Flip { command, from_end } if command == at => {
                let place = answer.len() - 1 - from_end;
                answer[place] ^= 0x04;
            }
            Fault::Replay { command } if command == at => answer = before,
            Fault::Bare { command, status } if command == at => return Ok(status.to_be_bytes().to_vec()),
            Fault::Plain { command } if command == at => answer = data,
            Fault::Lost { command } if command == at => {
                return Err(TransportError::lost("pulled by the test"));
            }
            Fault::Stump { command } if command == at => return Ok(vec![0x90]),
            _ => {}
        }
        Ok([answer, vec![0x90, 0x00]].concat())
    }
}

impl Transport for Chip {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let command = CommandApdu::parse(command).unwrap();
        let answer = match (command.class, command.instruction) {
            (0x0C | 0x8C, _) => self.answer(&command)?,
            (0x00, 0xA4) => SELECTED.to_vec(),
            (0x00, 0x22) => {
                let known = command.data().ends_with(self.protocol.oid());
                if known { vec![0x90, 0x00] } else { vec![0x6A, 0x80] }
            }
            (0x00, 0x86) => self.authenticate(&command.data()[4..]),
            (class, instruction) => panic!("a plain command {class:02X} {instruction:02X}"),
        };
        Ok(Zeroizing::new(answer))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.channel = None;
        Ok(())
    }
}

#[test]
fn commands_of_every_shape_pass_through_the_channel() {
    for protocol in Protocol::ALL {
        let (mut chip, device) = Chip::new(Fault::None);
        chip.protocol = protocol;
        let seen = Arc::clone(&chip.plain_seen);
        let mut channel = SecureChannel::open(chip, &device).unwrap();
        // Cases 1 to 4, short and extended. A case 1 goes out as case 2.
        let data = [0xA5; 300];
        let mut long = vec![0x00, 0xD6, 0, 0, 0, 1, 0x2C];
        long.extend(data);
        let mut long_and_le = vec![0x80, 0x68, 1, 0x70, 0, 1, 0x2C];
        long_and_le.extend(data);
        long_and_le.extend([0x02, 0x00]);
        for (command, arrives) in [
            (vec![0x00, 0x20, 0x00, 0x81], vec![0x00, 0x20, 0x00, 0x81, 0x00]),
            (vec![0x00, 0x84, 0, 0, 8], vec![0x00, 0x84, 0, 0, 8]),
            (vec![0x80, 0x58, 0, 0, 0, 0, 0], vec![0x80, 0x58, 0, 0, 0, 0, 0]),
            (
                vec![0x00, 0x20, 0, 0x81, 2, 1, 2],
                vec![0x00, 0x20, 0, 0x81, 2, 1, 2],
            ),
            (
                vec![0x00, 0xB3, 0, 0, 2, 1, 2, 0],
                vec![0x00, 0xB3, 0, 0, 2, 1, 2, 0],
            ),
            (long.clone(), long),
            (long_and_le.clone(), long_and_le),
        ] {
            let expected = {
                let (data, status) = Chip::act(&CommandApdu::parse(&arrives).unwrap());
                [data, status.0.to_be_bytes().to_vec()].concat()
            };
            let answer = channel.transmit(&command).unwrap();
            assert_eq!(*answer, expected, "{}", hex::encode(&command));
            assert_eq!(seen.lock().unwrap().pop().unwrap(), arrives);
        }
        // A refusal of the command is no end of the channel.
        assert_eq!(
            *channel.transmit(&[0x00, 0xB1, 0xCE, 1, 0]).unwrap(),
            [0x6A, 0x82]
        );
        assert_eq!(channel.lost(), None);
    }
}

#[test]
fn a_device_without_its_key_gets_no_channel() {
    let (mut chip, device) = Chip::new(Fault::None);
    chip.own = pair();
    let failed = SecureChannel::open(chip, &device).unwrap_err();
    assert!(matches!(failed.error, ChannelError::NotTheDevice));
    let mut chip = failed.card;
    chip.own = chip.device.clone();
    assert!(
        SecureChannel::open(chip, &device).is_ok(),
        "the transport came back"
    );
}

#[test]
fn nothing_passes_after_the_first_thing_that_is_wrong() {
    let faults = (0..10)
        .map(|from_end| Fault::Flip { command: 1, from_end })
        .chain([0x6987, 0x6988, 0x6882, 0x6982, 0x9000].map(|status| Fault::Bare { command: 1, status }))
        .chain([
            Fault::Flip {
                command: 1,
                from_end: 14,
            },
            Fault::Flip {
                command: 1,
                from_end: 17,
            },
            Fault::Replay { command: 1 },
            Fault::Plain { command: 1 },
            Fault::Lost { command: 1 },
            Fault::Stump { command: 1 },
        ]);
    for fault in faults {
        let (chip, device) = Chip::new(fault);
        let seen = Arc::clone(&chip.plain_seen);
        let mut channel = SecureChannel::open(chip, &device).unwrap();
        let command = [0x80, 0x68, 1, 0x70, 4, 1, 2, 3, 4, 0];
        assert_eq!(*channel.transmit(&command).unwrap(), [4, 3, 2, 1, 0x90, 0x00]);
        channel.transmit(&command).unwrap_err();
        let lost = channel.lost().cloned().unwrap_or_else(|| panic!("{fault:?}"));
        match fault {
            Fault::Bare { status, .. } => {
                assert_eq!(
                    lost,
                    ChannelLost::Closed {
                        status: StatusWord(status)
                    }
                );
            }
            Fault::Lost { .. } => assert!(matches!(lost, ChannelLost::Link(_))),
            _ => assert!(
                matches!(lost, ChannelLost::NotAuthentic(_)),
                "{fault:?}: {lost:?}"
            ),
        }
        let before = seen.lock().unwrap().len();
        for _ in 0..3 {
            let error = channel.transmit(&command).unwrap_err();
            assert!(matches!(error, TransportError::Failed { .. }), "{error}");
        }
        assert_eq!(
            seen.lock().unwrap().len(),
            before,
            "{fault:?}: something was sent"
        );
        assert_eq!(channel.lost(), Some(&lost), "the first reason stays");
    }
}

#[test]
fn a_reset_ends_the_channel() {
    let (chip, device) = Chip::new(Fault::None);
    let mut channel = SecureChannel::open(chip, &device).unwrap();
    channel.reset().unwrap();
    assert_eq!(channel.lost(), Some(&ChannelLost::Reset));
    channel.transmit(&[0x00, 0x84, 0, 0, 8]).unwrap_err();
    // A new one can be opened on the same way.
    let mut channel = SecureChannel::open(channel.into_inner(), &device).unwrap();
    assert_eq!(channel.transmit(&[0x00, 0x84, 0, 0, 8]).unwrap().len(), 10);
}

#[test]
fn the_driver_works_through_a_channel_as_without() {
    let (chip, device) = Chip::new(Fault::Bare {
        command: 2,
        status: 0x6988,
    });
    let seen = Arc::clone(&chip.plain_seen);
    let card = Card::new(chip).select().unwrap();
    let mut card = card.secured(&device).unwrap();
    assert_eq!(card.random(16).unwrap().len(), 16);
    assert_eq!(card.read_file(chancery_schsm::fid::TOKEN_INFO).unwrap(), None);
    let error = card.random(16).unwrap_err();
    assert!(matches!(error, Error::Link { .. }));
    assert!(error.to_string().contains("no answer"), "{error}");
    assert_eq!(
        card.channel().lost(),
        Some(&ChannelLost::Closed {
            status: StatusWord(0x6988)
        })
    );
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn nonsense_in_place_of_chip_authentication_is_an_error() {
    struct Says(Vec<u8>);
    impl Transport for Says {
        fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
            let answer = if command[1] == 0x86 {
                self.0.clone()
            } else {
                vec![0x90, 0x00]
            };
            Ok(Zeroizing::new(answer))
        }

        fn reset(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
    }
    let device = identity(&pair());
    for text in [
        "",
        "90",
        "9000",
        "7C009000",
        "7C0281009000",
        "7C1481080000000000000000820800000000000000009000",
        "7C14810800000000000000008208000000000000009000",
        "7C1681080000000000000000820800000000000000008300009000",
        "7C148108000000000000000082080000000000000000FF9000",
    ] {
        let failed = SecureChannel::open(Says(hex::decode(text).unwrap()), &device).unwrap_err();
        assert!(
            matches!(failed.error, ChannelError::Answer | ChannelError::NotTheDevice),
            "{text}: {}",
            failed.error
        );
    }
    let refused = SecureChannel::open(Says(vec![0x6A, 0x88]), &device).unwrap_err();
    assert!(matches!(
        refused.error,
        ChannelError::Refused {
            status: StatusWord(0x6A88)
        }
    ));
}
