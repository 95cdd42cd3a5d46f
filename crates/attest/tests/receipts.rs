//! Receipts of signatures that virtual tokens made and virtual custodians permitted: what holds, and that nothing else does.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use chancery_api::{
    Base64, Claims, CustodianStatement, DigestValue, Extent, Hash32, HashName, HsmDocument, HsmId, Inclusion,
    InstallationId, KeyOrigin, LeaseId, LeaseText, LogPlace, Mechanism, Receipt, Requester, StatementKind,
    Widening, canonical_json, lease_statement, manifest_hash,
};
use chancery_attest::{
    Input, Known, LogVerdict, NamedInput, Outcome, ReceiptFinding, Verification, encode_receipt,
    parse_receipt,
};
use chancery_audit::{Checkpoint, Frontier, NoteSigner, NoteVerifier, TreeHash, inclusion_proof, leaf_hash};
use chancery_cvc::{Curve, Reference, TrustAnchors, der_to_plain};
use chancery_driver::{
    Authenticated, Card, Challenge, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin, custodian,
};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KeyId, fid};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use common::{said, today};
use uuid::Uuid;

const CUSTODIANS: [&str; 3] = ["alice", "bob", "carol"];
const CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Tokens, and what a node would know of them.
struct Scene {
    _dir: tempfile::TempDir,
    anchors: TrustAnchors,
    hsm: Device,
    key: Key,
    custodians: Vec<(Device, Key)>,
    log: NoteSigner,
    /// Digests known from elsewhere.
    known: Vec<DigestValue>,
}

struct Device {
    card: Authenticated<VirtualToken>,
    chain: Vec<u8>,
    name: Reference,
    key: Hash32,
}

