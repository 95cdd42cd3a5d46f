//! The archive of attestations: durable, never overwritten, damage noticed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chancery_attest::{Attestation, Seen, Transcript};
use chancery_schsm::secure_messaging::Protocol;
use chancery_tokens::archive::{Archive, ArchiveError, Kept};
use time::OffsetDateTime;

fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors")
        .join(name);
    hex::decode(fs::read_to_string(path).unwrap().trim()).unwrap()
}

fn attestation(seen: Seen, at: i64) -> Attestation {
    Attestation::new(
        &vector("nitrokey-hsm2-fw4.1-efce01.hex"),
        &vector("nitrokey-hsm2-fw4.1-ef2f02.hex"),
        OffsetDateTime::from_unix_timestamp(at).unwrap(),
        seen,
    )
    .unwrap()
}

fn on(token: &str) -> Seen {
    Seen {
        token: Some(token.into()),
        key_id: Some(1),
        label: Some("release".into()),
        ..Seen::default()
    }
}

fn names(archive: &Archive) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(archive.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_is_never_written_again() {
    let home = tempfile::tempdir().unwrap();
    let archive = Archive::below(home.path());
    assert!(
        archive.list().unwrap().is_empty(),
        "no directory is an empty archive"
    );
    let first = attestation(on("DENK040414400000"), 1);
    let kept = archive.save(&first).unwrap();
    assert!(kept.is_new());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(kept.path()), mode(archive.directory())), (0o600, 0o700));
    let bytes = fs::read(kept.path()).unwrap();
    assert_eq!(bytes, first.encode());
    // Later, and with another label: the same proof in the same place.
    let later = Seen {
        label: Some("renamed".into()),
        ..on("DENK040414400000")
    };
    let path: PathBuf = kept.path().to_owned();
    assert_eq!(
        archive.save(&attestation(later, 2)).unwrap(),
        Kept::Before(path.clone())
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
    // Seen on another token: beside it.
    let other = archive.save(&attestation(on("DENK040500000000"), 3)).unwrap();
    assert!(other.is_new());
    let stem = first.file_stem();
    assert_eq!(
        names(&archive),
        [format!("{stem}-2.json"), format!("{stem}.json")]
    );
    assert_eq!(archive.of_key(first.key()).unwrap().len(), 2);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_file_is_named_and_not_replaced() {
    let home = tempfile::tempdir().unwrap();
    let archive = Archive::below(home.path());
    let first = attestation(on("DENK040414400000"), 1);
    let path = archive.save(&first).unwrap().path().to_owned();
    let damaged = String::from_utf8(first.encode())
        .unwrap()
        .replace("release", "Release");
    fs::write(&path, &damaged).unwrap();
    let kept = archive.save(&first).unwrap();
    assert!(kept.is_new() && kept.path() != path);
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    let listed = archive.list().unwrap();
    assert_eq!(listed.len(), 2);
    let wrong: Vec<_> = listed.iter().filter(|entry| entry.attestation.is_err()).collect();
    let [entry] = wrong[..] else { panic!("{wrong:?}") };
    assert_eq!(entry.path, path);
    assert!(matches!(entry.attestation, Err(ArchiveError::Attestation(_))));
    assert_eq!(archive.of_key(first.key()).unwrap().len(), 1);
}

#[test]
fn a_disk_that_refuses_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("attestations"), "in the way").unwrap();
    let archive = Archive::below(home.path());
    let error = archive.save(&attestation(on("DENK040414400000"), 1)).unwrap_err();
    assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
}

#[test]
fn only_a_transcript_that_was_saved_here_is_had() {
    let home = tempfile::tempdir().unwrap();
    let archive = Archive::below(home.path());
    let transcript = Transcript {
        recorded: OffsetDateTime::from_unix_timestamp(1).unwrap(),
        protocol: Protocol::Aes128,
        chain: vector("nitrokey-hsm2-fw4.1-ef2f02.hex"),
        ephemeral: vec![1; 32],
        nonce: vec![2; 8],
        token: vec![3; 8],
        exchanges: Vec::new(),
    };
    assert!(
        !archive.has_transcript(&transcript).unwrap(),
        "no directory is an empty archive"
    );
    let kept = archive
        .save_transcript(&transcript, &attestation(on("DENK040414400000"), 1))
        .unwrap();
    assert!(archive.has_transcript(&transcript).unwrap());
    let other = Transcript {
        nonce: vec![4; 8],
        ..transcript.clone()
    };
    assert!(!archive.has_transcript(&other).unwrap());
    // It is no attestation, and a link to the same bytes elsewhere is no file of the archive.
    assert!(archive.list().unwrap().is_empty());
    let elsewhere = home.path().join("elsewhere");
    fs::rename(&kept, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &kept).unwrap();
    assert!(!archive.has_transcript(&transcript).unwrap());
}
