//! The books: what the audit log says, as an outsider reads it, beside what clients got and what the tokens did.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, thread,
    time::{Duration, Instant},
};

use chancery_api::{DigestValue, Extent, LeaseId, LeaseText, Receipt, ReceiptShow, manifest_hash};
use chancery_attest::{Known, LogVerdict, Outcome, ReceiptFinding};
use chancery_audit::NoteVerifier;
use chancery_client::NodeClient;
use chancery_node::{SystemClock, trust_anchors};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clients::{Acknowledged, Signed},
    site::{HSMS, PEOPLE, Site},
    token::Did,
};

/// Calls for receipts at a time.
const READERS: usize = 4;
/// Receipts that are fetched, evenly spread, and of how many of them one is examined whole.
const RECEIPTS: usize = 150;
const SAMPLE: usize = 10;
/// How long a signed head of the log may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event, in the order of the log. Times are in seconds since the Unix epoch.
struct Event {
    time: i64,
    name: String,
    data: Value,
    body: String,
}

/// What the log says of one lease.
struct Lease {
    text: LeaseText,
    reserved: HashMap<DigestValue, i64>,
    /// By HSM and attempt: when its custodians had opened it.
    granted: BTreeMap<(String, i64), i64>,
    signed: HashMap<DigestValue, (String, String)>,
    over: Option<i64>,
}

/// The log, read from beginning to end.
pub(crate) struct Books {
    events: Vec<Event>,
    leases: HashMap<LeaseId, Lease>,
    key: NoteVerifier,
}

/// What the tokens did.
pub(crate) struct Counts {
    pub(crate) made: usize,
    /// Of those, made once more: a line was cut, and what was under way was sent again.
    pub(crate) again: usize,
}

