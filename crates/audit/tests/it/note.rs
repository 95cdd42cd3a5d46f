//! Signed notes and checkpoints, against a published note and against OpenSSL.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_audit::{
    Checkpoint, CheckpointError, Frontier, KeyError, MAX_NOTE_BYTES, MAX_SIGNATURES, NoteError, NoteSigner,
    NoteVerifier, SignedNote, leaf_hash,
};
use proptest::prelude::*;

const ORIGIN: &str = "audit.example/log";

/// A note and its key from the documentation of another implementation (golang.org/x/mod/sumdb/note).
const PUBLISHED_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PUBLISHED_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::new(name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()).unwrap()
}

fn checkpoint() -> Checkpoint {
    let mut frontier = Frontier::new();
    for entry in ["one", "two", "three"] {
        frontier.push(leaf_hash(entry.as_bytes()));
    }
    Checkpoint::of(ORIGIN, &frontier)
}

#[test]
fn the_published_note_verifies() {
    let verifier = NoteVerifier::parse_vkey(PUBLISHED_KEY).unwrap();
    assert_eq!(verifier.to_vkey(), PUBLISHED_KEY);
    assert_eq!(verifier.id().to_string(), "c74f20a3");
    let note = SignedNote::parse(PUBLISHED_NOTE.as_bytes()).unwrap();
    note.verify(&verifier).unwrap();
    assert_eq!(note.encode(), PUBLISHED_NOTE);
}

#[test]
fn a_checkpoint_comes_back_from_its_note() {
    let signer = signer(ORIGIN, 7);
    let checkpoint = checkpoint();
    let note = checkpoint.sign(&signer).unwrap().encode();
    assert_eq!(
        Checkpoint::open(note.as_bytes(), signer.verifier()).unwrap(),
        checkpoint
    );
    let lines: Vec<_> = note.lines().collect();
    assert_eq!(lines[..2], [ORIGIN, "3"]);
    assert_eq!(STANDARD.decode(lines[2]).unwrap(), checkpoint.root.as_bytes());
    assert_eq!(lines[3], "");
    assert!(lines[4].starts_with("\u{2014} audit.example/log "));
}

#[test]
fn openssl_accepts_the_signature_and_the_key_id() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let signer = NoteSigner::new(ORIGIN, pair).unwrap();
    let note = checkpoint().sign(&signer).unwrap().encode();
    // Taken apart by hand, as the format's text says.
    let (text, line) = note.split_once("\n\n").unwrap();
    let blob = STANDARD
        .decode(line.trim_end().rsplit(' ').next().unwrap())
        .unwrap();
    let hashed = [ORIGIN.as_bytes(), b"\n\x01", &public].concat();
    assert_eq!(blob[..4], openssl::sha::sha256(&hashed)[..4]);
    let key = openssl::pkey::PKey::public_key_from_raw_bytes(&public, openssl::pkey::Id::ED25519).unwrap();
    let mut verifier = openssl::sign::Verifier::new_without_digest(&key).unwrap();
    assert!(
        verifier
            .verify_oneshot(&blob[4..], format!("{text}\n").as_bytes())
            .unwrap()
    );
}

#[test]
fn every_changed_bit_of_a_note_is_noticed() {
    let signer = signer(ORIGIN, 7);
    let note = checkpoint().sign(&signer).unwrap().encode().into_bytes();
    for position in 0..note.len() {
        for bit in 0..8 {
            let mut changed = note.clone();
            changed[position] ^= 1 << bit;
            let result = Checkpoint::open(&changed, signer.verifier());
            assert!(result.is_err(), "byte {position} bit {bit}: {result:?}");
        }
    }
    for length in 0..note.len() {
        assert!(
            Checkpoint::open(&note[..length], signer.verifier()).is_err(),
            "{length}"
        );
    }
}

#[test]
fn another_key_of_the_same_name_is_not_the_signer() {
    let note = checkpoint().sign(&signer(ORIGIN, 7)).unwrap().encode();
    let other = signer(ORIGIN, 8);
    assert!(matches!(
        Checkpoint::open(note.as_bytes(), other.verifier()),
        Err(CheckpointError::Note(NoteError::NotSigned { .. }))
    ));
}

