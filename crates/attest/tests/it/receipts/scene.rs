//! Virtual tokens of an HSM and three custodians, the receipts they make, and the log these stand in.

use std::path::Path;

use aws_lc_rs::signature::Ed25519KeyPair;
use chancery_api::{
    Base64, Claims, CustodianStatement, DigestValue, Extent, Hash32, HashName, HsmDocument, HsmId, Inclusion,
    InstallationId, KeyOrigin, LeaseId, LeaseText, LogPlace, Mechanism, Receipt, Requester, StatementKind,
    canonical_json, lease_statement, manifest_hash,
};
use chancery_attest::{Input, Known, NamedInput, Verification, encode_receipt};
use chancery_audit::{Checkpoint, Frontier, NoteSigner, NoteVerifier, TreeHash, inclusion_proof, leaf_hash};
use chancery_cvc::{Curve, Reference, TrustAnchors, der_to_plain};
use chancery_driver::{
    Authenticated, Card, Challenge, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin, custodian,
};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KeyId, fid};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use uuid::Uuid;

use crate::common::{said, today};

const CUSTODIANS: [&str; 3] = ["alice", "bob", "carol"];
const CHALLENGE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Tokens, and what a node would know of them.
pub(crate) struct Scene {
    _dir: tempfile::TempDir,
    pub(crate) anchors: TrustAnchors,
    hsm: Device,
    pub(crate) key: Key,
    pub(crate) custodians: Vec<(Device, Key)>,
    pub(crate) log: NoteSigner,
    /// Digests known from elsewhere.
    pub(crate) known: Vec<DigestValue>,
}

pub(crate) struct Device {
    card: Authenticated<VirtualToken>,
    chain: Vec<u8>,
    name: Reference,
    key: Hash32,
}

pub(crate) struct Key {
    pub(crate) request: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    chr: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn text(&self) -> LeaseText {
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

    pub(crate) fn statement(
        &mut self,
        who: usize,
        text: &LeaseText,
        kind: StatementKind,
    ) -> CustodianStatement {
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
    pub(crate) fn receipt(&mut self, text: &LeaseText) -> Receipt {
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
    pub(crate) fn record(&self, receipt: &mut Receipt) -> Vec<TreeHash> {
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
    pub(crate) fn logged(&self, mut receipt: Receipt) -> Receipt {
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

    pub(crate) fn keys(&self) -> [NoteVerifier; 1] {
        [self.log.verifier().clone()]
    }

    pub(crate) fn examine(&self, files: &[(&str, &[u8])]) -> Verification {
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
    pub(crate) fn wrong(&self, receipt: &Receipt) -> Vec<String> {
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

pub(crate) fn installation() -> InstallationId {
    InstallationId::new(Uuid::from_bytes([7; 16]))
}

pub(crate) fn digest(byte: u8) -> DigestValue {
    DigestValue::new(HashName::Sha256, vec![byte; 32]).unwrap()
}
