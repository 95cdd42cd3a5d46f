//! A database that fails at every point there is, and an HSM that has signed meanwhile.

use std::collections::BTreeSet;

use chancery_api::{Failure, FailureKind, HsmLock, Intent, RequestNumber};

use crate::support::{World, csr, faults::Fault};

const FAULTS: [Fault; 3] = [Fault::Before, Fault::After, Fault::Full];

/// Has `intent` done while commit `number` and all later ones fail; whether one did. Then starts again.
async fn with_fault(world: &mut World, person: &str, intent: Intent, number: u64, fault: Fault) -> bool {
    let act = world.signed(person, person, intent).await.unwrap();
    world.faults.fail(number, fault);
    let outcome: Result<_, Failure> = world.perform(act).await;
    let failed = world.faults.heal();
    match outcome {
        Ok(_) => assert!(!failed, "commit {number} failed and nobody was told"),
        Err(failure) => {
            assert!(failed, "{failure:?}");
            assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
            if fault == Fault::Full {
                assert!(failure.message.contains("no space"), "{failure:?}");
            }
        }
    }
    if failed {
        world.restart().await;
        world.unlock_all().await;
    }
    failed
}

/// Serial numbers are there once, issued certificates have bytes and events.
async fn consistent(world: &World) {
    let certificates = world.certificates().await;
    let serials: BTreeSet<_> = certificates.iter().map(|one| one.serial.clone()).collect();
    assert_eq!(serials.len(), certificates.len());
    let leaves = serde_json::to_string(&world.leaves().await).unwrap();
    for certificate in &certificates {
        assert!(
            leaves.contains(&hex::encode(&certificate.serial)),
            "no event names its serial number"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approving() {
    let mut world = World::ready().await;
    for fault in FAULTS {
        for number in 1.. {
            let request = world.import(&csr("www.example.com")).await.unwrap();
            let intent = || Intent::RequestApprove {
                requests: vec![request],
            };
            let failed = with_fault(&mut world, "bob", intent(), number, fault).await;
            let expected = if failed && fault != Fault::After {
                "open"
            } else {
                "approved"
            };
            assert_eq!(world.state(request).await, expected, "{fault:?} {number}");
            if expected == "open" {
                world.act("bob", intent()).await.unwrap();
            }
            world.sign(request).await.unwrap();
            if !failed {
                break;
            }
        }
    }
    consistent(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing() {
    let mut world = World::ready().await;
    world.watch_signatures();
    for fault in FAULTS {
        for number in 1.. {
            let request = world.approved("www.example.com").await;
            let before = world.signs();
            let intent = || Intent::RequestSign {
                requests: vec![request],
            };
            let failed = with_fault(&mut world, "carol", intent(), number, fault).await;
            let signed = world.signs() - before;
            let shown = world.center.request_show(request).await.unwrap();
            let expected = match (failed, fault, number) {
                (false, ..) | (_, Fault::After, 2) => ("done", 1),
                // The claim is durable; nobody was told, so no HSM was asked.
                (_, Fault::After, _) => ("signing", 0),
                (_, _, 1) => ("approved", 0),
                // The HSM signed, the result could not be recorded: it is given to nobody.
                _ => ("signing", 1),
            };
            assert_eq!(
                (shown.request.state.as_str(), signed),
                expected,
                "{fault:?} {number}"
            );
            let serial = shown.certificate.map(|certificate| certificate.serial);
            match expected.0 {
                "approved" => {
                    assert_eq!(serial, None);
                    world.sign(request).await.unwrap();
                }
                "signing" => {
                    assert!(shown.der.is_none());
                    let done = world.center.request_resume(request).await.unwrap();
                    assert_eq!(done.certificate.map(|certificate| certificate.serial), serial);
                }
                _ => {}
            }
            assert_eq!(world.state(request).await, "done");
            let rows = world
                .certificates()
                .await
                .iter()
                .filter(|one| one.request == Some(request))
                .count();
            assert_eq!(rows, 1);
            if !failed {
                assert_eq!(number, 3, "two commits");
                break;
            }
        }
    }
    consistent(&world).await;
    world.holds(0).await;
}

/// The same node goes on: what it claimed itself, it signs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_could_not_be_recorded_is_made_again_over_the_same_bytes() {
    let world = World::ready().await;
    world.watch_signatures();
    let request = world.approved("www.example.com").await;
    let act = world.sign_intent(request).await;
    world.faults.fail(2, Fault::Before);
    world.perform(act).await.unwrap_err();
    assert!(world.faults.heal());
    let done = world.center.request_resume(request).await.unwrap();
    assert_eq!(done.request.state, "done");
    let signed = world.line.signed.lock().unwrap().clone();
    assert_eq!(signed.len(), 2);
    assert_eq!(signed[0], signed[1], "the same bytes");
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revocation_lists() {
    let mut world = World::ready().await;
    world.watch_signatures();
    let mut newest = 0;
    for fault in FAULTS {
        for number in 1.. {
            let intent = || Intent::CrlCreate { ca: "root".into() };
            let failed = with_fault(&mut world, "carol", intent(), number, fault).await;
            world.act("carol", intent()).await.unwrap();
            let crl = world.center.crl_show("root").await.unwrap();
            assert!(crl.number > newest);
            newest = crl.number;
            if !failed {
                assert_eq!(number, 3, "two commits");
                break;
            }
        }
    }
    // No number is missing and none is open.
    assert_eq!(
        world
            .ask("SELECT CAST(count(*) AS BLOB) FROM crl WHERE state = 'issued'")
            .await,
        newest.to_string().as_bytes()
    );
    world.holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certification_authorities() {
    let mut world = World::new().await;
    world.add_people().await;
    world.init_hsms().await;
    world.register_custodians().await;
    world.unlock_all().await;
    let mut created = 0;
    for fault in [Fault::Before, Fault::After] {
        for (person, approve) in [("alice", true), ("carol", false)] {
            for number in 1.. {
                let request = world.ca_request(&format!("ca-{created}")).await;
                created += 1;
                let decide = |approve| match approve {
                    true => Intent::RequestApprove {
                        requests: vec![request],
                    },
                    false => Intent::RequestSign {
                        requests: vec![request],
                    },
                };
                if !approve {
                    world.act("alice", decide(true)).await.unwrap();
                }
                let failed = with_fault(&mut world, person, decide(approve), number, fault).await;
                finish(&world, request).await;
                if !failed {
                    break;
                }
            }
        }
    }
    consistent(&world).await;
    let cas = world.center.ca_list().await.unwrap();
    assert_eq!(cas.len(), created);
    assert!(cas.iter().all(|ca| ca.state == "active"), "{cas:?}");
}

/// Whatever state a request for a CA was left in, `why` says how it goes on.
async fn finish(world: &World, request: RequestNumber) {
    for _ in 0..4 {
        let why = world.center.request_why(request).await.unwrap();
        match (why.request.state.as_str(), why.action.as_deref()) {
            ("done", _) => return,
            ("open", _) => drop(world.approve("alice", &[request]).await),
            ("approved", Some("sign")) => drop(world.sign(request).await),
            ("signing", Some("resume")) => drop(world.center.request_resume(request).await),
            other => panic!("{other:?}"),
        }
    }
    panic!(
        "request {request} does not end: {:?}",
        world.center.request_why(request).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn initialising_hsms() {
    for fault in [Fault::Before, Fault::After] {
        for number in 1.. {
            let mut world = World::new().await;
            let intent = || Intent::HsmInit {
                tokens: vec!["hsm-a".into(), "hsm-b".into()],
                required: 2,
                total: 3,
                shares: 2,
            };
            let act = world.signed("alice", "alice", intent()).await.unwrap();
            world.faults.fail(number, fault);
            let outcome = world.perform(act).await;
            let failed = world.faults.heal();
            assert_eq!(outcome.is_err(), failed);
            world.restart().await;
            world.act("alice", intent()).await.unwrap();
            let views = world.center.hsm_list().await.unwrap();
            assert_eq!(views.len(), 2);
            assert!(
                views[0].kcv.is_some() && views[0].kcv == views[1].kcv,
                "one key domain"
            );
            if !failed {
                world.add_people().await;
                world.register_custodians().await;
                world.unlock_all().await;
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hsm_is_open_without_a_record_of_it() {
    let world = World::ready().await;
    world.center.hsm_lock(&HsmLock { hsms: vec![] }, 0).await.unwrap();
    world.unlock("hsm-a", "alice").await.unwrap();
    let (session, signature) = world.answer("hsm-a", "bob").await.unwrap();
    world.faults.fail(1, Fault::Full);
    let failure = world.hand_in("hsm-a", &session, &signature).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure:?}");
    assert!(!world.center.any_unlocked());
    assert!(world.faults.heal());
    assert!(world.sentence("hsm-a").await.starts_with("locked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn locking_needs_no_database() {
    let world = World::ready().await;
    world.faults.fail(1, Fault::Full);
    world
        .center
        .hsm_lock(&HsmLock { hsms: vec![] }, 0)
        .await
        .unwrap_err();
    assert!(!world.center.any_unlocked());
}
