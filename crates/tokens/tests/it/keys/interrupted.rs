//! The token pulled at every command of an import, an unwrap and a wrap: what was done is said, and it is finished or undone.

use std::time::{Duration, Instant};

use chancery_schsm::{AlgorithmList, KeyContainer, fid};
use chancery_tokens::journal::{Journal, JournalError, Work};
use chancery_tokens::key::KeyDetails;
use chancery_tokens::transfer::{
    Arrival, ImportLabels, KeyFile, KeyFileFormat, Parcel, TransferError, Verified, finish_wrap, install,
    resume, undo, undo_wrap, wrap, wrap_to_file,
};

use crate::bench::{Bench, FIRST, Loss, P256, SHARES, Token, kek, login, openssl};

/// Commands of SELECT and VERIFY.
pub(crate) const LOGIN: usize = 2;

/// Pulls the token at every command until one attempt gets through; `check` looks at what an interruption left behind.
fn pull_everywhere(
    token: &Token,
    parcel: &Parcel,
    journal: &Journal,
    mut check: impl FnMut(usize, Loss, Option<&str>),
) {
    for loss in [Loss::Command, Loss::Answer] {
        let mut interruptions = 0;
        for after in 0.. {
            let mut card = login(token.breaking(LOGIN + after, loss));
            match install(&mut card, parcel, None, &token.noted(journal)) {
                Ok(arrived) => {
                    token.login().delete_key(arrived.id).unwrap();
                    break;
                }
                Err(error) => {
                    let id = error.open_work().map(str::to_owned);
                    match &error {
                        TransferError::Interrupted { done, missing, .. } => {
                            interruptions += 1;
                            assert!(!missing.is_empty());
                            let text = error.to_string();
                            assert!(
                                text.contains("not done") || text.contains("nothing is missing"),
                                "{text}"
                            );
                            assert_eq!(done.is_empty(), text.starts_with("nothing was changed yet"));
                        }
                        TransferError::Card(_) => {}
                        other => panic!("{other}"),
                    }
                    assert_eq!(journal.list().unwrap().len(), usize::from(id.is_some()));
                    check(after, loss, id.as_deref());
                    assert!(journal.list().unwrap().is_empty());
                    assert!(token.login().enumerate().unwrap().keys().is_empty());
                }
            }
            assert!(after < 60, "it never gets through");
        }
        assert!(interruptions >= 5, "{interruptions}");
    }
}

/// Takes work up again. A program that another test starts has the lock of an open journal until it runs.
pub(crate) fn take(journal: &Journal, id: &str) -> Work {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match journal.take(Some(id)) {
            Err(JournalError::Busy { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            taken => return taken.unwrap(),
        }
    }
}

fn nothing_left(token: &Token) {
    let objects = token.login().enumerate().unwrap();
    assert!(objects.keys().is_empty());
    assert!(!objects.contains(fid::prkd(FIRST)) && !objects.contains(fid::certificate(FIRST)));
}

#[test]
fn an_unwrap_is_finished_from_its_file_or_undone() {
    let bench = Bench::new();
    let source = bench.token("source", &SHARES);
    let target = bench.token("target", &SHARES);
    let journal = bench.journal();
    bench.make(&source, P256, "traveller");
    let path = bench.path("k.wky");
    let wrapped = wrap_to_file(&mut source.login(), FIRST, &path, &source.noted(&journal)).unwrap();
    let expected = wrapped.proven.clone().unwrap();
    let container = KeyContainer::parse(&std::fs::read(&path).unwrap()).unwrap();
    let parcel = Parcel::from_container(&container, None, None, "k.wky", Some(path)).unwrap();

    pull_everywhere(&target, &parcel, &journal, |after, loss, work| {
        let Some(work) = work else {
            return nothing_left(&target);
        };
        let mut card = target.login();
        match resume(&mut card, take(&journal, work)).unwrap() {
            Arrival::Finished(arrived) => {
                assert_eq!(arrived.verified, Verified::ByUse);
                assert!(arrived.described && arrived.certified, "{after} {loss:?}");
            }
            other => panic!("{after} {loss:?}: {other:?}"),
        }
        assert!(card.proves(FIRST, &expected).unwrap());
        let here = KeyDetails::read(&mut card, FIRST).unwrap().unwrap();
        let there = KeyDetails::read(&mut source.login(), FIRST).unwrap().unwrap();
        assert_eq!(
            (here.description, here.certificate),
            (there.description, there.certificate)
        );
        card.delete_key(FIRST).unwrap();
    });
    pull_everywhere(&target, &parcel, &journal, |_, _, work| {
        if let Some(work) = work {
            let mut card = target.login();
            let undone = undo(&mut card, take(&journal, work), |_| false).unwrap();
            assert_eq!((undone.id, undone.from.as_str()), (FIRST, "k.wky"));
        }
        nothing_left(&target);
    });
}

#[test]
fn an_import_is_finished_once_the_key_has_arrived_and_keeps_no_key_on_disk() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    let directory = tempfile::tempdir().unwrap();
    openssl(
        directory.path(),
        &[
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
            "k.pem",
        ],
    );
    openssl(
        directory.path(),
        &["req", "-x509", "-key", "k.pem", "-subj", "/CN=k", "-out", "c.pem"],
    );
    let bytes = std::fs::read(directory.path().join("k.pem")).unwrap();
    let certificate = std::fs::read(directory.path().join("c.pem")).unwrap();
    let certificate = openssl::x509::X509::from_pem(&certificate)
        .unwrap()
        .to_der()
        .unwrap();
    let key = KeyFile::parse(&bytes, KeyFileFormat::Asymmetric, || None)
        .unwrap()
        .with_certificate(certificate);
    let labels = ImportLabels {
        label: "imported".to_owned(),
        cka_id: None,
    };
    let permitted = AlgorithmList::unrestricted();
    let parcel = Parcel::import(&key, &kek(&SHARES), &permitted, labels, "k.pem").unwrap();
    let chancery_schsm::KeyMaterial::Ec { d, .. } = key.material() else {
        panic!()
    };
    let secret = hex::encode(d.as_slice());
    let (mut finished, mut never) = (0, 0);
    pull_everywhere(&token, &parcel, &journal, |_, _, work| {
        let Some(work) = work else {
            return nothing_left(&token);
        };
        let text = std::fs::read_to_string(bench.path("journal").join(format!("{work}.journal"))).unwrap();
        assert!(!text.contains(&secret));
        assert!(text.len() < 6000, "no room for a key: {} bytes", text.len());
        let mut card = token.login();
        match resume(&mut card, take(&journal, work)).unwrap() {
            Arrival::Finished(arrived) => {
                assert!(arrived.described && arrived.certified);
                assert_eq!(
                    KeyDetails::read(&mut card, FIRST)
                        .unwrap()
                        .unwrap()
                        .description
                        .label(),
                    "imported"
                );
                card.delete_key(FIRST).unwrap();
                finished += 1;
            }
            Arrival::NothingThere { from } => {
                assert_eq!(from, "k.pem");
                nothing_left(&token);
                never += 1;
            }
        }
    });
    assert!(finished >= 6 && never >= 1, "{finished} {never}");
}

