//! Work taken up again deletes no backup, and neither adopts nor deletes a key of somebody else's.

use std::path::PathBuf;

use chancery_iso7816::{Transport, TransportError};
use chancery_schsm::KeyContainer;
use chancery_tokens::keys::NewKey;
use chancery_tokens::transfer::{
    Forgotten, Parcel, TransferError, Verified, finish_wrap, install, resume, undo, undo_wrap, wrap,
    wrap_to_file,
};
use zeroize::Zeroizing;

use crate::bench::{AES, Bench, FIRST, Loss, P256, SHARES, Token, login, new_key};
use crate::keys::interrupted::{LOGIN, take};

/// A link that gives the journal of the work a second name, so that it stays as it was when the process was killed at its end.
struct Killed {
    inner: Token,
    journal: PathBuf,
}

impl Transport for Killed {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let second = self.journal.with_extension("killed");
        if self.journal.exists() && !second.exists() {
            assert!(std::fs::hard_link(&self.journal, second).is_ok());
        }
        self.inner.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }
}

/// Wraps key 1 into `k.bin` by a process that is killed once the file is there, before its journal is closed.
fn killed_at_the_end(bench: &Bench, token: &Token) -> PathBuf {
    let path = bench.path("k.bin");
    let journal = bench.path("journal").join("wrap-1.journal");
    let mut card = login(Killed {
        inner: token.clone(),
        journal: journal.clone(),
    });
    wrap_to_file(&mut card, FIRST, &path, &token.noted(&bench.journal())).unwrap();
    std::fs::rename(journal.with_extension("killed"), journal).unwrap();
    assert_eq!(bench.journal().list().unwrap().len(), 1);
    path
}

