//! A custodian's side of leases with real virtual tokens, and nodes that lie.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{path::PathBuf, time::Duration};

use chancery_agent::{
    Accepted, AcceptedHsm, AgentError, Asked, Comparison, Custodian, Evidence, LeaseDecision, LeaseNode,
    SeenLog, ShownLease, Wider, custodian_key, fetch_manifest,
};
use chancery_api::{
    Base64, Claims, DigestValue, Extent, Hash32, HashName, HsmDocument, HsmId, InstallationId, LeaseAnswer,
    LeaseChallenge, LeaseChallengeView, LeaseId, LeaseManifest, LeaseState, LeaseText, LeaseView, LogPlace,
    Mechanism, ReplicaStateView, Requester, StatementKind, Widening, canonical_json, lease_statement,
    manifest_hash,
};
use chancery_audit::{TreeHash, consistency_proof, leaf_hash, root};
use common::{Place, installation, is_signed_by};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

fn digest(byte: u8) -> DigestValue {
    DigestValue::new(HashName::Sha256, vec![byte; 32]).unwrap()
}

fn leaves(count: u64) -> Vec<TreeHash> {
    (0..count).map(|n| leaf_hash(&n.to_be_bytes())).collect()
}

fn place_of(leaves: &[TreeHash]) -> LogPlace {
    LogPlace {
        size: u64::try_from(leaves.len()).unwrap(),
        root: Hash32(*root(leaves).as_bytes()),
    }
}

/// A custodian, two HSMs, and what a node says.
struct Scene {
    place: Place,
    accepted: Accepted,
    evidence: Evidence,
    chr: String,
    directory: PathBuf,
}

/// A node that says what it was told to say.
struct Node {
    chains: Vec<(String, Vec<u8>)>,
    text: LeaseText,
    chr: String,
    kind: StatementKind,
    leaves: Vec<TreeHash>,
    /// What it changes in an honest challenge.
    lie: fn(&mut LeaseChallengeView),
    digests: Vec<DigestValue>,
    nothing_for: Option<String>,
    asked: Vec<LeaseChallenge>,
    answers: Vec<LeaseAnswer>,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new(&["alice"], &["hsm-a", "hsm-b"]);
        let mut token = place.unlocked("alice");
        let evidence = custodian_key(&mut token, place.tokens.anchors()).unwrap();
        drop(token);
        let device = place
            .tokens
            .list()
            .unwrap()
            .into_iter()
            .find(|token| token.name.as_str() == "alice")
            .unwrap()
            .device_id;
        let directory = place.dir.path().join("custodians");
        let mut accepted = Accepted::load(&directory, &device).unwrap();
        for name in ["hsm-a", "hsm-b"] {
            let hsm = AcceptedHsm::from_chain(name, &place.chain(name), place.tokens.anchors()).unwrap();
            accepted.accept(name, hsm).unwrap();
        }
        let chr = format!("{}00001", device.strip_suffix("00000").unwrap());
        Self {
            place,
            accepted,
            evidence,
            chr,
            directory,
        }
    }

    fn hsm(&self, name: &str) -> HsmDocument {
        let known = &self.accepted.hsms()[name];
        HsmDocument {
            id: HsmId::new(Uuid::from_bytes([name.as_bytes()[4]; 16])),
            name: name.to_owned(),
            device: known.device.clone(),
            key: known.key,
        }
    }

    fn text(&self) -> LeaseText {
        LeaseText {
            v: 1,
            installation: installation(),
            lease: LeaseId::new(Uuid::from_bytes([4; 16])),
            signer: "firmware".to_owned(),
            key: Hash32([6; 32]),
            algorithm: "ec:P-256".to_owned(),
            mechanism: Mechanism::Ecdsa,
            extent: Extent::Manifest {
                manifest: manifest_hash(&[digest(1), digest(2)]),
                count: 2,
            },
            purpose: "firmware 4.2".to_owned(),
            requester: Requester::Client {
                name: "build1".to_owned(),
                key: Hash32([8; 32]),
                address: "192.0.2.7".to_owned(),
            },
            claimed: Claims {
                user: "ci".to_owned(),
                host: "build1".to_owned(),
                command: "mkimage -F fit.itb".to_owned(),
            },
            asked: "2026-11-21T12:00:00Z".to_owned(),
            deadline: "2026-11-21T14:00:00Z".to_owned(),
            hsms: vec![self.hsm("hsm-a"), self.hsm("hsm-b")],
            strict: false,
            widened: Vec::new(),
        }
    }

    fn read(&self, view: &LeaseView) -> Result<ShownLease, AgentError> {
        ShownLease::read(view, installation(), &self.accepted)
    }

    fn node(&self, text: &LeaseText) -> Node {
        Node {
            chains: ["hsm-a", "hsm-b"]
                .map(|name| (name.to_owned(), self.place.chain(name)))
                .to_vec(),
            text: text.clone(),
            chr: self.chr.clone(),
            kind: StatementKind::Unlock,
            leaves: leaves(5),
            lie: |_| {},
            digests: vec![digest(1), digest(2)],
            nothing_for: None,
            asked: Vec::new(),
            answers: Vec::new(),
        }
    }

    fn custodian(&self) -> Custodian<'_> {
        let device = self.chr.replace("00001", "00000");
        let log = SeenLog::load(&self.directory, &device).unwrap();
        Custodian::new(
            "alice",
            self.place.unlocked("alice"),
            &self.accepted,
            self.place.tokens.anchors(),
            log,
        )
        .unwrap()
    }

    /// Fetches, shows and decides, as a command does.
    fn decide(&self, node: &mut Node, decision: &LeaseDecision) -> Result<(), AgentError> {
        let lease = self.read(&view(&node.text))?;
        let digests = fetch_manifest(&lease, |call| node.manifest(&call))?;
        let lease = lease.with_manifest(digests)?;
        self.custodian().decide(node, &lease, decision).map(drop)
    }
}

