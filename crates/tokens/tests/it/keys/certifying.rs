//! The token pulled while a certificate takes the place of another: both are kept, and either can be had back.

use chancery_schsm::fid;
use chancery_tokens::keys::{KeyError, resume_certificate, store_certificate, undo_certificate};

use crate::bench::{Bench, FIRST, Loss, P256, certificate_for, login, now};
use crate::keys::interrupted::{LOGIN, take};

#[test]
fn a_certificate_on_its_way_is_finished_or_the_old_one_put_back() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let journal = bench.journal();
    let archive = bench.archive();
    let key = bench.make(&token, P256, "k").public_key.unwrap();
    let long = certificate_for(&key, "a name that makes it longer than the other one is");
    let short = certificate_for(&key, "k");
    let there = || {
        token
            .login()
            .read_file(fid::certificate(FIRST))
            .unwrap()
            .unwrap_or_default()
    };
    let store = |certificate: &[u8]| {
        store_certificate(
            &mut token.login(),
            FIRST,
            certificate,
            &archive,
            now(),
            &token.noted(&journal),
        )
        .unwrap();
    };
    let (mut lost, mut interruptions) = (0, 0);
    for (old, new) in [(&long, &short), (&short, &long)] {
        for (loss, finish) in [
            (Loss::Command, true),
            (Loss::Command, false),
            (Loss::Answer, true),
            (Loss::Answer, false),
        ] {
            for after in 0.. {
                store(old);
                let mut card = login(token.breaking(LOGIN + after, loss));
                let noted = token.noted(&journal);
                match store_certificate(&mut card, FIRST, new, &archive, now(), &noted) {
                    Ok(_) => break,
                    Err(KeyError::Interrupted { id, work, .. }) => {
                        interruptions += 1;
                        assert_eq!(id, FIRST);
                        lost += usize::from(there().is_empty());
                        let work = take(&journal, &work);
                        let mut card = token.login();
                        if finish {
                            let (id, done) = resume_certificate(&mut card, work).unwrap();
                            assert_eq!((id, done.old.unwrap().bytes()), (FIRST, old.as_slice()));
                            assert_eq!(&there(), new);
                        } else {
                            let done = undo_certificate(&mut card, work).unwrap();
                            assert_eq!((done.id, done.old.unwrap().bytes()), (FIRST, old.as_slice()));
                            assert_eq!(&there(), old);
                        }
                    }
                    Err(_) => assert_eq!(&there(), old),
                }
                assert!(journal.list().unwrap().is_empty());
                assert!(after < 60, "it never gets through");
            }
            assert_eq!(&there(), new);
        }
    }
    assert!(lost >= 2 && interruptions >= 10, "{lost} {interruptions}");
}

#[test]
fn what_somebody_else_stored_meanwhile_is_left_alone() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    let journal = bench.journal();
    let archive = bench.archive();
    let key = bench.make(&token, P256, "k").public_key.unwrap();
    let new = certificate_for(&key, "k");
    let open = (0..40).find_map(|after| {
        let mut card = login(token.breaking(LOGIN + after, Loss::Command));
        match store_certificate(&mut card, FIRST, &new, &archive, now(), &token.noted(&journal)) {
            Err(KeyError::Interrupted { work, .. }) => Some(work),
            _ => None,
        }
    });
    let open = open.unwrap();
    let third = certificate_for(&key, "third");
    let mut card = token.login();
    card.write_file(fid::certificate(FIRST), &third).unwrap();
    for finish in [true, false] {
        let work = take(&journal, &open);
        let error = if finish {
            resume_certificate(&mut card, work).unwrap_err()
        } else {
            undo_certificate(&mut card, work).unwrap_err()
        };
        assert!(matches!(error, KeyError::Changed(FIRST)), "{error}");
    }
    assert_eq!(card.read_file(fid::certificate(FIRST)).unwrap().unwrap(), third);
    // Nor is another key taken for it.
    card.delete_file(fid::certificate(FIRST)).unwrap();
    card.delete_key(FIRST).unwrap();
    bench.make(&token, P256, "k");
    card.delete_file(fid::certificate(FIRST)).unwrap();
    let error = resume_certificate(&mut card, take(&journal, &open)).unwrap_err();
    assert!(matches!(error, KeyError::OtherKey(FIRST)), "{error}");
    assert!(card.read_file(fid::certificate(FIRST)).unwrap().is_none());
}
