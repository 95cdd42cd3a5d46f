//! Setting tokens up, with the token pulled at every command.

use crate::common::{Breaking, Cut, Place, pin, so_pin};
use chancery_cvc::{Curve, Reference};
use chancery_driver::{Card, Error, KeyAlgorithm, KeySpec};
use chancery_schsm::{AlgorithmList, KeyId};
use chancery_tokens::initialise::{
    self, Before, Blueprint, Done, InitialiseError, KIND, Plan, Secrets, account, compare,
};
use chancery_tokens::journal::{Begin, Journal, JournalError, Work};

fn blueprint() -> Blueprint {
    Blueprint {
        options: 0x0001,
        with_pin: true,
        retry: 3,
        dkek_shares: None,
        domains: None,
        domain_shares: Vec::new(),
        quorum: None,
        label: Some("signer".to_owned()),
    }
}

/// Set-ups that differ in who may write after the first step.
fn blueprints() -> Vec<Blueprint> {
    vec![
        Blueprint {
            dkek_shares: Some(2),
            ..blueprint()
        },
        Blueprint {
            domains: Some(3),
            domain_shares: vec![1, 3],
            ..blueprint()
        },
        Blueprint {
            options: 0x0003,
            ..blueprint()
        },
        Blueprint {
            options: 0x0000,
            with_pin: false,
            retry: 3,
            quorum: Some((2, 3)),
            dkek_shares: Some(1),
            ..blueprint()
        },
    ]
}

fn secrets() -> Secrets {
    Secrets {
        user_pin: Some(pin()),
        so_pin: so_pin(),
    }
}

fn begin(journal: &Journal, plan: &Plan) -> Work {
    let begin = Begin {
        kind: KIND,
        device: "UTCHDAAAAAA",
        token: "a",
        now: 0,
    };
    journal.begin(&begin, plan).unwrap()
}

/// A token that holds a key, and the plan to set it up anew.
fn with_a_key(place: &Place, name: &str, blueprint: &Blueprint) -> Plan {
    place.make(name);
    let mut card = place.select(name);
    card.initialize(&self::blueprint().setup(Some(pin()), so_pin()))
        .unwrap();
    let mut open = card.verify_pin(&pin()).unwrap();
    open.generate(&KeySpec {
        id: KeyId(1),
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: Reference::new("UTCHDAAAAAA00001").unwrap(),
        algorithms: AlgorithmList::default(),
        key_domain: None,
        use_counter: None,
    })
    .unwrap();
    let mut card = open.logout().unwrap();
    Plan {
        blueprint: blueprint.clone(),
        before: Before::of(&mut card).unwrap(),
    }
}

#[test]
fn a_token_becomes_what_was_asked_for() {
    let place = Place::new();
    let journal = Journal::new(place.path("journal"));
    for (number, blueprint) in blueprints().into_iter().enumerate() {
        let name = format!("t{number}");
        let plan = with_a_key(&place, &name, &blueprint);
        assert_eq!(plan.before.keys, [1]);
        let mut work = begin(&journal, &plan);
        let card = place.select(&name);
        let mut card = initialise::run(card, &plan, &secrets(), &mut work).unwrap();
        assert!(compare(&mut card, &plan.blueprint).unwrap().is_empty());
        let there = Before::of(&mut card).unwrap();
        assert!(there.is_empty() && there.label.as_deref() == Some("signer"));
        assert!(
            account(&plan, work.record())
                .iter()
                .all(|(_, done)| *done == Done::Yes)
        );
        work.finish().unwrap();
    }
    assert!(matches!(journal.take(None), Err(JournalError::None)));
}

#[test]
fn pulled_at_any_command_it_says_what_was_done_and_can_be_finished() {
    let place = Place::new();
    let journal = Journal::new(place.path("journal"));
    for (number, blueprint) in blueprints().into_iter().enumerate() {
        let mut ended = false;
        let mut index = 0;
        while !ended {
            for cut in [Cut::Before(index), Cut::After(index)] {
                let name = format!("t{number}-{index}-{}", matches!(cut, Cut::After(_)));
                let plan = with_a_key(&place, &name, &blueprint);
                ended = pull_and_finish(&place, &journal, &name, &plan, cut);
            }
            index += 1;
        }
        assert!(index > 4, "{index}");
    }
}

