//! The line is cut at every single command; the same call finishes what was begun.

use chancery_keys::{GeneratedKey, Hsm, HsmError, ImportState, KeyAlgorithm, KeyCopy, State};

use crate::bench::{Bench, Custodian, Installation, KEY, Loss, parameters, set_up, spec, unlock};

#[tokio::test]
async fn an_import_cut_at_any_command_is_finished_by_the_next() {
    let installation = Installation::new();
    let (a, mut custodians, key) = installation.open_hsm().await;
    let copy = a.hsm.export(KEY).await.unwrap();
    for loss in [Loss::Command, Loss::Answer] {
        let mut finished = 0;
        for cut in 0.. {
            let name = format!("hsm-{}-{cut}", if loss == Loss::Command { "c" } else { "a" });
            let b = installation.hsm(&name);
            set_up(&b.hsm, &custodians).await;
            unlock(&b.hsm, &mut custodians).await;
            match cut_import(&b, &copy, &key, cut, loss).await {
                None => {
                    assert!(cut > 8, "an import has more commands than {cut}");
                    break;
                }
                Some(HsmError::Lost { .. }) => {}
                Some(other) => panic!("{loss:?} of command {cut}: {other}"),
            }
            back(&b, &mut custodians).await;
            let state = b
                .hsm
                .import(KEY, copy.clone(), &key.public_key_spki)
                .await
                .unwrap();
            finished += usize::from(state == ImportState::Finished);
            complete(&b.hsm, &copy, &key).await;
        }
        assert!(finished > 1, "no import was ever found half done");
    }
}

async fn cut_import(
    b: &Bench,
    copy: &KeyCopy,
    key: &GeneratedKey,
    cut: usize,
    loss: Loss,
) -> Option<HsmError> {
    b.line.cut_after(cut, loss);
    let result = b.hsm.import(KEY, copy.clone(), &key.public_key_spki).await;
    b.line.mend();
    result.err()
}

async fn complete(hsm: &Hsm, copy: &KeyCopy, key: &GeneratedKey) {
    let there = hsm.export(KEY).await.unwrap();
    assert_eq!((&there.prkd, &there.request), (&copy.prkd, &copy.request));
    let again = hsm.import(KEY, there, &key.public_key_spki).await.unwrap();
    assert_eq!(again, ImportState::Unchanged);
}

#[tokio::test]
async fn a_generation_cut_at_any_command_is_finished_by_the_next() {
    let installation = Installation::new();
    let mut custodians = installation.custodians();
    for loss in [Loss::Command, Loss::Answer] {
        for cut in 0.. {
            let name = format!("hsm-{}-{cut}", if loss == Loss::Command { "c" } else { "a" });
            let b = installation.hsm(&name);
            set_up(&b.hsm, &custodians).await;
            unlock(&b.hsm, &mut custodians).await;
            b.line.cut_after(cut, loss);
            let result = b.hsm.generate(spec(KeyAlgorithm::EcP256)).await;
            b.line.mend();
            match result {
                Ok(_) => {
                    assert!(cut > 4, "a generation has more commands than {cut}");
                    break;
                }
                Err(HsmError::Lost { .. }) => {}
                Err(other) => panic!("{loss:?} of command {cut}: {other}"),
            }
            back(&b, &mut custodians).await;
            let was_there = b.hsm.key(KEY).await.unwrap();
            let key = b.hsm.generate(spec(KeyAlgorithm::EcP256)).await.unwrap();
            assert!(was_there.is_none_or(|before| before == key), "a key was replaced");
            assert_eq!(b.hsm.inspect().await.unwrap().keys, [KEY]);
            assert!(b.hsm.export(KEY).await.unwrap().prkd.is_some());
        }
    }
}

#[tokio::test]
async fn an_initialisation_cut_at_any_command_can_be_repeated() {
    let installation = Installation::new();
    for loss in [Loss::Command, Loss::Answer] {
        for cut in 0.. {
            let name = format!("hsm-{}-{cut}", if loss == Loss::Command { "c" } else { "a" });
            let b = installation.hsm(&name);
            b.line.cut_after(cut, loss);
            let result = b.hsm.initialise(parameters()).await;
            b.line.mend();
            match result {
                Ok(_) => {
                    assert!(cut > 5, "an initialisation has more commands than {cut}");
                    break;
                }
                Err(HsmError::Lost { .. }) => {}
                Err(other) => panic!("{loss:?} of command {cut}: {other}"),
            }
            b.hsm.reconnect().await.unwrap();
            let seen = b.hsm.initialise(parameters()).await.unwrap();
            assert!(seen.kcv.is_some());
            assert_eq!(b.hsm.state(), State::Unregistered { missing: 3 });
        }
    }
}

/// The token comes back, and the custodians open it again.
async fn back(b: &Bench, custodians: &mut [Custodian]) {
    assert!(matches!(b.hsm.state(), State::Lost { .. }));
    b.hsm.reconnect().await.unwrap();
    unlock(&b.hsm, custodians).await;
}