struct Key {
    request: Vec<u8>,
    spki: Vec<u8>,
    chr: String,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today()).unwrap();
        let tokens = dir.path().join("tokens");
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        let open = |name: &str| device(&factory, &at_rest, &tokens, name, &anchors);
        let mut hsm = open("hsm");
        let identity = hsm.card.device_identity(&anchors).unwrap();
        let spec = KeySpec {
            id: KeyId(7),
            algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
            chr: identity.name().with_sequence(7).unwrap(),
            algorithms: AlgorithmList::new(&[Algorithm::Ecdsa]).unwrap(),
            key_domain: None,
            use_counter: None,
        };
        let (made, _) = hsm.card.generate_attested(&spec, &identity).unwrap();
        let key = Key {
            request: made.request,
            spki: made.public_key.to_spki_der().unwrap(),
            chr: String::new(),
        };
        let custodians = CUSTODIANS
            .iter()
            .map(|name| {
                let mut device = open(name);
                custodian::custodian_request(&mut device.card, KeyId(1), &anchors).unwrap();
                let request = device
                    .card
                    .read_file(fid::certificate(KeyId(1)))
                    .unwrap()
                    .unwrap();
                let key = Key {
                    request,
                    spki: Vec::new(),
                    chr: device.name.with_sequence(1).unwrap().to_string(),
                };
                (device, key)
            })
            .collect();
        let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let log = NoteSigner::new(&format!("chancery/{}", installation()), pair).unwrap();
        Self {
            _dir: dir,
            anchors,
            hsm,
            key,
            custodians,
            log,
            known: Vec::new(),
        }
    }

    fn document(&self) -> HsmDocument {
        HsmDocument {
            id: HsmId::new(Uuid::from_bytes([3; 16])),
            name: "hsm-a".to_owned(),
            device: self.hsm.name.to_string(),
            key: self.hsm.key,
        }
    }

    fn text(&self) -> LeaseText {
        LeaseText {
            v: 1,
            installation: installation(),
            lease: LeaseId::new(Uuid::from_bytes([4; 16])),
            signer: "firmware".to_owned(),
            key: Hash32::of(&self.key.spki),
            algorithm: "ec:P-256".to_owned(),
            mechanism: Mechanism::Ecdsa,
            extent: Extent::Manifest {
                manifest: manifest_hash(&[digest(1), digest(2)]),
                count: 2,
            },
            purpose: "firmware 4.2".to_owned(),
            requester: Requester::Local { uid: 1000 },
            claimed: Claims::default(),
            asked: "2026-11-21T12:00:00Z".to_owned(),
            deadline: "2026-11-21T14:00:00Z".to_owned(),
            hsms: vec![self.document()],
            strict: false,
            widened: Vec::new(),
        }
    }

    fn statement(&mut self, who: usize, text: &LeaseText, kind: StatementKind) -> CustodianStatement {
        let log = LogPlace {
            size: 3,
            root: Hash32([9; 32]),
        };
        let hsm = self.document();
        let (device, key) = &mut self.custodians[who];
        let bytes = canonical_json(text).unwrap();
        let statement = lease_statement(kind, &bytes, log, None, &hsm.device, CHALLENGE);
        let signature = device
            .card
            .sign(KeyId(1), Algorithm::EcdsaSha256, &statement)
            .unwrap();
        let unlock = (kind == StatementKind::Unlock).then(|| {
            let answer = custodian::answer(&mut device.card, KeyId(1), &self.hsm.name, Challenge(CHALLENGE));
            Base64(answer.unwrap().to_vec())
        });
        CustodianStatement {
            person: CUSTODIANS[who].to_owned(),
            chr: key.chr.clone(),
            key_request: Base64(key.request.clone()),
            chain: Base64(device.chain.clone()),
            kind,
            hsm,
            challenge: Base64(CHALLENGE.to_vec()),
            log,
            unlock,
            statement: Base64(der_to_plain(&signature, 32).unwrap()),
        }
    }

    /// A receipt that no signed head covers yet.
    fn receipt(&mut self, text: &LeaseText) -> Receipt {
        let digest = digest(1);
        let signature = self
            .hsm
            .card
            .sign(KeyId(7), Algorithm::Ecdsa, digest.bytes())
            .unwrap();
        let statements = [0, 1]
            .map(|who| self.statement(who, text, StatementKind::Unlock))
            .to_vec();
        let mut receipt = Receipt {
            v: 1,
            text: Base64(canonical_json(text).unwrap()),
            digest,
            signature: Base64(der_to_plain(&signature, 32).unwrap()),
            public_key: Base64(self.key.spki.clone()),
            origin: KeyOrigin {
                request: Base64(self.key.request.clone()),
                chain: Base64(self.hsm.chain.clone()),
            },
            hsm: self.document(),
            hsm_chain: Base64(self.hsm.chain.clone()),
            time: "2026-11-21T12:30:00Z".to_owned(),
            node_enforced: false,
            needed: 2,
            statements,
            manifest: if matches!(text.extent, Extent::Count { .. }) {
                Vec::new()
            } else {
                vec![self::digest(1), self::digest(2)]
            },
            leaf: 0,
            leaf_body: Base64(Vec::new()),
            inclusion: None,
        };
        self.record(&mut receipt);
        receipt
    }

    /// Makes the log's entry of a receipt, as the last of six.
    fn record(&self, receipt: &mut Receipt) -> Vec<TreeHash> {
        let body = serde_json::json!({
            "v": 1, "time": receipt.time, "event": "signed", "actor": { "node": true },
            "data": { "receipt": receipt.core_hash().unwrap() },
        });
        receipt.leaf = 5;
        receipt.leaf_body = Base64(canonical_json(&body).unwrap());
        let mut leaves: Vec<TreeHash> = (0..9_u8).map(|n| leaf_hash(&[n])).collect();
        leaves[5] = leaf_hash(&receipt.leaf_body.0);
        leaves
    }

    /// The same with its proof.
    fn logged(&self, mut receipt: Receipt) -> Receipt {
        let leaves = self.record(&mut receipt);
        let mut frontier = Frontier::new();
        for leaf in &leaves {
            frontier.push(*leaf);
        }
        let head = Checkpoint::of(self.log.verifier().name(), &frontier);
        receipt.inclusion = Some(Inclusion {
            checkpoint: head.sign(&self.log).unwrap().encode(),
            proof: inclusion_proof(&leaves, 5, 9)
                .unwrap()
                .iter()
                .map(|hash| Hash32(*hash.as_bytes()))
                .collect(),
        });
        receipt
    }

    fn keys(&self) -> [NoteVerifier; 1] {
        [self.log.verifier().clone()]
    }

    fn examine(&self, files: &[(&str, &[u8])]) -> Verification {
        let inputs: Vec<NamedInput> = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Input::recognise(bytes)))
            .collect();
        let known = Known {
            log_keys: self.keys().to_vec(),
            digests: self.known.clone(),
        };
        Verification::knowing(&inputs, &self.anchors, today(), &known, |_| None)
    }

    /// Claim and verdict of everything a receipt claims that does not hold.
    fn wrong(&self, receipt: &Receipt) -> Vec<String> {
        let file = encode_receipt(receipt).unwrap();
        let found = self.examine(&[("r", &file)]);
        let all = said(&found);
        all.iter()
            .zip(&found.claims)
            .filter(|(_, claim)| !claim.holds)
            .map(|(said, _)| said.strip_prefix("r ").unwrap().to_owned())
            .collect()
    }
}