/// Whether the work was over before the cut.
fn pull_and_finish(place: &Place, journal: &Journal, name: &str, plan: &Plan, cut: Cut) -> bool {
    let mut work = begin(journal, plan);
    let card = Card::new(Breaking::new(place.open(name), Cut::Never))
        .select()
        .unwrap();
    // The selection is not part of the work.
    let inner = card.disconnect().into_transport();
    let card = Card::new(Breaking::new(inner, shifted(cut))).select().unwrap();
    let outcome = initialise::run(card, plan, &secrets(), &mut work).map(drop);
    let Err(error) = outcome else {
        work.finish().unwrap();
        return true;
    };
    let lost = error.card_error().is_some_and(Error::is_link_loss);
    assert!(lost, "{cut:?}: {error}");
    let said = account(plan, work.record());
    let erased = said.first().unwrap().1;
    drop(work);

    let mut card = place.select(name);
    let there = Before::of(&mut card).unwrap();
    match erased {
        Done::No => assert_eq!(there, plan.before, "{cut:?}"),
        Done::Yes => assert!(there.is_empty(), "{cut:?}"),
        Done::Unknown => assert!(there.is_empty() || there == plan.before, "{cut:?}"),
    }
    let labelled = said.iter().find(|(step, _)| step == "label").unwrap().1;
    match labelled {
        Done::Yes => assert_eq!(there.label.as_deref(), Some("signer"), "{cut:?}"),
        Done::No if erased == Done::Yes => assert_eq!(there.label, None, "{cut:?}"),
        _ => {}
    }

    let work = journal.take(None).unwrap();
    let undone = initialise::undo(&mut card, plan, &work);
    match undone {
        Ok(()) => assert_eq!(there, plan.before, "{cut:?}"),
        Err(InitialiseError::CannotUndo) => assert!(there.is_empty(), "{cut:?}"),
        Err(other) => panic!("{cut:?}: {other}"),
    }
    let mut work = work;
    let mut card = initialise::resume(card, plan, &mut work, || Ok::<_, InitialiseError>(secrets()))
        .unwrap_or_else(|error| panic!("{cut:?} {said:?}: {error:?}"));
    assert!(compare(&mut card, &plan.blueprint).unwrap().is_empty(), "{cut:?}");
    assert!(
        account(plan, work.record())
            .iter()
            .all(|(_, done)| *done == Done::Yes)
    );
    work.finish().unwrap();
    false
}

fn shifted(cut: Cut) -> Cut {
    match cut {
        Cut::Before(index) => Cut::Before(index + 1),
        Cut::After(index) => Cut::After(index + 1),
        Cut::Never => Cut::Never,
    }
}

#[test]
fn a_wrong_so_pin_changes_nothing_and_leaves_nothing_open() {
    let place = Place::new();
    let journal = Journal::new(place.path("journal"));
    let plan = with_a_key(&place, "a", &blueprint());
    let mut work = begin(&journal, &plan);
    let wrong = Secrets {
        so_pin: chancery_driver::SoPin::new([0; 8]),
        ..secrets()
    };
    let error = initialise::run(place.select("a"), &plan, &wrong, &mut work)
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(error.card_error(), Some(Error::WrongSoPin { .. })),
        "{error}"
    );
    assert!(work.record().steps.is_empty());
    let mut card = place.select("a");
    assert_eq!(Before::of(&mut card).unwrap(), plan.before);
}

#[test]
fn what_came_to_the_token_meanwhile_is_not_erased() {
    let place = Place::new();
    let journal = Journal::new(place.path("journal"));
    let plan = with_a_key(&place, "a", &blueprint());
    let changed = Plan {
        before: Before::default(),
        ..plan.clone()
    };
    let mut work = begin(&journal, &changed);
    let error = initialise::run(place.select("a"), &changed, &secrets(), &mut work)
        .map(drop)
        .unwrap_err();
    assert!(matches!(error, InitialiseError::Changed), "{error}");
    let error = initialise::resume(place.select("a"), &changed, &mut work, || {
        Ok::<_, InitialiseError>(secrets())
    })
    .map(drop)
    .unwrap_err();
    assert!(matches!(error, InitialiseError::Changed), "{error}");
    let mut card = place.select("a");
    assert_eq!(Before::of(&mut card).unwrap(), plan.before);
}

#[test]
fn rules_are_checked_before_anything_happens() {
    let bad = [
        Blueprint {
            dkek_shares: Some(1),
            domains: Some(2),
            ..blueprint()
        },
        Blueprint {
            domains: Some(0),
            ..blueprint()
        },
        Blueprint {
            domains: Some(17),
            ..blueprint()
        },
        Blueprint {
            domains: Some(1),
            domain_shares: vec![1, 1],
            ..blueprint()
        },
        Blueprint {
            domains: Some(1),
            domain_shares: vec![0],
            ..blueprint()
        },
        // Nobody can open it yet.
        Blueprint {
            options: 0x0003,
            domains: Some(1),
            domain_shares: vec![1],
            ..blueprint()
        },
        Blueprint {
            label: Some("x".repeat(65)),
            ..blueprint()
        },
        Blueprint {
            options: 0x0002,
            with_pin: false,
            ..blueprint()
        },
        Blueprint {
            options: 0x0020,
            ..blueprint()
        },
    ];
    for blueprint in bad {
        assert!(
            matches!(blueprint.check(), Err(InitialiseError::Rule { .. })),
            "{blueprint:?}"
        );
    }
}
