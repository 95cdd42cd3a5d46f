//! The audit key at rest.

use chancery_audit::SignedNote;
use uuid::Uuid;

use super::*;

fn id(byte: u8) -> InstallationId {
    InstallationId::new(Uuid::from_bytes([byte; 16]))
}

fn data() -> (tempfile::TempDir, DataDir) {
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::create(&dir.path().join("data")).unwrap();
    (dir, data)
}

#[test]
fn the_key_stays_the_same_and_its_notes_verify() {
    let (_dir, data) = data();
    assert!(AuditKey::verifier(&data).unwrap().is_none());
    let first = AuditKey::open_or_create(&data, &data.at_rest(), id(1)).unwrap();
    let again = AuditKey::open_or_create(&data, &data.at_rest(), id(1)).unwrap();
    assert_eq!(first.public_key, again.public_key);
    let verifier = AuditKey::verifier(&data).unwrap().unwrap();
    assert_eq!(verifier.name(), format!("chancery/{}", id(1)));
    SignedNote::sign("head\n", &again.signer)
        .unwrap()
        .verify(&verifier)
        .unwrap();
}

#[test]
fn the_public_key_is_what_openssl_takes_for_the_same_ed25519_key() {
    let (_dir, data) = data();
    let key = AuditKey::open_or_create(&data, &data.at_rest(), id(1)).unwrap();
    let parsed = openssl::pkey::PKey::public_key_from_der(&key.public_key).unwrap();
    assert_eq!(parsed.id(), openssl::pkey::Id::ED25519);
    assert_eq!(
        parsed.raw_public_key().unwrap(),
        key.signer.verifier().public_key()
    );
}

#[test]
fn the_seed_is_nowhere_in_clear() {
    let (_dir, data) = data();
    AuditKey::create(&data.audit_key(), &data.at_rest(), "chancery/test").unwrap();
    let stored = read(&data.audit_key()).unwrap().unwrap();
    let key = sealing_key(&data.audit_key(), &stored.header, &data.at_rest()).unwrap();
    let mut plain = stored.sealed.0.clone();
    let nonce = Nonce::try_assume_unique_for_key(&stored.nonce.0).unwrap();
    let seed = key
        .open_in_place(nonce, aad(&data.audit_key(), &stored.header).unwrap(), &mut plain)
        .unwrap();
    assert_eq!(seed.len(), SEED);
    assert!(
        !stored
            .sealed
            .0
            .windows(8)
            .any(|window| seed.windows(8).any(|part| part == window))
    );
}

#[test]
fn another_secret_installation_or_an_altered_file_is_refused() {
    let (_dir, data) = data();
    AuditKey::open_or_create(&data, &data.at_rest(), id(1)).unwrap();
    let open = || AuditKey::open_or_create(&data, &data.at_rest(), id(1));
    assert!(matches!(
        AuditKey::open_or_create(&data, &data.at_rest(), id(2)),
        Err(AuditKeyError::OtherInstallation { .. })
    ));

    let bytes = std::fs::read(data.audit_key()).unwrap();
    let other = (data.audit_key(), "chancery/other");
    std::fs::remove_file(&other.0).unwrap();
    AuditKey::create(&other.0, &data.at_rest(), other.1).unwrap();
    let foreign = read(&other.0).unwrap().unwrap();
    let mut own: Stored = serde_json::from_slice(&bytes).unwrap();
    own.sealed = foreign.sealed;
    std::fs::write(data.audit_key(), serde_json::to_vec(&own).unwrap()).unwrap();
    assert!(matches!(open(), Err(AuditKeyError::DoesNotOpen { .. })));

    let mut own: Stored = serde_json::from_slice(&bytes).unwrap();
    own.header.vkey = foreign.header.vkey.replace("other", &id(1).to_string());
    std::fs::write(data.audit_key(), serde_json::to_vec(&own).unwrap()).unwrap();
    assert!(open().is_err(), "another public part");

    std::fs::write(data.audit_key(), &bytes).unwrap();
    open().unwrap();
    let secret = std::fs::read(data.machine_secret()).unwrap();
    std::fs::write(data.machine_secret(), [7; 32]).unwrap();
    assert!(matches!(open(), Err(AuditKeyError::DoesNotOpen { .. })));
    std::fs::remove_file(data.machine_secret()).unwrap();
    assert!(matches!(
        open(),
        Err(AuditKeyError::Secret(SecretError::Missing(_)))
    ));
    atomic::create(&data.machine_secret(), &secret).unwrap();
    open().unwrap();

    std::fs::write(data.audit_key(), b"{}").unwrap();
    assert!(matches!(open(), Err(AuditKeyError::Damaged { .. })));
    std::fs::write(data.audit_key(), br#"{"header":{"v":2}}"#).unwrap();
    assert!(matches!(
        open(),
        Err(AuditKeyError::UnknownVersion { version: 2, .. })
    ));
}

#[test]
fn a_passphrase_seals_as_well() {
    let (_dir, data) = data();
    let right = AtRest::Passphrase(Zeroizing::new("correct horse".to_owned()));
    let wrong = AtRest::Passphrase(Zeroizing::new("correct horsf".to_owned()));
    let key = AuditKey::open_or_create(&data, &right, id(1)).unwrap();
    assert_eq!(
        AuditKey::open_or_create(&data, &right, id(1)).unwrap().public_key,
        key.public_key
    );
    assert!(matches!(
        AuditKey::open_or_create(&data, &wrong, id(1)),
        Err(AuditKeyError::DoesNotOpen {
            under: PASSPHRASE,
            ..
        })
    ));
    assert!(matches!(
        AuditKey::open_or_create(&data, &data.at_rest(), id(1)),
        Err(AuditKeyError::OtherSecret { .. })
    ));
}

#[test]
fn sealing_leaves_no_copy_of_the_seed_behind() {
    let (_dir, data) = data();
    AuditKey::create(&data.audit_key(), &data.at_rest(), "chancery/test").unwrap();
    let stored = read(&data.audit_key()).unwrap().unwrap();
    let key = sealing_key(&data.audit_key(), &stored.header, &data.at_rest()).unwrap();
    let nonce = Nonce::assume_unique_for_key([7; NONCE_LEN]);
    let sealed = seal(&key, nonce, Aad::from(Vec::new()), &[9; SEED]).unwrap();
    assert_eq!(sealed.len(), SEED + AES_256_GCM.tag_len());
    assert_eq!(sealed.capacity(), sealed.len(), "the buffer never moved");
}