impl LeaseNode for Node {
    type Error = AgentError;

    fn manifest(&mut self, call: &LeaseManifest) -> Result<Vec<DigestValue>, AgentError> {
        let after = call.after.as_ref();
        Ok(self
            .digests
            .iter()
            .filter(|digest| after.is_none_or(|after| *digest > after))
            .take(1)
            .cloned()
            .collect())
    }

    fn challenge(&mut self, call: &LeaseChallenge) -> Result<Asked, AgentError> {
        self.asked.push(call.clone());
        if self.nothing_for.as_deref() == Some(call.hsm.as_str()) {
            return Ok(Asked::Nothing("it is open already".to_owned()));
        }
        let place = place_of(&self.leaves);
        let proof = call.seen.filter(|seen| seen.size < place.size).map(|seen| {
            consistency_proof(&self.leaves, seen.size, place.size)
                .unwrap()
                .iter()
                .map(|hash| Hash32(*hash.as_bytes()))
                .collect()
        });
        let mut view = LeaseChallengeView {
            session: format!("session of {}", call.hsm),
            kind: self.kind,
            hsm: self
                .text
                .hsms
                .iter()
                .find(|hsm| hsm.name == call.hsm)
                .unwrap()
                .clone(),
            chain: Base64(
                self.chains
                    .iter()
                    .find(|(name, _)| *name == call.hsm)
                    .unwrap()
                    .1
                    .clone(),
            ),
            chr: self.chr.clone(),
            challenge: Base64(vec![1, 2, 3, 4, 5, 6, 7, 8]),
            log: place,
            consistency: proof.unwrap_or_default(),
            checkpoint: None,
        };
        (self.lie)(&mut view);
        Ok(Asked::Challenge(Box::new(view)))
    }

    fn answer(&mut self, call: &LeaseAnswer) -> Result<LeaseView, AgentError> {
        self.answers.push(call.clone());
        Ok(view(&self.text))
    }
}

fn view(text: &LeaseText) -> LeaseView {
    LeaseView {
        lease: text.lease,
        text: Base64(canonical_json(text).unwrap()),
        state: LeaseState::Waiting,
        version: 1,
        agreed: vec!["bob".to_owned()],
        could: vec!["alice".to_owned()],
        needed: 2,
        because: None,
        node_enforced: false,
        used: 0,
        remaining_seconds: 7_000,
        hsms: vec![ReplicaStateView {
            hsm: "hsm-a".to_owned(),
            state: "quorum 1 of 2".to_owned(),
        }],
    }
}

fn refuse() -> LeaseDecision {
    LeaseDecision::refuse("wrong kernel version").unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::parse("2026-11-21T12:03:20Z", &Rfc3339).unwrap()
}

