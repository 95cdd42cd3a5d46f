//! Tokens that others filled, or that lie: nothing stops the work on the rest, nothing panics, everything ends.

use std::collections::BTreeMap;

use chancery_driver::Card;
use chancery_iso7816::{Transport, TransportError};
use chancery_schsm::{Kcv, KeyContainer, KeyId, fid};
use chancery_tokens::catalogue::{Catalogue, Hold};
use chancery_tokens::dump::dump;
use chancery_tokens::explore::{Content, explore};
use chancery_tokens::transfer::{Parcel, install, wrap};
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::bench::{Bench, FIRST, P256, SHARES, Token, login, pin};

/// A token some of whose files read otherwise than they are.
struct Painted {
    token: Token,
    files: BTreeMap<u16, Vec<u8>>,
}

impl Transport for Painted {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        if let [_, 0xB1, p1, p2, 0, 0, _, 0x54, width, rest @ ..] = command
            && let Some(content) = self.files.get(&u16::from_be_bytes([*p1, *p2]))
        {
            let offset = rest[..usize::from(*width)]
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let rest = content.get(offset..).unwrap_or_default();
            let part = rest.get(..60_000).unwrap_or(rest);
            let mut answer = part.to_vec();
            answer.extend_from_slice(if part.len() == rest.len() {
                &[0x62, 0x82]
            } else {
                &[0x90, 0x00]
            });
            return Ok(Zeroizing::new(answer));
        }
        self.token.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

#[test]
fn other_chains_and_long_files_are_shown_as_far_as_they_are_understood() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    bench.make(&token, P256, "k");
    let mut card = token.login();
    card.write_file(fid::public_data(1), b"short").unwrap();
    let own = card.read_file(fid::DEVICE_CERTIFICATES).unwrap().unwrap();
    let request = card.read_file(fid::certificate(FIRST)).unwrap().unwrap();
    let device = chancery_cvc::DeviceChain::parse(&own)
        .unwrap()
        .device_certificate()
        .unwrap()
        .as_bytes()
        .to_vec();
    drop(card);
    let twice = [own.clone(), device.clone()].concat();
    let with_request = [request, device.clone()].concat();
    for (chain, count) in [
        (device, Some(1)),
        (twice, Some(3)),
        (with_request, Some(2)),
        (Vec::new(), None),
        (b"nonsense".to_vec(), None),
        (vec![0x7F, 0x21, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], None),
    ] {
        let length = chain.len();
        let painted = Painted {
            token: token.clone(),
            files: BTreeMap::from([(0x2F02, chain), (0xCF01, vec![0xA5; 200_000])]),
        };
        let mut card = login(painted);
        let tree = explore(&mut card).unwrap();
        match count {
            Some(count) => assert_eq!((tree.chain.len(), &tree.chain_remark), (count, &None), "{length}"),
            None => assert!(tree.chain.is_empty() && tree.chain_remark.is_some(), "{length}"),
        }
        assert_eq!(tree.keys[0].label.as_deref(), Some("k"));
        assert_eq!(tree.data[0].content, Content::Bytes { length: 200_000 });
        let files = dump(&mut card).unwrap();
        let long = files.iter().find(|file| file.file == "CF01").unwrap();
        assert_eq!((long.length, long.cut), (200_000, None));
    }
}

/// Answers from a list, then the same again.
struct Lying {
    answers: Vec<Vec<u8>>,
    next: usize,
}

impl Transport for Lying {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        // What a token has to say before anybody works with it.
        let honest: Option<&[u8]> = match command {
            [0x00, 0xA4, 0x04, ..] => Some(&[0x6F, 0x07, 0x85, 0x05, 0, 0, 0, 4, 1, 0x90, 0x00]),
            [0x00, 0x20, ..] => Some(&[0x90, 0x00]),
            _ => None,
        };
        if let Some(honest) = honest {
            return Ok(Zeroizing::new(honest.to_vec()));
        }
        self.next += 1;
        assert!(self.next < 40_000, "it never ends");
        let answer = &self.answers[self.next % self.answers.len()];
        Ok(Zeroizing::new(answer.clone()))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

fn answer() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        8 => Just([0x90, 0x00]),
        2 => Just([0x62, 0x82]),
        1 => Just([0x6A, 0x82]),
        1 => Just([0x61, 0xFF]),
        1 => any::<[u8; 2]>(),
    ];
    let body = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        // Lists of keys and files, descriptions, answers to key domain questions.
        Just(vec![
            0xCC, 0x01, 0xC4, 0x01, 0xCE, 0x01, 0xC8, 0x00, 0xCA, 0x00, 0xC9, 0x01, 0xCD, 0x01
        ]),
        Just(chancery_schsm::PrivateKeyDescription::ec(KeyId(1), "k", &[1], 256).encode()),
        Just(vec![1, 0, 0x63, 0x0D, 0xCD, 0x29, 0x66, 0xC4, 0x33, 0x66]),
    ];
    (body, status).prop_map(|(mut body, status)| {
        body.extend_from_slice(&status);
        body
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_lying_card_stops_nobody(answers in proptest::collection::vec(answer(), 1..12), which in 0u8..5) {
        let lying = Lying { answers, next: 0 };
        let mut card = Card::new(lying).select().unwrap();
        match which {
            0 => drop(explore(&mut card)),
            1 => drop(dump(&mut card)),
            2 => {
                let mut catalogue = Catalogue::new();
                drop(catalogue.look(&mut card, Hold::Lost));
                drop(catalogue.look(&mut card, Hold::Kept));
            }
            3 => {
                let mut card = card.verify_pin(&pin()).unwrap();
                drop(wrap(&mut card, FIRST));
            }
            _ => {
                let directory = tempfile::tempdir().unwrap();
                let journal = chancery_tokens::journal::Journal::new(directory.path().join("journal"));
                let mut blob = Kcv([0x63, 0x0D, 0xCD, 0x29, 0x66, 0xC4, 0x33, 0x66]).0.to_vec();
                blob.extend_from_slice(&[0x0C; 100]);
                let container = KeyContainer::new(&blob, None, None).unwrap();
                let parcel = Parcel::from_container(&container, None, None, "", None).unwrap();
                let noted = chancery_tokens::transfer::Noted { journal: &journal, device: "", token: "", now: 0 };
                let mut card = card.verify_pin(&pin()).unwrap();
                drop(install(&mut card, &parcel, None, &noted));
            }
        }
    }
}

#[test]
fn a_container_without_a_key_of_this_token_is_no_work() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let blob = [&[0u8; 8][..], &[0x0C], &[0; 100]].concat();
    let container = KeyContainer::new(&blob, None, None).unwrap();
    let parcel = Parcel::from_container(&container, None, None, "", None).unwrap();
    let journal = bench.journal();
    assert!(install(&mut token.login(), &parcel, None, &token.noted(&journal)).is_err());
    assert!(journal.list().unwrap().is_empty());
    // The right domain and a damaged blob: the token refuses, and nothing stays open.
    let blob = [&crate::bench::kek(&SHARES).kcv().0[..], &[0x0C], &[0; 100]].concat();
    let container = KeyContainer::new(&blob, None, None).unwrap();
    let parcel = Parcel::from_container(&container, None, None, "", None).unwrap();
    let refused = install(&mut token.login(), &parcel, None, &token.noted(&journal)).unwrap_err();
    assert!(
        refused.card().is_some_and(|error| error.status().is_some()),
        "{refused}"
    );
    assert!(journal.list().unwrap().is_empty());
}
