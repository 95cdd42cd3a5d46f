//! Three custodians, two of whom answer whatever asks for a quorum, each with a token and a client key of their own. Only tests
//! have custodians who never look.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use chancery_agent::{
    Accepted, AgentError, Asked, Custodian, LeaseDecision, LeaseNode, LocalTokens, PinSource, SeenLog,
    ShownLease, fetch_manifest,
};
use chancery_api::{
    DigestValue, FailureKind, InstallationId, LeaseAnswer, LeaseChallenge, LeaseId, LeaseManifest,
    LeasePending, LeaseShow, LeaseView,
};
use chancery_client::{ClientError, NodeClient};
use chancery_node::{DataDir, SystemClock};
use chancery_vtoken::Factory;

use crate::{
    dice::Dice,
    site::{PEOPLE, Site},
};

/// Pause after a look at everything that waits.
const PAUSE: Duration = Duration::from_millis(20);

/// What stood in the way of answers, and how often.
type Troubles = Arc<Mutex<BTreeMap<String, usize>>>;

/// The custodians, at work.
pub(crate) struct Custodians {
    stop: Arc<AtomicBool>,
    troubles: Troubles,
    driver: Option<JoinHandle<()>>,
}

impl Custodians {
    pub(crate) fn start(site: &Site) -> Self {
        let (stop, troubles) = (Arc::<AtomicBool>::default(), Troubles::default());
        let nodes = PEOPLE.map(|name| site.client(name));
        let (stopped, told, data) = (Arc::clone(&stop), Arc::clone(&troubles), site.data());
        let driver = thread::spawn(move || answer(&data, nodes, &stopped, &told));
        Self {
            stop,
            troubles,
            driver: Some(driver),
        }
    }

    pub(crate) fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.driver.take().unwrap().join().unwrap();
    }
}

impl Drop for Custodians {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(driver) = self.driver.take() {
            let _ = driver.join();
        }
        if let Ok(troubles) = self.troubles.lock() {
            for (what, times) in troubles.iter() {
                eprintln!("custodians, {times} times: {what}");
            }
        }
    }
}

/// Why an answer was not given.
#[derive(Debug)]
enum Trouble {
    Agent(AgentError),
    Node(ClientError),
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent(error) => error.fmt(f),
            Self::Node(error) => error.fmt(f),
        }
    }
}

/// The node, as one custodian calls it.
struct Line(NodeClient);

impl LeaseNode for Line {
    type Error = Trouble;

    fn manifest(&mut self, call: &LeaseManifest) -> Result<Vec<DigestValue>, Trouble> {
        self.0.call(call).map_err(Trouble::Node)
    }

    fn challenge(&mut self, call: &LeaseChallenge) -> Result<Asked, Trouble> {
        use FailureKind::{Blocked, Conflict, Unavailable};
        match self.0.call(call) {
            Ok(view) => Ok(Asked::Challenge(Box::new(view))),
            Err(ClientError::Failed(failure)) if [Blocked, Conflict, Unavailable].contains(&failure.kind) => {
                Ok(Asked::Nothing(failure.to_string()))
            }
            Err(error) => Err(Trouble::Node(error)),
        }
    }

    fn answer(&mut self, call: &LeaseAnswer) -> Result<LeaseView, Trouble> {
        self.0.call(call).map_err(Trouble::Node)
    }
}

fn answer(
    data: &DataDir,
    nodes: [NodeClient; 3],
    stop: &AtomicBool,
    troubles: &Mutex<BTreeMap<String, usize>>,
) {
    let at_rest = data.at_rest();
    let factory = Factory::open_or_create(&data.factory(), &at_rest, SystemClock.today()).unwrap();
    let tokens = LocalTokens::new(&data.tokens(), at_rest, Some(&factory)).unwrap();
    let pins = PinSource::Rehearsal(data.path().join("rehearsal-pins.json"));
    let directory: PathBuf = data.path().join("custodians");
    let installation = data.installation().unwrap().id;
    let own: Vec<_> = PEOPLE
        .iter()
        .map(|name| {
            let mut token = tokens.open(name).unwrap();
            let identity = token.card().device_identity(tokens.anchors()).unwrap();
            let device = identity.name().to_string();
            let accepted = Accepted::load(&directory, &device).unwrap();
            (token, accepted, SeenLog::load(&directory, &device).unwrap())
        })
        .collect();
    let (mut unlocked, mut accepted) = (Vec::new(), Vec::new());
    for (token, hsms, log) in own {
        unlocked.push((token.unlock(&pins).unwrap(), log));
        accepted.push(hsms);
    }
    let mut sides: Vec<_> = unlocked
        .into_iter()
        .zip(nodes)
        .enumerate()
        .map(|(n, ((token, log), node))| Side {
            custodian: Custodian::new(PEOPLE[n], token, &accepted[n], tokens.anchors(), log).unwrap(),
            accepted: &accepted[n],
            person: PEOPLE[n],
            node: Line(node),
        })
        .collect();
    let mut dice = Dice::new(1);
    while !stop.load(Ordering::SeqCst) {
        // Two of the three, another two each time.
        sides.rotate_left(1 + dice.below(2));
        let pending = sides[0].pending();
        for lease in pending.iter().flatten() {
            for side in &mut sides[..2] {
                let answered = side.decide(*lease, installation);
                for what in answered.unwrap_or_else(|trouble| vec![trouble.to_string()]) {
                    *troubles.lock().unwrap().entry(generic(&what)).or_default() += 1;
                }
            }
        }
        if let Err(trouble) = pending {
            *troubles.lock().unwrap().entry(trouble.to_string()).or_default() += 1;
        }
        thread::sleep(PAUSE);
    }
}

/// One custodian.
struct Side<'a> {
    person: &'static str,
    custodian: Custodian<'a>,
    accepted: &'a Accepted,
    node: Line,
}

impl Side<'_> {
    fn pending(&self) -> Result<Vec<LeaseId>, Trouble> {
        let call = LeasePending {
            person: self.person.to_owned(),
            known: Vec::new(),
            wait_seconds: 1,
        };
        let pending = self.node.0.call(&call).map_err(Trouble::Node)?;
        Ok(pending.iter().map(|view| view.lease).collect())
    }

    /// Reads a lease and agrees to it; what was not answered, and why.
    fn decide(&mut self, lease: LeaseId, installation: InstallationId) -> Result<Vec<String>, Trouble> {
        let call = LeaseShow {
            lease,
            known: None,
            wait_seconds: 0,
        };
        let view = self.node.0.call(&call).map_err(Trouble::Node)?;
        if !view.state.is_open() {
            return Ok(Vec::new());
        }
        let shown = ShownLease::read(&view, installation, self.accepted)?;
        let digests = fetch_manifest(&shown, |call| self.node.manifest(&call))?;
        let shown = shown.with_manifest(digests)?;
        let answered = self
            .custodian
            .decide(&mut self.node, &shown, &LeaseDecision::Agree)?;
        Ok(answered.into_iter().filter_map(|one| one.outcome.err()).collect())
    }
}

/// Without what differs each time.
fn generic(what: &str) -> String {
    let words = what.split_whitespace().map(|word| {
        let names_one = word.len() > 30 || HSMS_AND_PEOPLE.contains(&word.trim_end_matches([',', ':', ';']));
        if names_one { "…" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

const HSMS_AND_PEOPLE: [&str; 6] = ["hsm-a", "hsm-b", "hsm-c", "alice", "bob", "carol"];