fn device(factory: &Factory, at_rest: &AtRest, tokens: &Path, name: &str, anchors: &TrustAnchors) -> Device {
    factory
        .create(tokens, &TokenName::new(name).unwrap(), today())
        .unwrap();
    let token = VirtualToken::open(&tokens.join(name), at_rest).unwrap();
    let mut card = Card::new(token).select().unwrap();
    let pin = Pin::new("648219").unwrap();
    card.initialize(&Initialize {
        options: InitializeOptions::NONE,
        user_pin: Some(pin.clone()),
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    })
    .unwrap();
    let identity = card.device_identity(anchors).unwrap();
    let chain = card.read_file(fid::DEVICE_CERTIFICATES).unwrap().unwrap();
    Device {
        card: card.verify_pin(&pin).unwrap(),
        chain,
        name: identity.name().clone(),
        key: Hash32::of(identity.device_key().point().unwrap()),
    }
}

fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_bytes([7; 16]))
}

fn digest(byte: u8) -> DigestValue {
    DigestValue::new(HashName::Sha256, vec![byte; 32]).unwrap()
}

#[test]
fn a_receipt_shows_who_permitted_what_and_where_it_was_signed() {
    let mut scene = Scene::new();
    let text = scene.text();
    let receipt = scene.receipt(&text);
    let receipt = scene.logged(receipt);
    let file = encode_receipt(&receipt).unwrap();
    assert_eq!(parse_receipt(&file).unwrap(), receipt);
    let (key, other) = (scene.key.spki.clone(), scene.custodians[0].1.request.clone());
    let found = scene.examine(&[("r", &file), ("key", &key), ("other", &other)]);
    assert_eq!(
        said(&found)[..15],
        [
            "r signature valid",
            "r chain authentic",
            "r origin proven-virtual",
            "r possession shown",
            "r matches yes",
            "r chain authentic",
            "r lease permits",
            "r extent named",
            "r custodian agreed-virtual",
            "r custodian agreed-virtual",
            "r quorum complete",
            "r log included",
            "key matches yes",
            "other origin no-chain",
            "other possession shown",
        ]
    );
    let found = scene.examine(&[("r", &file)]);
    assert_eq!(found.outcome, Outcome::Holds);
    let permit = &found.permits[0];
    assert_eq!(
        (permit.purpose.as_str(), permit.agreed.len()),
        ("firmware 4.2", 2)
    );
    assert!(permit.agreed.iter().all(|agreed| !agreed.hardware));
    let origin = &found.claims[2];
    assert!(origin.text.contains("not hardware"), "{}", origin.text);
    // One line of canonical JSON is the same receipt.
    let canonical = canonical_json(&receipt).unwrap();
    assert_eq!(scene.examine(&[("r", &canonical)]).outcome, Outcome::Holds);
    // Without the key of the log nothing is said about it; without a root nothing about tokens.
    let inputs = [("r".to_owned(), Input::recognise(&file))];
    let found = Verification::of(&inputs, &scene.anchors, today());
    assert_eq!(found.outcome, Outcome::NotProven);
    assert!(said(&found).contains(&"r log unknown-key".to_owned()));
    let found = Verification::of(&inputs, &common::production(), today());
    assert_eq!(found.outcome, Outcome::UnknownIssuer);
    let said = said(&found);
    assert!(
        said.contains(&"r custodian unknown-issuer".to_owned())
            && said.contains(&"r quorum not-proven".to_owned()),
        "{said:?}"
    );
}