#[test]
fn a_secret_key_that_arrived_without_answer_is_recognised() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    let key = KeyFile::parse(&[0x33; 32], KeyFileFormat::Aes, || None).unwrap();
    let labels = ImportLabels {
        label: "aes".to_owned(),
        cka_id: None,
    };
    let parcel = Parcel::import(&key, &kek(&SHARES), &AlgorithmList::unrestricted(), labels, "aes").unwrap();
    pull_everywhere(&token, &parcel, &journal, |_, _, work| {
        let Some(work) = work else {
            return nothing_left(&token);
        };
        let mut card = token.login();
        if let Arrival::Finished(arrived) = resume(&mut card, take(&journal, work)).unwrap() {
            assert_eq!(arrived.verified, Verified::ByUse);
            card.delete_key(FIRST).unwrap();
        }
    });
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let bench = Bench::new();
    let source = bench.token("source", &SHARES);
    let target = bench.token("target", &SHARES);
    let journal = bench.journal();
    bench.make(&source, P256, "traveller");
    let container = wrap(&mut source.login(), FIRST).unwrap().container;
    let parcel = Parcel::from_container(&container, None, None, "k", None).unwrap();
    // Until the step of the key is begun, the link broken before the command.
    let open = (0..20).find_map(|after| {
        let mut card = login(target.breaking(LOGIN + after, Loss::Command));
        let error = install(&mut card, &parcel, None, &target.noted(&journal)).unwrap_err();
        error.open_work().map(str::to_owned)
    });
    let work = open.unwrap();
    // Meanwhile somebody else makes a key there.
    let other = bench.make(&target, P256, "somebody else's");
    assert_eq!(other.id, FIRST);
    let mut card = target.login();
    assert!(matches!(
        resume(&mut card, take(&journal, &work)),
        Err(TransferError::Foreign(FIRST))
    ));
    assert!(matches!(
        undo(&mut card, take(&journal, &work), |_| true),
        Err(TransferError::Foreign(FIRST))
    ));
    assert!(card.proves(FIRST, &other.public_key.unwrap()).unwrap());
    // Nor is another token taken for it.
    assert!(matches!(
        resume(&mut source.login(), take(&journal, &work)),
        Err(TransferError::OtherToken { .. })
    ));
    assert!(matches!(
        undo_wrap(take(&journal, &work)),
        Err(TransferError::OtherWork(_))
    ));
    card.delete_key(FIRST).unwrap();
    assert!(matches!(undo(&mut card, take(&journal, &work), |_| false), Ok(undone) if !undone.key));
}

#[test]
fn a_wrap_is_made_anew_or_forgotten() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let journal = bench.journal();
    bench.make(&token, P256, "k");
    let path = bench.path("k.bin");
    for finish in [true, false] {
        let mut pulled = 0;
        for after in 0.. {
            let mut card = login(token.breaking(LOGIN + after, Loss::Answer));
            let Err(error) = wrap_to_file(&mut card, FIRST, &path, &token.noted(&journal)) else {
                std::fs::remove_file(&path).unwrap();
                break;
            };
            pulled += 1;
            assert!(!path.exists());
            let Some(work) = error.open_work() else { continue };
            let work = take(&journal, work);
            if finish {
                let wrapped = finish_wrap(&mut token.login(), work).unwrap();
                assert_eq!(wrapped.file.as_deref(), Some(path.as_path()));
                assert_eq!(std::fs::read(&path).unwrap(), wrapped.container.encode());
                std::fs::remove_file(&path).unwrap();
            } else {
                let forgotten = undo_wrap(work).unwrap();
                assert_eq!((forgotten.file, forgotten.complete), (path.clone(), false));
            }
            assert!(journal.list().unwrap().is_empty());
        }
        assert!(pulled >= 6, "{pulled}");
    }
}
