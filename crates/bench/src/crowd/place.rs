//! The trust center, its node, the agents with the HSMs, and the clients.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    DOMAIN, EACH, HOLDERS, OF_AN_AGENT,
    client::{Client, Outcome},
    program::{Background, Program, free_addresses, until},
    usage::{Usage, Watched},
};
use crate::{options::Options, report};

/// Who manages it, and opens HSMs; who opens them, too.
const MANAGER: &str = "alice";
const CUSTODIANS: [&str; 3] = ["alice", "bob", "carol"];
const ENOUGH: [&str; 2] = ["alice", "bob"];
/// How long the node is watched while nobody asks for anything: for each HSM, and at most.
const IDLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Leases that the node lists at most, and so clients there may be.
const MOST_LISTED: &str = "200";

/// Everything that is kept as long as it is measured. What is above needs what is below.
pub(super) struct Place {
    clients: Vec<Client>,
    _agents: Vec<Background>,
    _node: Background,
    watched: Watched,
    notes: Vec<String>,
    asked: u64,
    longest: Duration,
    program: Program,
    _files: TempDir,
}

/// A key domain: its HSMs, its signing key.
struct Domain {
    hsms: Vec<String>,
    signer: String,
}

impl Place {
    pub(super) fn make(options: &Options) -> anyhow::Result<Self> {
        let files = tempfile::tempdir_in(&options.directory)?;
        let program = Program::new(files.path())?;
        let names: Vec<String> = (0..options.hsms).map(|number| format!("h{number:03}")).collect();
        let domains: Vec<Domain> = names
            .chunks(DOMAIN)
            .enumerate()
            .map(|(number, hsms)| Domain {
                hsms: hsms.to_vec(),
                signer: format!("signer-{number}"),
            })
            .collect();
        report::progress(&format!("crowd: making {} HSMs", names.len()));
        found(&program, &names)?;
        for domain in &domains {
            domain.set_up(&program)?;
        }
        tickets(&program, &names)?;
        program.run(&["stop"])?;

        report::progress("crowd: attaching them");
        let [tokens, api] = free_addresses()?;
        let serve = [
            "serve",
            "--idle-stop",
            "0",
            "--listen",
            &tokens,
            "--api-listen",
            &api,
        ];
        let node = program.start(&serve, "node.log")?;
        let certificate = program.data().join("network/node.pem");
        until("the node answers", || {
            Ok(certificate.is_file() && program.run(&["status"]).is_ok())
        })?;
        let mut notes = Vec::new();
        let watched = Watched::new(node.pid());
        let mut note = |what: &str, usage: Usage| {
            notes.push(format!("{what}: {usage}"));
            usage
        };
        note("the node alone", watched.usage()?);
        let agents = agents(&program, &names, &tokens, &certificate)?;
        for name in &names {
            program.run(&["hsm", "attach", name, "--connector", name, "--as", MANAGER])?;
        }
        let (each, most) = IDLE;
        let watching = (each * u32::try_from(names.len())?).min(most);
        // What setting up took is over.
        thread::sleep(watching / 5);
        let before = note(&format!("{} HSMs connected", names.len()), watched.usage()?);
        thread::sleep(watching);
        let computed = watched.usage()?.computed.saturating_sub(before.computed);
        let idle = computed.as_secs_f64() / watching.as_secs_f64();
        notes.push(format!(
            "while nobody asks for anything: {:.1} % of one core",
            100.0 * idle
        ));

        report::progress(&format!("crowd: {} clients", options.clients));
        let count = u64::try_from(options.rounds)? * u64::from(EACH);
        let clients = clients(&program, &domains, options.clients, count, &api, &certificate)?;
        notes.push(format!(
            "{} clients logged in, each with a lease: {}",
            clients.len(),
            watched.usage()?
        ));
        Ok(Self {
            clients,
            _agents: agents,
            _node: node,
            watched,
            notes,
            asked: 0,
            longest: Duration::ZERO,
            program,
            _files: files,
        })
    }

    pub(super) const fn node(&self) -> &Watched {
        &self.watched
    }

    /// Has every client sign as often, all at the same time.
    pub(super) fn sign(&mut self, each: u32) -> anyhow::Result<Outcome> {
        let began = Instant::now();
        for client in &mut self.clients {
            client.order(each)?;
        }
        let mut all = Outcome::default();
        for client in &mut self.clients {
            let one = client.outcome()?;
            all.asked += one.asked;
            all.lost += one.lost;
            all.longest = all.longest.max(one.longest);
            if all.first_failure.is_empty() {
                all.first_failure = one.first_failure;
            }
        }
        all.took = began.elapsed();
        self.asked += u64::from(all.asked);
        self.longest = self.longest.max(all.longest);
        Ok(all)
    }

    /// What is to be told of it, after a look at what the node wrote down.
    pub(super) fn end(mut self) -> anyhow::Result<Vec<String>> {
        let usage = self.watched.usage()?;
        self.notes.push(format!(
            "after {} signatures: {usage}; the most it ever had: {} MiB",
            self.asked,
            usage.most / 1024
        ));
        self.notes.push(format!(
            "the signature that took longest: {} ms",
            self.longest.as_millis()
        ));
        self.clients.clear();
        let leases = self.program.json(&["lease", "list", "--limit", MOST_LISTED])?;
        let used: u64 = leases
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|lease| lease["used"].as_u64())
            .sum();
        ensure!(
            used == self.asked,
            "{used} digests were counted by the node, and {} signatures came",
            self.asked
        );
        self.notes.push(format!(
            "{} requests sent, {} answered with a signature, {used} counted by the node, 0 lost",
            self.asked, self.asked
        ));
        Ok(self.notes)
    }
}

