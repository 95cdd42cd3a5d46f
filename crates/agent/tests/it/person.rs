//! A person's side with real virtual tokens: what is signed, and what is refused before a token is asked.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use crate::common::{PIN, Place, SO_PIN, installation, is_signed_by};
use chancery_agent::{
    Accepted, AcceptedHsm, AgentError, CUSTODIAN_KEY, PinSource, RehearsalPins, ShownAct, TokenPins, act_key,
    answer_challenge, custodian_key, sign_act,
};
use chancery_api::{
    ActId, ActPayload, ApprovedItem, Base64, CertificateDocument, Decision, Hash32, InstallationId, Intent,
    PersonId, RequestNumber, SecretText, Subject, UnlockChallengeView, canonical_json, statement,
};
use chancery_cvc::AuthenticatedRequest;
use chancery_driver::Error as CardError;
use openssl::{hash::MessageDigest, pkey::PKey, sign::Verifier};
use uuid::Uuid;

fn draft(decision: Decision) -> ActPayload {
    ActPayload {
        v: 1,
        installation: installation(),
        act: ActId::new(Uuid::from_bytes([1; 16])),
        nonce: Hash32([2; 32]),
        time: "2026-11-21T12:00:00Z".to_owned(),
        person: PersonId::new(Uuid::from_bytes([3; 16])),
        name: "alice".to_owned(),
        decision,
    }
}

fn crl() -> Decision {
    Decision::CrlCreate {
        ca: "root".to_owned(),
        number: 1,
        entries: 0,
        next_update: "2026-11-28T12:00:00Z".to_owned(),
        tbs: Hash32([5; 32]),
    }
}

fn read(payload: &ActPayload, verb: &str) -> Result<ShownAct, AgentError> {
    ShownAct::read(&canonical_json(payload).unwrap(), installation(), "alice", verb)
}

#[test]
fn a_wrong_pin_costs_a_try_and_three_block() {
    let place = Place::new(&["alice"], &[]);
    let attempt = |pin: &str| {
        place
            .tokens
            .open("alice")
            .unwrap()
            .unlock(&place.pins(pin))
            .map(drop)
    };
    for left in [2, 1] {
        match attempt("111111").unwrap_err() {
            AgentError::Card {
                name,
                source: CardError::WrongPin { tries_left, .. },
            } => {
                assert_eq!((name.as_str(), tries_left), ("alice", left));
            }
            other => panic!("{other:?}"),
        }
    }
    attempt(PIN).unwrap();
    for _ in 0..2 {
        assert!(matches!(
            attempt("111111"),
            Err(AgentError::Card {
                source: CardError::WrongPin { .. },
                ..
            })
        ));
    }
    let last = attempt("111111").unwrap_err();
    assert!(matches!(last, AgentError::Card { .. }), "{last:?}");
    let blocked = attempt(PIN).unwrap_err();
    assert!(
        matches!(
            blocked,
            AgentError::Card {
                source: CardError::PinBlocked { .. },
                ..
            }
        ),
        "{blocked:?}"
    );
}

#[test]
fn a_pin_that_cannot_be_is_never_sent() {
    let place = Place::new(&["alice"], &[]);
    for bad in ["", "12345", "12345678901234567"] {
        let error = place
            .tokens
            .open("alice")
            .unwrap()
            .unlock(&place.pins(bad))
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, AgentError::Pin { .. }), "{error:?}");
    }
    let exposed = PinSource::File(place.file("exposed", PIN, 0o644));
    let error = place
        .tokens
        .open("alice")
        .unwrap()
        .unlock(&exposed)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    // No try was lost on any of them.
    for left in [2, 1] {
        let error = place
            .tokens
            .open("alice")
            .unwrap()
            .unlock(&place.pins("111111"))
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, AgentError::Card { source: CardError::WrongPin { tries_left, .. }, .. } if tries_left == left),
            "{error:?}"
        );
    }
}

#[test]
fn rehearsal_pins_are_for_their_owner_alone() {
    let place = Place::new(&["alice"], &[]);
    let path = place.dir.path().join("rehearsal-pins.json");
    let mut pins = RehearsalPins::default();
    let entry = |pin: Option<&str>| TokenPins {
        user_pin: pin.map(|pin| SecretText::new(pin.to_owned())),
        so_pin: SecretText::new(SO_PIN.to_owned()),
    };
    pins.tokens.insert("alice".to_owned(), entry(Some(PIN)));
    pins.tokens.insert("hsm-a".to_owned(), entry(None));
    pins.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(RehearsalPins::load(&path).unwrap(), pins);
    place
        .tokens
        .open("alice")
        .unwrap()
        .unlock(&PinSource::Rehearsal(path.clone()))
        .unwrap();
    assert!(!format!("{pins:?}").contains(PIN));

    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        RehearsalPins::load(&path),
        Err(AgentError::BadFile { .. })
    ));
}