#[test]
fn a_backup_that_was_complete_outlives_its_key() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    let made = bench.make(&token, P256, "k");
    for finish in [true, false] {
        let path = killed_at_the_end(&bench, &token);
        let content = std::fs::read(&path).unwrap();
        let mut card = token.login();
        // Who sees the file takes the key for safe.
        card.delete_key(FIRST).unwrap();
        let work = take(&journal, "wrap-1");
        if finish {
            let done = finish_wrap(&mut card, work).unwrap();
            assert_eq!((done.id, done.label.as_str()), (FIRST, "k"));
            assert_eq!(done.proven, made.public_key);
            assert_eq!(done.file.as_ref(), Some(&path));
        } else {
            let file = path.clone();
            assert_eq!(undo_wrap(work).unwrap(), Forgotten { file, complete: true });
        }
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert!(journal.list().unwrap().is_empty());
        let container = KeyContainer::parse(&content).unwrap();
        let parcel = Parcel::from_container(&container, None, None, "k.bin", None).unwrap();
        let back = install(&mut card, &parcel, None, &token.noted(&journal)).unwrap();
        assert_eq!((back.id, back.verified), (FIRST, Verified::ByUse));
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_later_backup_of_the_same_name_is_left_alone() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    bench.make(&token, P256, "k");
    for finish in [true, false] {
        // Killed before the file got its name, and made again by another command.
        let path = killed_at_the_end(&bench, &token);
        std::fs::remove_file(&path).unwrap();
        wrap_to_file(&mut token.login(), FIRST, &path, &token.noted(&journal)).unwrap();
        let content = std::fs::read(&path).unwrap();
        let work = take(&journal, "wrap-1");
        if finish {
            let error = finish_wrap(&mut token.login(), work).unwrap_err();
            assert!(matches!(error, TransferError::File { .. }), "{error}");
        } else {
            assert!(!undo_wrap(work).unwrap().complete);
        }
        assert_eq!(std::fs::read(&path).unwrap(), content);
        assert!(journal.list().unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn another_key_under_the_id_is_not_wrapped_for_the_one_that_was_meant() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    bench.make(&token, P256, "k");
    let path = bench.path("k.bin");
    let open = (0..20).find_map(|after| {
        let mut card = login(token.breaking(LOGIN + after, Loss::Command));
        let error = wrap_to_file(&mut card, FIRST, &path, &token.noted(&journal)).unwrap_err();
        error.open_work().map(str::to_owned)
    });
    let open = open.unwrap();
    let mut card = token.login();
    card.delete_key(FIRST).unwrap();
    bench.make(&token, P256, "k");
    let error = finish_wrap(&mut card, take(&journal, &open)).unwrap_err();
    assert!(matches!(error, TransferError::Exchanged(FIRST)), "{error}");
    assert!(!path.exists());
    undo_wrap(take(&journal, &open)).unwrap();
}

#[test]
fn a_secret_key_that_cannot_be_compared_is_neither_adopted_nor_deleted_unasked() {
    let bench = Bench::new();
    let source = bench.token("source", &SHARES);
    let target = bench.token("target", &SHARES);
    let journal = bench.journal();
    bench.make(&source, AES, "aes");
    let container = wrap(&mut source.login(), FIRST).unwrap().container;
    let parcel = Parcel::from_container(&container, None, None, "aes.wky", None).unwrap();
    for (loss, others) in [(Loss::Command, true), (Loss::Answer, false)] {
        // Until the key was to be sent, or has arrived without an answer.
        let open = (0..20).find_map(|after| {
            let mut card = login(target.breaking(LOGIN + after, loss));
            let error = install(&mut card, &parcel, None, &target.noted(&journal)).unwrap_err();
            let open = error.open_work()?.to_owned();
            if others || !target.login().enumerate().unwrap().keys().is_empty() {
                return Some(open);
            }
            undo(&mut target.login(), take(&journal, &open), |_| false).unwrap();
            None
        });
        let open = open.unwrap();
        let before = if others {
            bench.make(&target, AES, "aes");
            mac(&target)
        } else {
            mac(&source)
        };
        let mut card = target.login();
        let resumed = resume(&mut card, take(&journal, &open));
        assert!(
            matches!(resumed, Err(TransferError::Unproven(FIRST))),
            "{resumed:?}"
        );
        let undone = undo(&mut card, take(&journal, &open), |_| false);
        assert!(
            matches!(undone, Err(TransferError::Unproven(FIRST))),
            "{undone:?}"
        );
        assert_eq!(mac(&target), before);
        let undone = undo(&mut card, take(&journal, &open), |id| id == FIRST).unwrap();
        assert!(undone.key);
        assert!(card.enumerate().unwrap().keys().is_empty());
    }
}

#[test]
fn a_key_made_where_one_had_arrived_is_not_deleted_for_it() {
    let bench = Bench::new();
    let source = bench.token("source", &SHARES);
    let target = bench.token("target", &SHARES);
    let journal = bench.journal();
    bench.make(&source, P256, "traveller");
    let container = wrap(&mut source.login(), FIRST).unwrap().container;
    let parcel = Parcel::from_container(&container, None, None, "k", None).unwrap();
    // Until the key has arrived for certain.
    let open = (0..30).find_map(|after| {
        let mut card = login(target.breaking(LOGIN + after, Loss::Command));
        let error = install(&mut card, &parcel, None, &target.noted(&journal)).unwrap_err();
        let open = error.open_work()?.to_owned();
        let work = take(&journal, &open);
        if work.record().is_done("key") {
            return Some(open);
        }
        undo(&mut target.login(), work, |_| false).unwrap();
        None
    });
    let open = open.unwrap();
    let mut card = target.login();
    card.delete_key(FIRST).unwrap();
    let other = bench.make_with(
        &target,
        &NewKey {
            id: Some(FIRST),
            ..new_key(P256, "other")
        },
    );
    for resumed in [true, false] {
        let work = take(&journal, &open);
        let error = if resumed {
            resume(&mut card, work).unwrap_err()
        } else {
            undo(&mut card, work, |_| true).unwrap_err()
        };
        assert!(matches!(error, TransferError::Foreign(FIRST)), "{error}");
    }
    assert!(card.proves(FIRST, other.public_key.as_ref().unwrap()).unwrap());
}

/// What tells one AES key from another.
fn mac(token: &Token) -> Vec<u8> {
    token.login().cmac(FIRST, &[7; 16]).unwrap().to_vec()
}