impl Books {
    /// Reads the log as it is given to outsiders, once a signed head covers everything.
    pub(crate) fn close(site: &Site, acknowledged: &Acknowledged) -> Self {
        covered(&site.client(PEOPLE[0]), acknowledged.signatures.last().unwrap());
        let bundle = site.home.dir.path().join("audit.jsonl").display().to_string();
        site.home.run(&["audit", "log", "--export", &bundle]).ok();
        let verified = site.home.run(&["audit", "verify", "--bundle", &bundle]).ok();
        assert!(verified.out.contains("the log holds"), "{}", verified.out);
        let mut events = Vec::new();
        let mut key = None;
        for line in fs::read_to_string(&bundle).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            match record["record"].as_str().unwrap() {
                "header" => {
                    key = Some(NoteVerifier::parse_vkey(record["audit_key"].as_str().unwrap()).unwrap());
                }
                "leaf" => events.push(Event::read(record["body"].as_str().unwrap())),
                _ => {}
            }
        }
        let mut books = Self {
            events: Vec::new(),
            leases: HashMap::new(),
            key: key.unwrap(),
        };
        for event in events {
            books.enter(&event);
            books.events.push(event);
        }
        books
    }

    /// Each event must be permitted by what was before it.
    fn enter(&mut self, event: &Event) {
        let (data, body) = (&event.data, &event.body);
        let Some(id) = data.get("lease") else { return };
        let id: LeaseId = read(id);
        if event.name == "lease-requested" {
            let lease = Lease {
                text: read(&data["text"]),
                reserved: HashMap::new(),
                granted: BTreeMap::new(),
                signed: HashMap::new(),
                over: None,
            };
            assert!(self.leases.insert(id, lease).is_none(), "{body}");
            return;
        }
        let lease = self.leases.get_mut(&id).unwrap_or_else(|| panic!("{body}"));
        if ["lease-granted", "digests-reserved", "digest-signed"].contains(&&*event.name) {
            assert!(lease.over.is_none(), "the lease is over: {body}");
        }
        match event.name.as_str() {
            "lease-granted" => {
                let custodians: HashSet<String> = read(&data["custodians"]);
                assert!(custodians.len() >= 2 && data["needed"] == 2, "{body}");
                let hsm = data["hsm"]["name"].as_str().unwrap().to_owned();
                let attempt = data["attempt"].as_i64().unwrap();
                let last = lease
                    .granted
                    .keys()
                    .filter(|(of, _)| *of == hsm)
                    .map(|(_, n)| *n)
                    .max();
                assert!(last < Some(attempt), "{body}");
                lease.granted.insert((hsm, attempt), event.time);
            }
            "digests-reserved" => {
                assert!(!lease.granted.is_empty(), "nobody has agreed yet: {body}");
                for digest in read::<Vec<DigestValue>>(&data["digests"]) {
                    lease.reserved.entry(digest).or_insert(event.time);
                }
                let reserved = u64::try_from(lease.reserved.len()).unwrap();
                assert!(
                    reserved <= lease.text.extent.limit(),
                    "more than it permits: {body}"
                );
            }
            "digest-signed" => {
                let digest: DigestValue = read(&data["digest"]);
                assert!(lease.reserved.contains_key(&digest), "not counted: {body}");
                let hsm = data["hsm"].as_str().unwrap().to_owned();
                let attempt = data["attempt"].as_i64().unwrap();
                assert!(
                    lease.granted.contains_key(&(hsm.clone(), attempt)),
                    "not open: {body}"
                );
                let signature = data["signature"].as_str().unwrap().to_owned();
                let twice = lease.signed.insert(digest, (hsm, signature));
                assert!(twice.is_none(), "recorded twice: {body}");
            }
            "lease-ended" => lease.over = Some(event.time),
            _ => {}
        }
    }

    /// Signatures that the log records.
    pub(crate) fn recorded(&self) -> usize {
        self.leases.values().map(|lease| lease.signed.len()).sum()
    }

    pub(crate) fn leases(&self) -> usize {
        self.leases.len()
    }

    pub(crate) fn answers(&self) -> usize {
        self.named("lease-answered").count()
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.name == name)
    }

    /// Every signature a client was given is in the log; receipts name their entries in it.
    pub(crate) fn check_signatures(&self, site: &Site, acknowledged: &Acknowledged) {
        for signed in &acknowledged.signatures {
            let lease = &self.leases[&signed.lease];
            let (hsm, signature) = lease
                .signed
                .get(&signed.digest)
                .unwrap_or_else(|| panic!("{} is not in the audit log", signed.digest));
            assert_eq!((hsm, signature), (&signed.hsm, &encoded(&signed.signature)));
        }
        for lease in self.leases.values() {
            let Extent::Manifest { manifest, count } = lease.text.extent else {
                continue;
            };
            let reserved: Vec<_> = lease.reserved.keys().cloned().collect();
            if u64::try_from(reserved.len()) == Ok(count) {
                assert_eq!(manifest_hash(&reserved), manifest, "other digests than it names");
            }
        }
        let data = site.data();
        let anchors = trust_anchors(&data, &data.at_rest(), SystemClock.today()).unwrap();
        let known = Known {
            log_keys: vec![self.key.clone()],
            digests: Vec::new(),
        };
        let all = &acknowledged.signatures;
        let fetched: Vec<_> = all.iter().step_by(all.len().div_ceil(RECEIPTS)).collect();
        thread::scope(|scope| {
            for signatures in fetched.chunks(fetched.len().div_ceil(READERS)) {
                let client = site.client(PEOPLE[0]);
                let (anchors, known) = (&anchors, &known);
                scope.spawn(move || {
                    for (number, signed) in signatures.iter().enumerate() {
                        let receipt = receipt(&client, signed);
                        assert_eq!(receipt.signature.0, signed.signature);
                        assert_eq!(
                            ReceiptFinding::logged(&receipt, &known.log_keys),
                            LogVerdict::Included
                        );
                        let leaf = &self.events[usize::try_from(receipt.leaf).unwrap()];
                        assert_eq!(leaf.body.as_bytes(), receipt.leaf_body.0);
                        if number % SAMPLE == 0 {
                            let today = SystemClock.today();
                            let finding = ReceiptFinding::examine("receipt", &receipt, anchors, today, known);
                            assert_eq!(finding.outcome(), Outcome::Holds, "{:?}", finding.claims);
                        }
                    }
                });
            }
        });
    }

    /// While links were cut nobody was asked again and nothing was lost; each killed agent cost one HSM its quorum, for which
    /// custodians were asked again. The first part of the log ends where agents began to be killed.
    pub(crate) fn check_custodians_are_asked_for_losses_alone(
        &self,
        calm: usize,
        uncut: usize,
        kills: usize,
    ) {
        let lost = ["hsm-lost", "hsm-locked", "lease-quorum-lost"];
        let mut answers: HashMap<(LeaseId, &str), usize> = HashMap::new();
        for (index, Event { name, data, .. }) in self.events[..uncut].iter().enumerate() {
            let lasting = index < calm || !lost.contains(&&**name);
            assert!(lasting, "while links were cut: {name} {data}");
            if name == "lease-answered" {
                let hsm = data["hsm"]["name"].as_str().unwrap();
                let asked = answers.entry((read(&data["lease"]), hsm)).or_default();
                *asked += 1;
                assert!(
                    *asked <= 2,
                    "custodians were asked again for {hsm} and {}",
                    data["lease"]
                );
            }
            assert!(name != "lease-granted" || data["attempt"] == 1, "{data}");
        }
        let after = &self.events[uncut..];
        let losses = after.iter().filter(|event| event.name == "hsm-lost").count();
        assert_eq!(losses, kills, "HSMs lost");
        // One lease was there all the time.
        let longest = self
            .leases
            .values()
            .max_by_key(|lease| lease.text.extent.limit())
            .unwrap();
        assert_eq!(longest.granted.len(), HSMS.len() + kills, "{:?}", longest.granted);
    }

    /// Whatever a token signed was counted before, for a lease that custodians had opened that token for since its last reset.
    pub(crate) fn check_tokens(&self, site: &Site, calm: i128) -> Counts {
        let of_digest: HashMap<&DigestValue, &Lease> = self
            .leases
            .values()
            .flat_map(|lease| lease.reserved.keys().map(move |digest| (digest, lease)))
            .collect();
        let (mut made, mut distinct) = (0, HashSet::new());
        for (name, reader) in HSMS.iter().zip(&site.readers) {
            let (mut own, mut reset) = (HashSet::new(), 0);
            for (at, did) in reader.journal.lock().unwrap().iter() {
                let now = seconds(*at);
                let Did::Signed { key, input } = did else {
                    reset = now;
                    continue;
                };
                let digest = DigestValue::new(chancery_api::HashName::Sha256, input.clone()).unwrap();
                assert_eq!(*key, site.key_id);
                let lease = of_digest
                    .get(&digest)
                    .unwrap_or_else(|| panic!("{name} signed {digest}, which no lease counts"));
                assert!(
                    lease.reserved[&digest] <= now,
                    "{name} signed {digest} before it was counted"
                );
                let open = lease
                    .granted
                    .iter()
                    .any(|((hsm, _), granted)| hsm == name && (reset..=now).contains(granted));
                assert!(
                    open,
                    "{name} signed {digest} while it was not open for {}",
                    lease.text.lease
                );
                assert!(
                    lease.over.is_none_or(|over| now <= over),
                    "{name} signed {digest} after the end"
                );
                made += 1;
                let first = distinct.insert(digest.clone());
                assert!(
                    first || *at >= calm,
                    "{digest} was signed twice, and nothing had happened"
                );
                own.insert(digest);
            }
            for lease in self.leases.values() {
                let of_this = lease.signed.iter().filter(|(_, (hsm, _))| hsm == name);
                for (digest, _) in of_this {
                    assert!(own.contains(digest), "{name} never signed {digest}");
                }
            }
        }
        let reserved: usize = self.leases.values().map(|lease| lease.reserved.len()).sum();
        assert!(distinct.len() <= reserved);
        Counts {
            made,
            again: made - distinct.len(),
        }
    }
}

impl Event {
    fn read(body: &str) -> Self {
        let event: Value = serde_json::from_str(body).unwrap();
        let time = OffsetDateTime::parse(event["time"].as_str().unwrap(), &Rfc3339).unwrap();
        Self {
            time: time.unix_timestamp(),
            name: event["event"].as_str().unwrap().to_owned(),
            data: event["data"].clone(),
            body: body.to_owned(),
        }
    }
}

/// Waits until a signed head covers a signature.
fn covered(client: &NodeClient, signed: &Signed) {
    let deadline = Instant::now() + PATIENCE;
    while receipt(client, signed).inclusion.is_none() {
        assert!(
            Instant::now() < deadline,
            "no signed head covers the last signature"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

fn receipt(client: &NodeClient, signed: &Signed) -> Receipt {
    let call = ReceiptShow {
        lease: signed.lease,
        digest: signed.digest.clone(),
    };
    client.call(&call).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// As JSON has it.
fn encoded(bytes: &[u8]) -> String {
    read(&serde_json::to_value(chancery_api::Base64(bytes.to_vec())).unwrap())
}

fn seconds(milliseconds: i128) -> i64 {
    i64::try_from(milliseconds.div_euclid(1000)).unwrap()
}