fn why(outcome: Result<(), AgentError>) -> String {
    match outcome.unwrap_err() {
        AgentError::OtherLease(why) | AgentError::Log(why) | AgentError::NotAccepted { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_hsm_gets_its_answer_and_the_statement_over_what_was_shown() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    scene.decide(&mut node, &LeaseDecision::Agree).unwrap();
    let hsms: Vec<&str> = node.asked.iter().map(|call| call.hsm.as_str()).collect();
    assert_eq!(hsms, ["hsm-a", "hsm-b"]);
    assert_eq!(node.asked[0].seen, None);
    assert_eq!(
        node.asked[1].seen,
        Some(place_of(&leaves(5))),
        "seen a moment ago"
    );
    assert_eq!(node.answers.len(), 2);
    let bytes = canonical_json(&text).unwrap();
    for (answer, hsm) in node.answers.iter().zip(&text.hsms) {
        assert_eq!(answer.session, format!("session of {}", hsm.name));
        let challenge = [1, 2, 3, 4, 5, 6, 7, 8];
        let unlock = [hsm.device.as_bytes(), &challenge].concat();
        let key = &scene.evidence.key_request;
        assert!(is_signed_by(key, &unlock, &answer.unlock.as_ref().unwrap().0));
        let statement = lease_statement(
            StatementKind::Unlock,
            &bytes,
            place_of(&leaves(5)),
            None,
            &hsm.device,
            challenge,
        );
        assert!(is_signed_by(key, &statement, &answer.statement.0));
        assert!(!is_signed_by(key, &unlock, &answer.statement.0));
        assert_eq!(answer.reason, None);
    }

    // The next time the log has to continue what was seen.
    let mut later = scene.node(&text);
    later.leaves = leaves(9);
    scene.decide(&mut later, &LeaseDecision::Agree).unwrap();
    assert_eq!(later.asked[0].seen, Some(place_of(&leaves(5))));
}

#[test]
fn a_refusal_is_one_statement_with_its_reason_and_opens_nothing() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Refuse;
    scene.decide(&mut node, &refuse()).unwrap();
    assert!(node.asked[0].refuse);
    assert_eq!(node.answers.len(), 1);
    let answer = &node.answers[0];
    assert_eq!(answer.unlock, None);
    assert_eq!(answer.reason.as_deref(), Some("wrong kernel version"));
    let statement = lease_statement(
        StatementKind::Refuse,
        &canonical_json(&text).unwrap(),
        place_of(&leaves(5)),
        Some("wrong kernel version"),
        &text.hsms[0].device,
        [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert!(is_signed_by(
        &scene.evidence.key_request,
        &statement,
        &answer.statement.0
    ));

    // A node that makes an agreement of it, or a refusal of an agreement, gets nothing.
    let mut node = scene.node(&text);
    assert!(why(scene.decide(&mut node, &refuse())).contains("it was refused"));
    node.kind = StatementKind::Refuse;
    assert!(why(scene.decide(&mut node, &LeaseDecision::Agree)).contains("it was agreed"));
    assert!(node.answers.is_empty());
    for bad in ["", "  ", "two\nlines", "\u{1b}[2J", &"x".repeat(201)] {
        assert!(
            matches!(LeaseDecision::refuse(bad), Err(AgentError::Reason(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn the_node_counts_only_where_that_was_shown() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Open;
    assert!(why(scene.decide(&mut node, &LeaseDecision::Agree)).contains("enforced by the HSMs"));
    assert!(node.answers.is_empty());

    let mut open = view(&text);
    open.node_enforced = true;
    let lease = scene.read(&open).unwrap();
    let lines = lease.lines(now(), None).join("\n");
    assert!(
        lines.contains("node-enforced") && lines.contains("IS OPEN ALREADY"),
        "{lines}"
    );
    let lease = lease.with_manifest(vec![digest(1), digest(2)]).unwrap();
    scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .unwrap();
    assert!(node.answers.iter().all(|answer| answer.unlock.is_none()));

    let mut strict = text;
    strict.strict = true;
    let mut view = view(&strict);
    view.node_enforced = true;
    assert!(why(scene.read(&view).map(drop)).contains("strict"));
}

#[test]
fn a_text_that_is_not_what_is_shown_is_refused() {
    let scene = Scene::new();
    let good = scene.text();
    scene.read(&view(&good)).unwrap();
    let canonical = String::from_utf8(canonical_json(&good).unwrap()).unwrap();
    for bad in [
        canonical.replacen(':', ": ", 1),
        canonical.replacen("{\"algorithm\"", "{\"aaa\":1,\"algorithm\"", 1),
        canonical.replacen("{\"algorithm\"", "{\"purpose\":\"x\",\"algorithm\"", 1),
        canonical.replacen("firmware 4.2", "firmware\\u0020", 1),
        canonical + "\n",
        String::new(),
    ] {
        let mut view = view(&good);
        view.text = Base64(bad.clone().into_bytes());
        assert!(
            matches!(scene.read(&view), Err(AgentError::OtherLease(_))),
            "{bad}"
        );
    }
    type Change = fn(&mut LeaseText);
    let changes: [(Change, &str); 12] = [
        (|text| text.v = 2, "version 2"),
        (
            |text| text.installation = InstallationId::new(Uuid::from_bytes([8; 16])),
            "installation",
        ),
        (|text| text.hsms.clear(), "not distinct"),
        (|text| text.hsms[1] = text.hsms[0].clone(), "not distinct"),
        (|text| text.purpose = "x".repeat(201), "200 characters"),
        (|text| text.mechanism = Mechanism::RsaPss, "cannot sign like that"),
        (|text| text.extent = Extent::Count { count: 0 }, "sign nothing"),
        (
            |text| text.deadline = "2027-01-01T00:00:00Z".to_owned(),
            "31 days",
        ),
        (
            |text| text.deadline = "2026-11-21T11:00:00Z".to_owned(),
            "before it begins",
        ),
        (|text| text.deadline = "tomorrow".to_owned(), "times"),
        (|text| text.hsms[0].name = "hsm-x".to_owned(), "never accepted"),
        (|text| text.hsms[0].key = Hash32([1; 32]), "ANOTHER DEVICE KEY"),
    ];
    for (change, expected) in changes {
        let mut text = good.clone();
        change(&mut text);
        let said = why(scene.read(&view(&text)).map(drop));
        assert!(said.contains(expected), "{said}");
    }
    // The text of another lease under this one's name.
    let mut other = view(&good);
    other.lease = LeaseId::new(Uuid::from_bytes([5; 16]));
    assert!(why(scene.read(&other).map(drop)).contains("that of lease"));
    let mut alone = view(&good);
    alone.needed = 0;
    assert!(why(scene.read(&alone).map(drop)).contains("no custodian"));
}

#[test]
fn digests_are_those_of_the_text_or_nothing_is_agreed() {
    let scene = Scene::new();
    let text = scene.text();
    for digests in [
        vec![],
        vec![digest(1)],
        vec![digest(1), digest(3)],
        vec![digest(1), digest(2), digest(3)],
        vec![digest(2), digest(1)],
        vec![digest(1), digest(1)],
    ] {
        let mut node = scene.node(&text);
        node.digests.clone_from(&digests);
        let outcome = scene.decide(&mut node, &LeaseDecision::Agree);
        // Of three the node gives only the two that are asked for when it is asked page by page.
        if digests.len() == 3 {
            outcome.unwrap();
            let lease = scene.read(&view(&text)).unwrap();
            assert!(matches!(
                lease.with_manifest(digests),
                Err(AgentError::OtherLease(_))
            ));
        } else {
            assert!(
                matches!(outcome, Err(AgentError::OtherLease(_))),
                "{digests:?}: {outcome:?}"
            );
            assert!(node.asked.is_empty(), "no challenge for what was not shown");
        }
    }
    // Who did not look at them cannot agree, and can refuse.
    let lease = scene.read(&view(&text)).unwrap();
    let mut node = scene.node(&text);
    let agreed = scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .map(drop);
    assert!(why(agreed).contains("not fetched"));
    node.kind = StatementKind::Refuse;
    scene.custodian().decide(&mut node, &lease, &refuse()).unwrap();
}

#[test]
fn a_node_that_lies_about_an_hsm_gets_no_signature() {
    let scene = Scene::new();
    let text = scene.text();
    type Lie = fn(&mut LeaseChallengeView);
    let lies: [(Lie, &str); 7] = [
        (|view| view.hsm.name = "hsm-b".to_owned(), "another HSM"),
        (|view| view.hsm.key = Hash32([1; 32]), "another HSM"),
        (
            |view| view.hsm.id = HsmId::new(Uuid::from_bytes([1; 16])),
            "another HSM",
        ),
        (|view| view.challenge.0.truncate(7), "7 bytes"),
        (|view| view.challenge.0.push(9), "9 bytes"),
        (|view| view.challenge.0.clear(), "0 bytes"),
        (
            |view| view.chr = "UTCHDMALLOR00001\u{1b}[2J".to_owned(),
            "UTCHDMALLOR00001\\u{1b}",
        ),
    ];
    for (lie, expected) in lies {
        let mut node = scene.node(&text);
        node.lie = lie;
        let said = why(scene.decide(&mut node, &LeaseDecision::Agree));
        assert!(said.contains(expected), "{said}");
        assert!(node.answers.is_empty());
    }
    // The chain of the other HSM, which is accepted, too, but under another name.
    let mut node = scene.node(&text);
    node.chains[0].1 = node.chains[1].1.clone();
    let said = why(scene.decide(&mut node, &LeaseDecision::Agree));
    assert!(said.contains("ANOTHER DEVICE NOW"), "{said}");
    // A chain that leads nowhere.
    let mut node = scene.node(&text);
    node.chains[0].1[60] ^= 1;
    assert!(matches!(
        scene.decide(&mut node, &LeaseDecision::Agree),
        Err(AgentError::Chain { .. })
    ));
}

#[test]
fn a_log_that_was_changed_is_noticed_before_anything_is_signed() {
    let scene = Scene::new();
    let text = scene.text();
    scene
        .decide(&mut scene.node(&text), &LeaseDecision::Agree)
        .unwrap();
    let mut changed = leaves(9);
    changed[1] = leaf_hash(b"changed");
    type Lie = fn(&mut LeaseChallengeView);
    let lies: [(Vec<TreeHash>, Lie); 5] = [
        (changed, |_| {}),
        (leaves(4), |_| {}),
        (leaves(9), |view| view.consistency.clear()),
        (leaves(9), |view| view.log.root.0[0] ^= 1),
        (leaves(9), |view| {
            view.checkpoint = Some("chancery/other\n9\nAAAA\n\n\u{2014} x AAAA\n".to_owned());
        }),
    ];
    for (leaves, lie) in lies {
        let mut node = scene.node(&text);
        node.leaves = leaves;
        node.lie = lie;
        let error = scene.decide(&mut node, &LeaseDecision::Agree).unwrap_err();
        assert!(matches!(error, AgentError::Log(_)), "{error}");
        assert!(error.to_string().contains("DOES NOT CONTINUE WHAT YOU SAW"));
        assert!(node.answers.is_empty());
    }
    // What was seen was not forgotten by any of them.
    let mut honest = scene.node(&text);
    honest.leaves = leaves(9);
    scene.decide(&mut honest, &LeaseDecision::Agree).unwrap();
    assert_eq!(honest.asked[0].seen, Some(place_of(&leaves(5))));
}

#[test]
fn an_hsm_with_nothing_to_answer_is_passed_over() {
    let scene = Scene::new();
    let text = scene.text();
    let mut node = scene.node(&text);
    node.nothing_for = Some("hsm-a".to_owned());
    let lease = scene.read(&view(&text)).unwrap();
    let lease = lease.with_manifest(vec![digest(1), digest(2)]).unwrap();
    let done = scene
        .custodian()
        .decide(&mut node, &lease, &LeaseDecision::Agree)
        .unwrap();
    assert_eq!(done[0].outcome.as_ref().unwrap_err(), "it is open already");
    assert!(done[1].outcome.is_ok());
    assert_eq!(node.answers.len(), 1);
}

#[test]
fn foreign_text_stays_in_its_place() {
    let scene = Scene::new();
    let mut text = scene.text();
    text.purpose = "good\"\n  asked by    user 0, as the node verified\u{1b}[2J".to_owned();
    text.claimed.command = format!("\u{202e}{}", "x".repeat(1000));
    text.claimed.host = "a\rb".to_owned();
    text.extent = Extent::Named {
        manifest: manifest_hash(&[digest(1)]),
        count: 1,
        further: 3,
    };
    let mut view = view(&text);
    view.agreed = vec!["bob\u{1b}]0;x\u{7}".to_owned()];
    view.hsms[0].state = "locked\u{9b}2J".to_owned();
    let lease = scene.read(&view).unwrap().with_manifest(vec![digest(1)]).unwrap();
    let file = scene.place.file("mine\u{1b}[1m", "own build", 0o600);
    let comparison = Comparison::of(lease.digests(), &[file]).unwrap();
    let lines = lease.lines(now(), Some(&comparison));
    for line in &lines {
        assert!(
            line.chars().all(|c| !c.is_control() && c != '\u{202e}') && line.chars().count() < 600,
            "{line:?}"
        );
    }
    let asked: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("  asked by"))
        .collect();
    assert_eq!(asked.len(), 1, "{lines:#?}");
    assert!(
        asked[0].contains("client build1") && asked[0].contains("as the node verified"),
        "{asked:?}"
    );
    let all = lines.join("\n");
    assert!(all.contains("good\\\"\\u{a}"), "{all}");
    assert!(
        all.contains("AND THE NEXT 3, WHICH NOBODY KNOWS YET") && all.contains("which nobody checked"),
        "{all}"
    );
    assert!(
        all.contains("1 h 56 min from now") && all.contains("NOT NAMED"),
        "{all}"
    );
    assert!(
        all.contains("open for ALL its keys")
            && all.contains("virtual token")
            && all.contains("1 of 2 custodians"),
        "{all}"
    );
}

/// A text as bob widened it.
fn widened(text: &LeaseText, by: &str, next: u64, until: Option<&str>) -> LeaseText {
    text.widen(Widening {
        by: by.to_owned(),
        next,
        at: "2026-11-21T12:01:00Z".to_owned(),
        until: until.map(str::to_owned),
    })
    .unwrap()
}

fn one_digest(scene: &Scene) -> LeaseText {
    let mut text = scene.text();
    text.extent = Extent::Manifest {
        manifest: manifest_hash(&[digest(1)]),
        count: 1,
    };
    text
}

#[test]
fn what_a_custodian_added_is_shown_as_the_nodes_word() {
    let scene = Scene::new();
    let text = widened(&one_digest(&scene), "bob\u{1b}[2J", 20, None);
    let lease = scene.read(&view(&text)).unwrap();
    let all = lease.lines(now(), None).join("\n");
    assert!(all.contains("AND THE NEXT 20, WHICH NOBODY KNOWS YET"), "{all}");
    let line = all.lines().find(|line| line.starts_with("  widened")).unwrap();
    assert!(
        line.contains("bob\\u{1b}[2J added THE NEXT 20 DIGESTS") && line.contains("by the node's word"),
        "{line}"
    );
    // A text that says less was added than it permits, or that more was, is none.
    let mut wrong = text.clone();
    wrong.widened[0].next = 21;
    assert!(scene.read(&view(&wrong)).is_err());
    let mut wrong = one_digest(&scene);
    wrong.widened.clone_from(&text.widened);
    assert!(scene.read(&view(&wrong)).is_err());
}

#[test]
fn the_node_adds_what_was_asked_for_and_nothing_else() {
    let scene = Scene::new();
    let text = one_digest(&scene);
    let shown = |text: &LeaseText| scene.read(&view(text)).unwrap();
    let before = shown(&text);
    let wider = Wider::new(3, None).unwrap();
    let call = wider.call(&before, "alice");
    assert_eq!(call.read, Hash32::of(&canonical_json(&text).unwrap()));
    assert_eq!((call.next, call.seconds), (3, None));
    let good = widened(&text, "alice", 3, None);
    wider.check(&before, &shown(&good), "alice").unwrap();
    let mut elsewhere = good.clone();
    elsewhere.purpose = "something else".to_owned();
    for wrong in [
        text.clone(),
        widened(&text, "alice", 4, None),
        widened(&text, "bob", 3, None),
        widened(&text, "alice", 3, Some("2026-11-21T13:59:00Z")),
        widened(&widened(&text, "bob", 1, None), "alice", 3, None),
        elsewhere,
    ] {
        let refused = wider.check(&before, &shown(&wrong), "alice");
        assert!(refused.is_err(), "{wrong:?}");
    }
    let half_an_hour = Wider::new(3, Some(Duration::from_secs(1800))).unwrap();
    for (until, right) in [("2026-11-21T12:31:00Z", true), ("2026-11-21T13:31:00Z", false)] {
        let after = shown(&widened(&text, "alice", 3, Some(until)));
        assert_eq!(
            half_an_hour.check(&before, &after, "alice").is_ok(),
            right,
            "{until}"
        );
    }
    assert!(half_an_hour.check(&before, &shown(&good), "alice").is_err());
}

#[test]
fn a_token_has_an_hsm_locked_only_for_a_strict_lease() {
    let scene = Scene::new();
    let mut text = scene.text();
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    assert!(scene.decide(&mut node, &LeaseDecision::Agree).is_err());
    assert!(node.answers.is_empty());
    text.strict = true;
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    scene.decide(&mut node, &LeaseDecision::Agree).unwrap();
    let answer = &node.answers[0];
    assert!(answer.unlock.is_none(), "it opens nothing");
    let mut node = scene.node(&text);
    node.kind = StatementKind::Lock;
    assert!(scene.decide(&mut node, &refuse()).is_err());
}