#[test]
fn a_second_signature_hides_no_wrong_first_one() {
    let (log, witness) = (signer(ORIGIN, 7), signer("witness.example", 8));
    let mut note = checkpoint().sign(&log).unwrap();
    note.add_signature(&witness).unwrap();
    let text = note.encode();
    let read = SignedNote::parse(text.as_bytes()).unwrap();
    assert_eq!(read, note);
    read.verify(log.verifier()).unwrap();
    read.verify(witness.verifier()).unwrap();
    // A good and a bad signature of one key: the bad one counts.
    let bad = SignedNote::sign("other text\n", &log).unwrap().encode();
    let doubled = format!("{text}{}", bad.split_once("\n\n").unwrap().1);
    let read = SignedNote::parse(doubled.as_bytes()).unwrap();
    assert!(matches!(
        read.verify(log.verifier()),
        Err(NoteError::BadSignature { .. })
    ));
    read.verify(witness.verifier()).unwrap();
}

#[test]
fn a_key_signs_only_for_its_own_log() {
    let other = signer("other.example", 7);
    assert!(matches!(
        checkpoint().sign(&other),
        Err(CheckpointError::OtherLog { .. })
    ));
    // Signed all the same by somebody who does not check: the reader does.
    let note = SignedNote::sign(&checkpoint().body().unwrap(), &other)
        .unwrap()
        .encode();
    assert!(matches!(
        Checkpoint::open(note.as_bytes(), other.verifier()),
        Err(CheckpointError::OtherLog { .. })
    ));
}

#[test]
fn bodies_that_are_no_checkpoint_are_refused_by_name() {
    let root = STANDARD.encode([7; 32]);
    let short = STANDARD.encode([7; 31]);
    let cases = [
        (format!("o\n1\n{root}"), CheckpointError::Lines),
        (format!("o\n{root}\n"), CheckpointError::Lines),
        (format!("o\n1\n{root}\nextension\n"), CheckpointError::Lines),
        (format!("\n1\n{root}\n"), CheckpointError::Origin),
        (format!("o\r\n1\n{root}\n"), CheckpointError::Origin),
        (format!("o\n01\n{root}\n"), CheckpointError::Size),
        (format!("o\n+1\n{root}\n"), CheckpointError::Size),
        (format!("o\n\n{root}\n"), CheckpointError::Size),
        (format!("o\n-1\n{root}\n"), CheckpointError::Size),
        (format!("o\n4611686018427387905\n{root}\n"), CheckpointError::Size),
        (
            format!("o\n99999999999999999999\n{root}\n"),
            CheckpointError::Size,
        ),
        (format!("o\n1\n{short}\n"), CheckpointError::Root),
        (
            format!("o\n1\n{}\n", root.trim_end_matches('=')),
            CheckpointError::Root,
        ),
        (String::new(), CheckpointError::Lines),
    ];
    for (body, expected) in cases {
        assert_eq!(Checkpoint::parse_body(&body), Err(expected), "{body:?}");
    }
    assert_eq!(
        Checkpoint::parse_body(&format!("o\n0\n{root}\n")).unwrap().size,
        0
    );
    let two_lines = Checkpoint {
        origin: "a\nb".to_owned(),
        ..checkpoint()
    };
    assert_eq!(two_lines.body(), Err(CheckpointError::Origin));
}

#[test]
fn notes_over_the_limits_are_refused() {
    let signer = signer(ORIGIN, 7);
    let long = format!("{}\n", "x".repeat(MAX_NOTE_BYTES));
    assert!(matches!(
        SignedNote::sign(&long, &signer),
        Err(NoteError::TooLong { .. })
    ));
    assert!(matches!(
        SignedNote::parse(long.as_bytes()),
        Err(NoteError::TooLong { .. })
    ));
    let mut note = SignedNote::sign("text\n", &signer).unwrap();
    for _ in 1..MAX_SIGNATURES {
        note.add_signature(&signer).unwrap();
    }
    assert_eq!(SignedNote::parse(note.encode().as_bytes()).unwrap(), note);
    assert_eq!(note.add_signature(&signer), Err(NoteError::TooManySignatures));
    let line = note.encode().lines().last().unwrap().to_owned();
    let many = format!("{}{line}\n", note.encode());
    assert_eq!(
        SignedNote::parse(many.as_bytes()),
        Err(NoteError::TooManySignatures)
    );
}