impl Domain {
    fn holders(&self) -> Vec<&str> {
        self.hsms.iter().take(HOLDERS).map(String::as_str).collect()
    }

    /// Key domain, custodians, and a signing key on some of the HSMs; locked again.
    fn set_up(&self, program: &Program) -> anyhow::Result<()> {
        let hsms: Vec<&str> = self.hsms.iter().map(String::as_str).collect();
        let init = ["--quorum", "2of3", "--shares", "1", "--as", MANAGER];
        program.run(&[&["hsm", "init"], &hsms[..], &init].concat())?;
        for custodian in CUSTODIANS {
            let all = self.hsms.join(",");
            program.run(&["custodian", "register", custodian, "--hsm", &all, "--as", MANAGER])?;
        }
        let holders = self.holders();
        for custodian in ENOUGH {
            program.run(&[&["hsm", "unlock"], &holders[..], &["--as", custodian]].concat())?;
        }
        let (first, others) = holders.split_first().context("a domain without HSMs")?;
        program.run(&["signer", "create", &self.signer, "--hsm", first, "--as", MANAGER])?;
        for hsm in others {
            program.run(&["signer", "replicate", &self.signer, "--to", hsm, "--as", MANAGER])?;
        }
        program.run(&["hsm", "lock"]).map(drop)
    }
}

/// People, and tokens for the HSMs.
fn found(program: &Program, names: &[String]) -> anyhow::Result<()> {
    let create = ["vtoken", "create"];
    program.run(&[&create[..], &CUSTODIANS, &["--init", "--rehearsal"]].concat())?;
    program.run(&["init", "--manager", MANAGER, "--token", MANAGER, "--rehearsal"])?;
    for person in CUSTODIANS.into_iter().filter(|person| *person != MANAGER) {
        let role = "registration-officer";
        let words = [
            "person", "add", person, "--role", role, "--token", person, "--as", MANAGER,
        ];
        program.run(&words)?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    program.run(&[&create[..], &names].concat()).map(drop)
}

/// A connector for each HSM, which the node gives up.
fn tickets(program: &Program, names: &[String]) -> anyhow::Result<()> {
    for name in names {
        let file = format!("{name}.ticket");
        program.run(&["connector", "add", name, "--ticket-file", &file])?;
        program.run(&["hsm", "detach", name, "--as", MANAGER])?;
    }
    Ok(())
}

/// Agents, each with many HSMs; connected.
fn agents(
    program: &Program,
    names: &[String],
    address: &str,
    certificate: &Path,
) -> anyhow::Result<Vec<Background>> {
    let keys = program.json(&["signer", "keys"])?;
    let keys: Vec<String> = keys
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| key["key_id"].to_string())
        .collect();
    let keys = keys.join(", ");
    let mut agents = Vec::new();
    for (number, names) in names.chunks(OF_AN_AGENT).enumerate() {
        let mut text = format!("node = \"https://{address}\"\nnode-cert = {certificate:?}\n");
        for name in names {
            text.push_str(&format!(
                "[[token]]\ntoken = \"name:{name}\"\nticket-file = \"{name}.ticket\"\nallow-keys = [{keys}]\n"
            ));
        }
        let file = program.directory.join(format!("agent-{number}.toml"));
        fs::write(&file, text)?;
        let file = file.display().to_string();
        let words = ["connect", "--permanent", "--config", &file];
        agents.push(program.start(&words, &format!("agent-{number}.log"))?);
    }
    until("the agents are connected", || {
        let connectors = program.json(&["connector", "list"])?;
        let connected = |connector: &&Value| connector["state"] == "connected";
        let connectors = connectors.as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(connectors.iter().filter(connected).count() == names.len())
    })?;
    Ok(agents)
}

/// Clients with keys of their own, logged in once custodians have given each its lease.
fn clients(
    program: &Program,
    domains: &[Domain],
    number: usize,
    count: u64,
    address: &str,
    certificate: &Path,
) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for (number, domain) in (0..number).zip(domains.iter().cycle()) {
        let name = format!("client-{number}");
        let key = program.directory.join(format!("{name}.key"));
        let file = key.display().to_string();
        program.run(&["client", "key", "--out", &file])?;
        program.run(&["client", "add", &name, "--key", &format!("{file}.crt")])?;
        let text = format!(
            "[tokens]\nreaders = \"none\"\nsockets = []\n[notices]\nquiet = true\nsyslog = false\nstatus = false\n[[node]]\nurl = \
             \"https://{address}\"\nnode_cert = {certificate:?}\nclient_cert = {key:?}\nsigners = [{:?}]\nwait = \"login\"\n\
             count = {count}\nprehashed = true\n",
            domain.signer
        );
        let configuration = program.directory.join(format!("{name}.toml"));
        fs::write(&configuration, text)?;
        clients.push(Client::start(&configuration, &domain.signer, number)?);
    }
    let mut agreed = 0;
    until("every client has its lease", || {
        let leases = program.json(&["lease", "list", "--open", "--limit", MOST_LISTED])?;
        for lease in leases.as_array().into_iter().flatten() {
            if lease["state"] == "waiting" {
                let id = lease["lease"].as_str().context("a lease without a name")?;
                for custodian in ENOUGH {
                    program.run(&["approve", id, "--as", custodian])?;
                }
                agreed += 1;
            }
        }
        Ok(agreed == clients.len())
    })?;
    clients.iter_mut().try_for_each(Client::is_ready)?;
    Ok(clients)
}
