//! An installation with three HSMs of one key domain, each attached by an agent of its own through a relay.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use chancery_api::{FailureKind, HsmList, HsmState, LeaseId, LeasePending, SigningKeys};
use chancery_client::{Identity, NodeClient, Settings, Timeouts, Trust};
use chancery_node::DataDir;

use crate::{background::Background, common::Home, connector::Connector, relay::Relay, token::Reader};

pub(crate) const HSMS: [&str; 3] = ["hsm-a", "hsm-b", "hsm-c"];
pub(crate) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
pub(crate) const SIGNER: &str = "firmware";
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything but clients and custodians.
pub(crate) struct Site {
    pub(crate) connectors: Vec<Connector>,
    pub(crate) readers: Vec<Reader>,
    pub(crate) relays: Vec<Relay>,
    pub(crate) home: Home,
    node: Background,
    api: String,
    /// Number of the signing key on the tokens.
    pub(crate) key_id: u8,
    /// Its SubjectPublicKeyInfo.
    pub(crate) public_key: Vec<u8>,
    custodian: NodeClient,
}

impl Site {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        installation(&home);
        let (node, tokens, api) = serve(&home);
        for (name, custodian) in PEOPLE
            .iter()
            .map(|name| (*name, true))
            .chain(crate::clients::CLIENTS.iter().map(|(name, _)| (*name, false)))
        {
            let file = format!("{name}.key");
            let (_, made) = home.json(&["client", "key", "--out", &file]);
            let public = format!("{file}.crt");
            let add = ["client", "add", name, "--key", &public];
            let key = made["key"].as_str().unwrap();
            let of = ["--custodian", name, "--fingerprint", key];
            home.run(&[&add[..], if custodian { &of } else { &[] }].concat())
                .ok();
        }
        let custodian = client(&home, &api, PEOPLE[0]);
        let key = custodian.call(&SigningKeys {}).unwrap().remove(0);
        let mut site = Self {
            connectors: Vec::new(),
            readers: Vec::new(),
            relays: Vec::new(),
            node,
            api,
            key_id: key.key_id,
            public_key: key.public_key.0,
            custodian,
            home,
        };
        for name in HSMS {
            site.move_elsewhere(name, &tokens);
        }
        site
    }

    /// A token leaves the node's machine: from now on it is in a reader elsewhere, and an agent attaches it.
    fn move_elsewhere(&mut self, name: &str, tokens: &str) {
        self.home.run(&["hsm", "detach", name, "--as", PEOPLE[0]]).ok();
        let here = self.data();
        let there = DataDir::create(&self.elsewhere(name)).unwrap();
        fs::create_dir_all(there.tokens()).unwrap();
        let token = there.tokens().join(name);
        fs::rename(here.tokens().join(name), &token).unwrap();
        fs::copy(here.machine_secret(), there.machine_secret()).unwrap();
        let socket = there.path().join(format!("readers/{name}.sock"));
        self.readers
            .push(Reader::with(name, &token, &there.at_rest(), &socket));
        self.relays.push(Relay::before(tokens));
        let ticket = format!("{name}.ticket");
        self.home
            .run(&["connector", "add", name, "--ticket-file", &ticket])
            .ok();
        let command = self.agent(self.connectors.len());
        self.connectors.push(Connector::start(command));
        let attach = ["hsm", "attach", name, "--connector", name, "--as", PEOPLE[0]];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attached = self.home.run(&attach);
            // Not connected yet.
            if attached.code == i32::from(FailureKind::Unavailable.exit_code()) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            attached.ok();
            return;
        }
    }

    /// The agent of an HSM.
    fn agent(&self, index: usize) -> Command {
        let name = HSMS[index];
        let url = format!("https://{}", self.relays[index].address);
        let (ticket, key) = (format!("{name}.ticket"), self.key_id.to_string());
        let certificate = self.data().network().join("node.pem").display().to_string();
        let words = ["connect", &url, "--token", name, "--ticket-file", &ticket];
        let more = [
            "--node-cert",
            &certificate,
            "--allow-key",
            &key,
            "--permanent",
            "--json",
        ];
        let mut command = self.home.command(&[&words[..], &more].concat());
        command.env("CHANCERY_DATA_DIR", self.elsewhere(name));
        command
    }

    /// Another agent takes the place of one that was killed.
    pub(crate) fn restart(&mut self, index: usize) {
        let command = self.agent(index);
        self.connectors[index].again(command);
    }

    /// HSMs that are open, and since when.
    pub(crate) fn open(&self) -> BTreeMap<String, String> {
        let hsms = self.custodian.call(&HsmList {}).unwrap();
        let open = hsms.into_iter().filter_map(|hsm| match hsm.state {
            HsmState::Unlocked { since, .. } => Some((hsm.name, since)),
            _ => None,
        });
        open.collect()
    }

    /// Waits until every HSM is open for every lease that there was when the last of them was opened. Those that were lost are not
    /// open any more since they were before.
    #[track_caller]
    pub(crate) fn all_are_open(&self, lost: &BTreeMap<String, String>) {
        let deadline = Instant::now() + PATIENCE;
        let mut wanted: Option<HashSet<LeaseId>> = None;
        loop {
            let open = self.open();
            let pending = LeasePending {
                person: PEOPLE[0].to_owned(),
                known: Vec::new(),
                wait_seconds: 0,
            };
            let asked = self.custodian.call(&pending).unwrap();
            let asking: HashSet<_> = asked.iter().map(|view| view.lease).collect();
            let again = lost.iter().all(|(name, since)| open.get(name) != Some(since));
            if open.len() == HSMS.len() && again {
                let wanted = wanted.get_or_insert_with(|| asking.clone());
                wanted.retain(|lease| asking.contains(lease));
                if wanted.is_empty() {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "{open:?}\n{asked:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn client(&self, name: &str) -> NodeClient {
        client(&self.home, &self.api, name)
    }

    pub(crate) fn data(&self) -> DataDir {
        DataDir::open(&self.home.data()).unwrap()
    }

    /// How many entries the audit log has.
    pub(crate) fn entries(&self) -> usize {
        let (_, log) = self.home.json(&["audit", "log", "--limit", "1"]);
        usize::try_from(log["size"].as_u64().unwrap()).unwrap()
    }

    fn elsewhere(&self, name: &str) -> PathBuf {
        self.home.dir.path().join(format!("at-{name}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.home.command(&["stop"]).output();
        self.node.wait();
        self.connectors.clear();
        self.readers.clear();
        if thread::panicking() {
            let log = fs::read_to_string(self.home.dir.path().join("node.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Tokens, people, three HSMs that any two of three custodians open, and a signing key in all of them.
fn installation(home: &Home) {
    home.run(&[&["vtoken", "create"], &HSMS[..]].concat()).ok();
    home.run(&[&["vtoken", "create"], &PEOPLE[..], &["--init", "--rehearsal"]].concat())
        .ok();
    let [manager, registrar, certifier] = PEOPLE;
    home.run(&["init", "--manager", manager, "--token", manager, "--rehearsal"])
        .ok();
    for (name, role) in [
        (registrar, "registration-officer"),
        (certifier, "certification-officer"),
    ] {
        home.run(&[
            "person", "add", name, "--role", role, "--token", name, "--as", manager,
        ])
        .ok();
    }
    let set = ["--quorum", "2of3", "--shares", "2", "--as", manager];
    home.run(&[&["hsm", "init"], &HSMS[..], &set].concat()).ok();
    for name in PEOPLE {
        home.run(&[
            "custodian",
            "register",
            name,
            "--hsm",
            &HSMS.join(","),
            "--as",
            manager,
        ])
        .ok();
    }
    for hsm in HSMS {
        for name in [manager, registrar] {
            home.run(&["hsm", "unlock", hsm, "--as", name]).ok();
        }
    }
    home.run(&["signer", "create", SIGNER, "--hsm", HSMS[0], "--as", manager])
        .ok();
    for hsm in &HSMS[1..] {
        home.run(&["signer", "replicate", SIGNER, "--to", hsm, "--as", manager])
            .ok();
    }
    home.run(&["hsm", "lock"]).ok();
    home.run(&["stop"]).ok();
}

/// A node on the network, and its addresses for tokens and for clients.
fn serve(home: &Home) -> (Background, String, String) {
    let log = home.dir.path().join("node.log");
    let free = "127.0.0.1:0";
    let words = [
        "serve",
        "--idle-stop",
        "0",
        "--listen",
        free,
        "--api-listen",
        free,
    ];
    let mut command = home.command(&words);
    command
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap());
    let node = Background::from(command.spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    loop {
        // A node that is not there yet is not started by this: another one holds the data directory.
        let (_, status) = home.json(&["status"]);
        if let (Some(tokens), Some(api)) = (status["listen"].as_str(), status["api_listen"].as_str()) {
            return (node, tokens.to_owned(), api.to_owned());
        }
        assert!(
            Instant::now() < deadline,
            "{}",
            fs::read_to_string(&log).unwrap_or_default()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn client(home: &Home, api: &str, name: &str) -> NodeClient {
    let file = |name: String| home.dir.path().join(name);
    let (key, certificate) = (file(format!("{name}.key")), file(format!("{name}.key.crt")));
    let node: &Path = &home.data().join("network/node.pem");
    NodeClient::new(&Settings {
        url: format!("https://{api}"),
        trust: Trust::pinned(node).unwrap(),
        identity: Some(Identity::from_files(&key, &certificate).unwrap()),
        timeouts: Timeouts::default(),
    })
    .unwrap()
}