#[test]
fn any_byte_that_is_changed_dropped_or_added_is_noticed() {
    let mut scene = Scene::new();
    let text = scene.text();
    let mut receipt = scene.receipt(&text);
    receipt.statements.truncate(1);
    receipt.needed = 1;
    let receipt = scene.logged(receipt);
    let keys = scene.keys();
    let believed = |bytes: &[u8]| match Input::recognise(bytes) {
        Ok(Input::Receipt(receipt)) => ReceiptFinding::logged(&receipt, &keys) == LogVerdict::Included,
        _ => false,
    };
    let mut numbers = common::Numbers(7);
    let good = encode_receipt(&receipt).unwrap();
    assert!(believed(&good));
    for at in 0..good.len() {
        let change = match at % 3 {
            0 => 0x01,
            1 => 0x20,
            _ => u8::try_from(1 + numbers.below(255)).unwrap(),
        };
        let mut bad = good.clone();
        bad[at] ^= change;
        assert!(!believed(&bad), "byte {at} xor {change:02X}");
        // The whole examination, for some of them: no worse claim is hidden by a better one.
        if at % 97 == 0 {
            let outcome = scene.examine(&[("r", &bad)]).outcome;
            assert!(
                [Outcome::Refused, Outcome::Malformed].contains(&outcome),
                "byte {at}: {outcome:?}"
            );
        }
    }
    let good = canonical_json(&receipt).unwrap();
    assert!(believed(&good));
    for at in (0..good.len()).step_by(5) {
        let mut bad = good.clone();
        bad.remove(at);
        assert!(!believed(&bad), "byte {at} dropped");
        bad.insert(at, numbers.byte());
        assert!(bad == good || !believed(&bad), "byte {at} replaced");
        let mut bad = good.clone();
        bad.insert(at, b" 0A\n"[at % 4]);
        assert!(bad == good || !believed(&bad), "byte added at {at}");
    }
}

#[test]
fn without_the_log_every_signature_still_covers_its_part() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    assert_eq!(scene.wrong(&good), ["log no-proof"]);
    type Change = fn(&mut Receipt);
    let changes: [(Change, &str); 18] = [
        (|r| r.digest = digest(2), "signature wrong"),
        (|r| r.signature.0[5] ^= 1, "signature wrong"),
        (|r| r.signature.0.truncate(63), "signature unfit"),
        (|r| r.public_key.0[40] ^= 1, "signature unfit"),
        (|r| r.origin.request.0[90] ^= 1, "origin"),
        (|r| r.origin.chain.0[90] ^= 1, "origin chain-not-authentic"),
        (|r| r.hsm_chain.0[90] ^= 1, "lease hsm-not-proven"),
        (|r| r.hsm.name = "hsm-b".to_owned(), "lease other-hsm"),
        (
            |r| r.time = "2026-11-21T14:00:01Z".to_owned(),
            "lease out-of-time",
        ),
        (
            |r| r.time = "2026-11-21T11:59:59Z".to_owned(),
            "lease out-of-time",
        ),
        (|r| r.manifest[1] = digest(3), "extent other-list"),
        (|r| r.manifest.clear(), "extent no-list"),
        (|r| r.statements[0].statement.0[9] ^= 1, "custodian bad-signature"),
        (
            |r| r.statements[0].unlock.as_mut().unwrap().0[9] ^= 1,
            "custodian bad-answer",
        ),
        (|r| r.statements[0].log.size = 4, "custodian bad-signature"),
        (|r| r.statements[1].chain.0[90] ^= 1, "custodian"),
        (|r| r.statements[0].unlock = None, "custodian bad-answer"),
        (|r| r.statements.truncate(1), "quorum incomplete"),
    ];
    for (change, expected) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        scene.record(&mut bad);
        let wrong = scene.wrong(&bad);
        assert!(
            wrong.iter().any(|claim| claim.starts_with(expected)),
            "{expected}: {wrong:?}"
        );
        // Whoever does not change the log's entry as well is found out by it.
        let mut bad = good.clone();
        change(&mut bad);
        assert!(scene.wrong(&bad).contains(&"log other-entry".to_owned()));
    }
}