#[test]
fn malformed_notes_are_refused_by_name() {
    let line = "\u{2014} k AAAAAAA=";
    let cases: [(&[u8], NoteError); 8] = [
        (b"", NoteError::NoSignatures),
        (b"text\n", NoteError::NoSignatures),
        (b"text\n\n", NoteError::NoSignatures),
        (b"text\n\n- k AAAAAAA=\n", NoteError::SignatureLine { number: 1 }),
        (b"a\tb\n\n- k AAAAAAA=\n", NoteError::Text),
        (
            "text\n\n\u{2014} k AAAA\n".as_bytes(),
            NoteError::SignatureLine { number: 1 },
        ),
        (
            "text\n\n\u{2014} k+k AAAAAAA=\n".as_bytes(),
            NoteError::SignatureLine { number: 1 },
        ),
        (
            "text\n\n\u{2014}  AAAAAAA=\n".as_bytes(),
            NoteError::SignatureLine { number: 1 },
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(
            SignedNote::parse(bytes),
            Err(expected),
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert!(SignedNote::parse(format!("text\n\n{line}\n").as_bytes()).is_ok());
    assert_eq!(
        SignedNote::parse(format!("text\n\n{line}").as_bytes()),
        Err(NoteError::NoSignatures)
    );
    assert!(matches!(
        SignedNote::parse(&[0xff; 4]),
        Err(NoteError::NotText { .. })
    ));
    assert_eq!(
        SignedNote::sign("no line feed", &signer("k", 1)),
        Err(NoteError::Text)
    );
}

#[test]
fn bad_keys_and_names_are_refused_by_name() {
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b", &"n".repeat(256)] {
        assert_eq!(NoteVerifier::new(name, [0; 32]), Err(KeyError::Name), "{name:?}");
    }
    let good = signer(ORIGIN, 7).verifier().to_vkey();
    assert_eq!(NoteVerifier::parse_vkey(&good).unwrap().to_vkey(), good);
    let (rest, key) = good.rsplit_once('+').unwrap();
    let (name, id) = rest.split_once('+').unwrap();
    assert!(matches!(
        NoteVerifier::parse_vkey(&format!("other+{id}+{key}")),
        Err(KeyError::Id { .. })
    ));
    assert_eq!(
        NoteVerifier::parse_vkey(&format!("{name}+{id}+{}", STANDARD.encode([4; 33]))),
        Err(KeyError::Algorithm { found: 4 })
    );
    for bad in [
        String::new(),
        name.to_owned(),
        format!("{name}+{id}+AQ=="),
        format!("{name}+{id}+!"),
        format!("{name}+{id}+"),
    ] {
        assert!(
            matches!(NoteVerifier::parse_vkey(&bad), Err(KeyError::VkeyForm { .. })),
            "{bad}"
        );
    }
    assert!(matches!(
        NoteVerifier::parse_vkey(&"x".repeat(600)),
        Err(KeyError::VkeyTooLong { .. })
    ));
}

#[test]
fn a_signer_shows_no_key_when_printed() {
    let text = format!("{:?}", signer(ORIGIN, 7));
    assert!(text.contains("audit.example/log+"), "{text}");
    assert!(
        !text.contains(&hex::encode([7; 8])) && !text.contains("7, 7"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,60}") {
        let verifier = signer(ORIGIN, 7);
        prop_assert!(Checkpoint::open(&bytes, verifier.verifier()).is_err());
        let _ = NoteVerifier::parse_vkey(&text);
        let _ = Checkpoint::parse_body(&text);
        let note = format!("{text}\n\n\u{2014} {text}\n");
        prop_assert!(Checkpoint::open(note.as_bytes(), verifier.verifier()).is_err());
    }

    #[test]
    fn what_parses_encodes_to_the_same_bytes(text in "[a-z \n]{0,40}\n", name in "[a-z.]{1,10}", seed in any::<u8>()) {
        let note = SignedNote::sign(&text, &signer(&name, seed)).unwrap();
        let encoded = note.encode();
        let parsed = SignedNote::parse(encoded.as_bytes()).unwrap();
        prop_assert_eq!(&parsed, &note);
        prop_assert_eq!(parsed.encode(), encoded);
    }
}