#[test]
fn an_act_is_signed_over_its_statement_by_the_attested_key() {
    let place = Place::new(&["alice"], &[]);
    let mut token = place.unlocked("alice");
    let evidence = act_key(&mut token, place.tokens.anchors()).unwrap();
    assert_eq!(
        act_key(&mut token, place.tokens.anchors()).unwrap(),
        evidence,
        "made once"
    );
    let request = AuthenticatedRequest::parse(&evidence.key_request).unwrap();
    let key = PKey::public_key_from_der(&request.request().public_key().to_spki_der().unwrap()).unwrap();

    let payload = draft(crl());
    let act = sign_act(&mut token, &read(&payload, "crl-create").unwrap()).unwrap();
    assert_eq!(act.payload.0, canonical_json(&payload).unwrap());
    let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
    let holds = verifier
        .verify_oneshot(&act.signature.0, &statement(installation(), &act.payload.0))
        .unwrap();
    assert!(holds);
}

#[test]
fn only_init_is_signed_without_a_draft() {
    let place = Place::new(&["alice"], &[]);
    let mut token = place.unlocked("alice");
    act_key(&mut token, place.tokens.anchors()).unwrap();
    assert!(matches!(
        token.sign_first_act(&draft(crl())),
        Err(AgentError::OtherAct(_))
    ));
}

#[test]
fn a_draft_for_another_verb_person_or_installation_is_refused() {
    let payload = draft(crl());
    read(&payload, "crl-create").unwrap();
    let refused = |payload: &ActPayload, verb: &str| match read(payload, verb).unwrap_err() {
        AgentError::OtherAct(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&payload, "request-sign").contains("crl-create"));
    let mut other = payload.clone();
    other.name = "bob".to_owned();
    assert!(refused(&other, "crl-create").contains("bob"));
    let mut other = payload;
    other.installation = InstallationId::new(Uuid::from_bytes([8; 16]));
    assert!(refused(&other, "crl-create").contains("installation"));
}

#[test]
fn a_draft_that_says_more_than_is_shown_is_refused() {
    let payload = draft(crl());
    let canonical = canonical_json(&payload).unwrap();
    let text = String::from_utf8(canonical.clone()).unwrap();
    let spaced = text.replacen(':', ": ", 1);
    let doubled = text.replacen("{\"act\"", "{\"name\":\"mallory\",\"act\"", 1);
    let more = text.replacen("{\"act\"", "{\"aaa\":1,\"act\"", 1);
    for bad in [spaced, doubled, more, text + "\n", String::new()] {
        let outcome = ShownAct::read(bad.as_bytes(), installation(), "alice", "crl-create");
        assert!(matches!(outcome, Err(AgentError::OtherAct(_))), "{bad}");
    }
}

#[test]
fn a_draft_has_to_answer_exactly_what_was_asked() {
    let reject = |numbers: &[i64], reason: &str| Decision::RequestReject {
        requests: numbers.iter().copied().map(RequestNumber).collect(),
        reason: reason.to_owned(),
    };
    let intent = Intent::RequestReject {
        requests: vec![RequestNumber(4), RequestNumber(5)],
        reason: "no".to_owned(),
    };
    let answers = |decision: Decision| {
        let bytes = canonical_json(&draft(decision)).unwrap();
        ShownAct::answering(&bytes, installation(), "alice", &intent).map(drop)
    };
    answers(reject(&[4, 5], "no")).unwrap();
    for other in [
        reject(&[4], "no"),
        reject(&[4, 5, 6], "no"),
        reject(&[4, 6], "no"),
        reject(&[4, 5], "yes"),
        crl(),
    ] {
        assert!(matches!(answers(other), Err(AgentError::OtherAct(_))));
    }
    let revoke = Decision::CertificateRevoke {
        ca: "root".into(),
        serial: "00ab".into(),
        reason: "superseded".into(),
    };
    let bytes = canonical_json(&draft(revoke)).unwrap();
    for (certificate, fits) in [("00ab", true), ("00:AB", true), ("#7", true), ("00ac", false)] {
        let intent = Intent::CertificateRevoke {
            certificate: certificate.into(),
            reason: "superseded".into(),
        };
        let outcome = ShownAct::answering(&bytes, installation(), "alice", &intent);
        assert_eq!(outcome.is_ok(), fits, "{certificate}");
    }
}