#[test]
fn a_text_nobody_agreed_to_permits_nothing() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    let spaced = [&good.text.0[..], b" "].concat();
    for (bytes, expected) in [
        (spaced, "lease not-canonical"),
        (b"{}".to_vec(), "lease malformed"),
    ] {
        let mut bad = good.clone();
        bad.text = Base64(bytes);
        scene.record(&mut bad);
        assert_eq!(scene.wrong(&bad), [expected]);
    }
    let mut longer = text;
    longer.deadline = "2026-11-28T14:00:00Z".to_owned();
    let mut bad = good;
    bad.text = Base64(canonical_json(&longer).unwrap());
    scene.record(&mut bad);
    let wrong = scene.wrong(&bad);
    assert_eq!(
        wrong,
        [
            "custodian bad-signature",
            "custodian bad-signature",
            "quorum incomplete",
            "log no-proof"
        ]
    );
}

#[test]
fn one_custodian_is_counted_once_and_a_refusal_is_no_agreement() {
    let mut scene = Scene::new();
    let text = scene.text();
    let good = scene.receipt(&text);
    let mut twice = good.clone();
    twice.statements[1] = twice.statements[0].clone();
    twice.statements[1].person = "bob".to_owned();
    scene.record(&mut twice);
    assert_eq!(scene.wrong(&twice), ["quorum incomplete", "log no-proof"]);
    let mut refusal = good.clone();
    refusal.statements[1] = scene.statement(1, &text, StatementKind::Refuse);
    scene.record(&mut refusal);
    assert_eq!(
        scene.wrong(&refusal),
        ["custodian refused", "quorum incomplete", "log no-proof"]
    );
    let mut nobody = good;
    nobody.needed = 0;
    scene.record(&mut nobody);
    assert_eq!(scene.wrong(&nobody), ["quorum incomplete", "log no-proof"]);
}

#[test]
fn what_the_node_counted_is_said_and_may_not_be_hidden() {
    let mut scene = Scene::new();
    let text = scene.text();
    let mut open = scene.receipt(&text);
    open.statements = [0, 2]
        .map(|who| scene.statement(who, &text, StatementKind::Open))
        .to_vec();
    open.node_enforced = true;
    let open = scene.logged(open);
    assert!(scene.wrong(&open).is_empty());
    let file = encode_receipt(&open).unwrap();
    let found = scene.examine(&[("r", &file)]);
    let details: Vec<_> = found
        .claims
        .iter()
        .filter_map(|claim| claim.detail.clone())
        .collect();
    assert!(
        details.iter().any(|detail| detail.contains("node-enforced")),
        "{details:?}"
    );
    let mut hidden = open;
    hidden.node_enforced = false;
    let hidden = scene.logged(hidden);
    assert_eq!(scene.wrong(&hidden), ["quorum contradicts"]);
}

#[test]
fn digests_nobody_named_are_told_from_those_that_were() {
    let mut scene = Scene::new();
    let verdict = |scene: &mut Scene, extent: Extent, manifest: Vec<DigestValue>| {
        let mut text = scene.text();
        text.extent = extent;
        let mut receipt = scene.receipt(&text);
        receipt.manifest = manifest;
        let receipt = scene.logged(receipt);
        let file = encode_receipt(&receipt).unwrap();
        said(&scene.examine(&[("r", &file)]))
            .into_iter()
            .find(|said| said.starts_with("r extent"))
            .unwrap()
    };
    let others = || vec![digest(2), digest(3)];
    let manifest = manifest_hash(&others());
    let named = |further| Extent::Named {
        manifest,
        count: 2,
        further,
    };
    let exactly = Extent::Manifest { manifest, count: 2 };
    assert_eq!(verdict(&mut scene, exactly, others()), "r extent not-named");
    assert_eq!(verdict(&mut scene, named(1), others()), "r extent counted");
    assert_eq!(verdict(&mut scene, named(1), Vec::new()), "r extent no-list");
    // A list that came another way counts like one in the receipt, whatever its order, and only when it is the one.
    let named_here = || Extent::Manifest {
        manifest: manifest_hash(&[digest(1), digest(2)]),
        count: 2,
    };
    scene.known = vec![digest(2), digest(1), digest(2)];
    assert_eq!(verdict(&mut scene, named_here(), Vec::new()), "r extent named");
    scene.known = others();
    assert_eq!(
        verdict(&mut scene, named_here(), Vec::new()),
        "r extent other-list"
    );
    let any = Extent::Count { count: 3 };
    assert_eq!(verdict(&mut scene, any.clone(), Vec::new()), "r extent counted");
    assert_eq!(verdict(&mut scene, any, others()), "r extent other-list");
}