#[test]
fn what_is_shown_stays_on_its_line() {
    let document = CertificateDocument {
        csr: Hash32([0; 32]),
        ca: "root".to_owned(),
        issuer: Hash32([0; 32]),
        profile: "server".to_owned(),
        profile_hash: Hash32([0; 32]),
        subject: "CN=good.example\n  name dns:evil.example\u{1b}[2K".to_owned(),
        names: vec!["dns:\u{202e}elpmaxe.dab".to_owned()],
        key: Hash32([0; 32]),
        ignored: vec!["a\rb".to_owned()],
    };
    let item = ApprovedItem {
        request: RequestNumber(7),
        document: Hash32([0; 32]),
        subject: Subject::Certificate(document),
        tbs: Some(Hash32([9; 32])),
    };
    let shown = read(
        &draft(Decision::RequestApprove { items: vec![item] }),
        "request-approve",
    )
    .unwrap();
    let lines = shown.lines();
    assert!(
        lines
            .iter()
            .all(|line| line.chars().all(|c| !c.is_control() && c != '\u{202e}')),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("CN=good.example\\u{a}  name dns:evil.example\\u{1b}[2K"),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("\\u{202e}elpmaxe.dab")));
    // Everything that is decided is shown, the bytes that were prepared included.
    assert!(
        lines.iter().any(|line| line.contains(&"09".repeat(32))),
        "{lines:#?}"
    );
}

#[test]
fn another_hsm_under_an_accepted_name_is_never_answered() {
    let place = Place::new(&["alice"], &["hsm-a", "hsm-x"]);
    let anchors = place.tokens.anchors();
    let mut token = place.unlocked("alice");
    let evidence = custodian_key(&mut token, anchors).unwrap();
    let directory = place.dir.path().join("custodians");
    let mut accepted = Accepted::load(&directory, "UTCHDALICE00000").unwrap();
    let (chain, false_chain) = (place.chain("hsm-a"), place.chain("hsm-x"));
    let view = |hsm: &str, chain: &[u8]| UnlockChallengeView {
        session: "s".to_owned(),
        hsm: hsm.to_owned(),
        chain: Base64(chain.to_vec()),
        chr: "UTCHDALICE00001".to_owned(),
        challenge: Base64(vec![1, 2, 3, 4, 5, 6, 7, 8]),
    };
    let mut refused = |accepted: &Accepted, view: &UnlockChallengeView| match answer_challenge(
        &mut token, accepted, anchors, "hsm-a", view,
    )
    .unwrap_err()
    {
        AgentError::NotAccepted { why, .. } => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&accepted, &view("hsm-a", &chain)).contains("never accepted"));
    let known = AcceptedHsm::from_chain("hsm-a", &chain, anchors).unwrap();
    accepted.accept("hsm-a", known.clone()).unwrap();
    assert!(refused(&accepted, &view("hsm-a", &false_chain)).contains("ANOTHER DEVICE"));
    assert!(refused(&accepted, &view("hsm-x", &chain)).contains("hsm-x"));
    let mut short = view("hsm-a", &chain);
    short.challenge.0.pop();
    assert!(refused(&accepted, &short).contains("7 bytes"));

    // What was accepted is never overwritten, and stays.
    let other = AcceptedHsm::from_chain("hsm-a", &false_chain, anchors).unwrap();
    assert!(matches!(
        accepted.accept("hsm-a", other),
        Err(AgentError::NotAccepted { .. })
    ));
    let accepted = Accepted::load(&directory, "UTCHDALICE00000").unwrap();
    accepted.check("hsm-a", &known).unwrap();

    // The right HSM is answered: r | s over its name and challenge, by the custodian key.
    let good = view("hsm-a", &chain);
    let plain = answer_challenge(&mut token, &accepted, anchors, "hsm-a", &good).unwrap();
    assert_eq!(plain.len(), 64);
    let signed = [known.device.as_bytes(), &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
    assert!(is_signed_by(&evidence.key_request, &signed, &plain));
    assert_eq!(CUSTODIAN_KEY.0, 1);
}

#[test]
fn a_token_in_anothers_place_is_refused() {
    let place = Place::new(&["alice", "bob"], &[]);
    let device = |name: &str| {
        place
            .tokens
            .list()
            .unwrap()
            .into_iter()
            .find(|token| token.name.as_str() == name)
            .unwrap()
            .device_id
    };
    let alice = device("alice");
    assert_eq!(place.tokens.by_device(&alice).unwrap().name(), "alice");
    let about = |name: &str| {
        let directory = place.dir.path().join("tokens").join(name);
        fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("UTCHD")))
            .unwrap()
    };
    let (of_alice, of_bob) = (about("alice"), about("bob"));
    let swapped = fs::read(&of_alice).unwrap();
    fs::copy(&of_bob, &of_alice).unwrap();
    fs::write(&of_bob, swapped).unwrap();
    // bob's token now calls itself alice's.
    match place.tokens.by_device(&alice).map(drop).unwrap_err() {
        AgentError::OtherToken { name, .. } => assert_eq!(name, "bob"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        place.tokens.by_device("UTCHDNOBODY00000"),
        Err(AgentError::NoToken { .. })
    ));
}