#[test]
fn what_a_custodian_added_is_in_the_text_that_all_of_them_signed() {
    let mut scene = Scene::new();
    let mut text = scene.text();
    text.extent = Extent::Manifest {
        manifest: manifest_hash(&[digest(2)]),
        count: 1,
    };
    let widening = Widening {
        by: "bob".to_owned(),
        next: 3,
        at: "2026-11-21T12:10:00Z".to_owned(),
        until: None,
    };
    let widened = text.widen(widening.clone()).unwrap();
    let receipt = |scene: &mut Scene, text: &LeaseText| {
        let mut receipt = scene.receipt(text);
        receipt.manifest = vec![digest(2)];
        scene.logged(receipt)
    };
    let good = receipt(&mut scene, &widened);
    assert_eq!(scene.wrong(&good), Vec::<String>::new());
    let file = encode_receipt(&good).unwrap();
    let found = scene.examine(&[("r", &file)]);
    assert!(said(&found).contains(&"r extent counted".to_owned()));
    assert_eq!(found.permits[0].widened, [widening]);
    // Who agreed to the text before did not agree to this one.
    let mut before = good.clone();
    before.statements = [0, 1]
        .map(|who| scene.statement(who, &text, StatementKind::Unlock))
        .to_vec();
    let before = scene.logged(before);
    let wrong = scene.wrong(&before);
    assert!(wrong.contains(&"custodian bad-signature".to_owned()), "{wrong:?}");
    // A statement that had an HSM locked agrees to nothing.
    let mut locked = good.clone();
    locked.statements[1] = scene.statement(1, &widened, StatementKind::Lock);
    let locked = scene.logged(locked);
    assert_eq!(
        scene.wrong(&locked),
        ["custodian bad-answer", "quorum incomplete"]
    );
    // A text that says it was widened by what it does not permit is none.
    let mut lying = widened;
    lying.widened[0].next = 4;
    let lying = receipt(&mut scene, &lying);
    assert!(
        scene.wrong(&lying)[0].starts_with("lease "),
        "{:?}",
        scene.wrong(&lying)
    );
}

#[test]
fn a_head_of_another_log_or_key_proves_nothing() {
    let mut scene = Scene::new();
    let text = scene.text();
    let receipt = scene.receipt(&text);
    let good = scene.logged(receipt);
    let pair = || Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
    // The same name, another key.
    let honest = std::mem::replace(
        &mut scene.log,
        NoteSigner::new(&format!("chancery/{}", installation()), pair()).unwrap(),
    );
    let forged = scene.logged(good.clone());
    scene.log = honest;
    assert_eq!(scene.wrong(&forged), ["log bad-head"]);
    // The log of another installation.
    let honest = std::mem::replace(&mut scene.log, NoteSigner::new("chancery/other", pair()).unwrap());
    let other = scene.logged(good.clone());
    scene.log = honest;
    assert_eq!(scene.wrong(&other), ["log bad-head"]);
    // A second signature that nobody checked.
    let mut beside = good.clone();
    let note = &mut beside.inclusion.as_mut().unwrap().checkpoint;
    note.push_str("\u{2014} other AAAAAAAA\n");
    assert_eq!(scene.wrong(&beside), ["log bad-head"]);
    let mut moved = good;
    moved.leaf = 4;
    assert_eq!(scene.wrong(&moved), ["log not-included"]);
}
