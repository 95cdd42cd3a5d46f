//! `quickstart --remote`: the HSM is elsewhere, the custodians are elsewhere, and an unmodified program signs.
//!
//! All of it on one machine, each party with its own process and its own key: the node, the agent at the HSM's side, two custodians'
//! agents with data directories of their own, and `openssl` with our PKCS#11 module. What this run started ends with it.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use chancery_api::{
    ClientList, ConnectorList, FailureKind, HsmView, LeaseId, LeaseList, LeaseState, ReceiptShow,
    SigningKeyView, SigningKeys, Status, Subject,
};
use chancery_node::{DataDir, LayoutError};
use serde::Serialize;

use super::{
    certificate::path,
    guide::{Guide, quoted},
    look::is_held,
    machines::{CUSTODIANS, custodians, machine},
    process::Background,
    steps,
};
use crate::{commands::lease::digests, error::CliError, report::Report};

const SIGNER: &str = "firmware";
const HSM: &str = "hsm-a";
const CONNECTOR: &str = "cupboard";
const REQUESTER: &str = "build";
/// How long anything may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(100);

/// What was done, as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Data directory.
    data_dir: PathBuf,
    /// Address of the node for clients.
    node: String,
    /// The lease the custodians gave.
    lease: LeaseId,
    /// The file that was signed.
    signed: PathBuf,
    /// Its signature.
    signature: PathBuf,
    /// What shows that it was permitted.
    receipt: PathBuf,
    /// Configuration of the PKCS#11 module.
    pkcs11: PathBuf,
}

/// Does everything that is missing, and signs.
pub(super) fn all(guide: &Guide, module: Option<&Path>) -> Result<Report, CliError> {
    let module = module_file(module)?;
    let data = steps::begin(guide)?;
    manager_and_hsm(guide, &data)?;
    let (tokens_url, api_url) = network(guide, &data)?;
    custodians(guide, &data, HSM, &api_url)?;
    let key = signing_key(guide, &data)?;
    let agent = hsm_elsewhere(guide, &data, &tokens_url, &key)?;
    requester(guide)?;
    let (lease, image) = sign(guide, &data, &api_url, &module)?;
    let receipt = check(guide, lease, &image)?;
    guide.say("\n== The end ==")?;
    guide.context.disconnect();
    agent.end()?;
    guide.run(&["stop"])?;
    let outcome = Outcome {
        data_dir: data.path().to_owned(),
        node: api_url,
        lease,
        signature: guide.out("image.sig"),
        signed: image,
        receipt,
        pkcs11: guide.out("pkcs11.toml"),
    };
    let text = format!(
        "The node, the agent and the lease are gone; what was signed can be checked for ever: chancery attest verify {}\n",
        quoted(&outcome.receipt.display().to_string())
    );
    Report::new(&outcome, if guide.is_json() { String::new() } else { text })
}

/// The module this program was built with, unless somebody names another.
fn module_file(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let missing = |what: String, remedy: &str| CliError::with_remedy(FailureKind::NotFound, what, remedy);
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(|folder| folder.join(MODULE)));
    let known = [beside, Some(Path::new("/usr/lib/chancery").join(MODULE))];
    let module = match named {
        Some(path) => Some(path.to_owned()),
        None => known.into_iter().flatten().find(|path| path.is_file()),
    };
    let module = module
        .filter(|path| path.is_file())
        .and_then(|path| fs::canonicalize(path).ok())
        .ok_or_else(|| {
            missing(
                format!("the PKCS#11 module {MODULE} is not here"),
                "cargo build -p chancery-pkcs11-module, or name it: chancery quickstart --remote --module FILE",
            )
        })?;
    let engine = Command::new("openssl").args(["engine", "pkcs11"]).output();
    if engine.is_ok_and(|output| output.status.success()) {
        Ok(module)
    } else {
        Err(missing(
            "openssl has no pkcs11 engine here".to_owned(),
            "apt install openssl libengine-pkcs11-openssl",
        ))
    }
}

const MODULE: &str = "libchancery_pkcs11.so";

/// Steps 1 and 2.
fn manager_and_hsm(guide: &Guide, data: &DataDir) -> Result<(), CliError> {
    guide.step(
        1,
        "A manager and an HSM",
        "One virtual token will hold the signing key, one is that of alice, the TrustCenter Manager to whom all rights go back.",
    )?;
    let manager = steps::MANAGER;
    let known = guide.context.tokens()?.list()?;
    let is_there = |name: &str| known.iter().any(|token| token.name.as_str() == name);
    if !is_there(HSM) {
        guide.run(&["vtoken", "create", HSM])?;
    }
    let tokens = guide.context.tokens()?;
    if !is_there(manager) || !tokens.open(manager)?.has_pin()? {
        guide.run(&["vtoken", "create", manager, "--init", "--rehearsal"])?;
    }
    match data.installation() {
        Ok(_) => {}
        Err(LayoutError::NotInitialised(_)) => {
            guide.run(&["init", "--manager", manager, "--token", manager, "--rehearsal"])?;
        }
        Err(error) => return Err(error.into()),
    }
    guide.step(
        2,
        "The HSM is set up for three custodians",
        "Any two of three will open it; there is no PIN and no setting that could replace one of them. alice is the first.",
    )?;
    if guide.hsm(HSM)?.is_some_and(|hsm| !is_held(&hsm)) {
        guide.run(&["hsm", "attach", HSM, "--as", manager])?;
    }
    let set_up = |hsm: &HsmView| hsm.quorum.is_some();
    if !guide.hsm(HSM)?.is_some_and(|hsm| set_up(&hsm)) {
        guide.run(&["hsm", "init", HSM, "--quorum", "2of3", "--as", manager])?;
    }
    let is_custodian = |hsm: &HsmView| hsm.custodians.iter().any(|custodian| custodian.person == manager);
    if !guide.hsm(HSM)?.is_some_and(|hsm| is_custodian(&hsm)) {
        let wanted =
            |subject: &Subject| matches!(subject, Subject::Custodian(custodian) if custodian.name == manager);
        match guide.pending(wanted)? {
            Some(number) => guide.finish(number, manager, manager)?,
            None => {
                guide.run(&["custodian", "register", manager, "--hsm", HSM, "--as", manager])?;
            }
        }
    }
    guide.run(&["hsm", "list"]).map(drop)
}

/// Step 5.
fn signing_key(guide: &Guide, data: &DataDir) -> Result<SigningKeyView, CliError> {
    guide.step(
        5,
        "A key for signing",
        "It is generated in hsm-a while two custodians have it open, and is never a CA's. They open it from their own machines, each\n\
         with the own token. From here on each use needs a lease.",
    )?;
    if known_key(guide)?.is_none() {
        if guide.hsm(HSM)?.is_some_and(|hsm| !is_held(&hsm)) {
            guide.run(&["hsm", "attach", HSM, "--as", steps::MANAGER])?;
        }
        for custodian in CUSTODIANS {
            guide.run_at(
                &machine(data, custodian),
                &["hsm", "unlock", HSM, "--as", custodian],
            )?;
        }
        guide.run(&["signer", "create", SIGNER, "--hsm", HSM, "--as", steps::MANAGER])?;
    }
    guide.run(&["hsm", "lock"])?;
    guide.run(&["signer", "keys"])?;
    known_key(guide)?
        .ok_or_else(|| CliError::new(FailureKind::Internal, "the signing key is not among the signers"))
}

fn known_key(guide: &Guide) -> Result<Option<SigningKeyView>, CliError> {
    Ok(guide
        .context
        .call(&SigningKeys {})?
        .into_iter()
        .find(|key| key.name == SIGNER))
}

/// Step 3: addresses for agents and for clients.
fn network(guide: &Guide, data: &DataDir) -> Result<(String, String), CliError> {
    guide.step(
        3,
        "The node on the network",
        "Agents that bring tokens and enrolled clients come to two listeners, both TLS. Whoever calls pins the node's certificate.",
    )?;
    let status = guide.context.call(&Status {})?;
    if status.listen.is_none() || status.api_listen.is_none() {
        let (tokens, api) = (free_address()?, free_address()?);
        guide.run(&["stop"])?;
        let node = guide.spawn(
            &[
                "serve",
                "--listen",
                &tokens,
                "--api-listen",
                &api,
                "--name",
                "localhost",
            ],
            "node.log",
        )?;
        guide.until("the node listens", || {
            Ok(data.network().join("node.pem").is_file())
        })?;
        // It ends by `chancery stop`, as every node does.
        node.leave();
        guide.context.disconnect();
        if guide.hsm(HSM)?.is_some_and(|hsm| !is_held(&hsm)) {
            guide.run(&["hsm", "attach", HSM, "--as", steps::MANAGER])?;
        }
    }
    guide.context.disconnect();
    guide.run(&["status"])?;
    let status = guide.context.call(&Status {})?;
    match (status.listen, status.api_listen) {
        (Some(listen), Some(api)) => Ok((format!("https://{listen}"), format!("https://{api}"))),
        _ => Err(CliError::new(
            FailureKind::Unavailable,
            "the node does not listen on the network",
        )),
    }
}

fn free_address() -> Result<String, CliError> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    address
        .map(|address| address.to_string())
        .map_err(CliError::file("listen on", Path::new("127.0.0.1")))
}

/// Step 6.
fn hsm_elsewhere(
    guide: &Guide,
    data: &DataDir,
    url: &str,
    key: &SigningKeyView,
) -> Result<Background, CliError> {
    guide.step(
        6,
        "The HSM moves to another place",
        "The node gives hsm-a up, and an agent brings it back from where it is. The node may read public files and use the one key\n\
         that is named at the agent, nothing else; it opens a secure channel into the HSM itself, so that the agent reads nothing.",
    )?;
    let ticket = path(guide, "cupboard.ticket");
    let connectors = guide.context.call(&ConnectorList {})?;
    if !connectors.iter().any(|connector| connector.name == CONNECTOR) {
        guide.run(&["connector", "add", CONNECTOR, "--ticket-file", &ticket])?;
    }
    if guide.hsm(HSM)?.is_some_and(|hsm| is_held(&hsm)) {
        guide.run(&["hsm", "detach", HSM, "--as", steps::MANAGER])?;
    }
    let certificate = data.network().join("node.pem").display().to_string();
    let number = key.key_id.to_string();
    let agent = guide.spawn(
        &[
            "connect",
            url,
            "--token",
            HSM,
            "--ticket-file",
            &ticket,
            "--node-cert",
            &certificate,
            "--allow-key",
            &number,
            "--permanent",
        ],
        "connect.log",
    )?;
    guide.until("the agent is connected", || {
        let connectors = guide.context.call(&ConnectorList {})?;
        Ok(connectors
            .iter()
            .any(|connector| connector.name == CONNECTOR && connector.state == "connected"))
    })?;
    guide.run(&["connector", "list"])?;
    guide.run(&[
        "hsm",
        "attach",
        HSM,
        "--connector",
        CONNECTOR,
        "--as",
        steps::MANAGER,
    ])?;
    Ok(agent)
}

/// Step 7.
fn requester(guide: &Guide) -> Result<(), CliError> {
    guide.step(
        7,
        "A client with a key of its own",
        "The build machine is enrolled by its public key, as the custodians' machines were by their cards. It may ask; custodians decide.",
    )?;
    let known = guide.context.call(&ClientList {})?;
    let key = path(guide, &format!("{REQUESTER}.key"));
    if !Path::new(&key).is_file() {
        guide.run(&["client", "key", "--out", &key])?;
    }
    let enrolled = |client: &chancery_api::ClientView| client.name == REQUESTER && client.state == "enrolled";
    if !known.iter().any(enrolled) {
        guide.run(&["client", "add", REQUESTER, "--key", &format!("{key}.crt")])?;
    }
    guide.run(&["client", "list"]).map(drop)
}

/// Step 8: the lease and the file that was signed.
fn sign(guide: &Guide, data: &DataDir, url: &str, module: &Path) -> Result<(LeaseId, PathBuf), CliError> {
    guide.step(
        8,
        "openssl signs, and waits for two custodians",
        "openssl knows nothing of custodians: our PKCS#11 module asks for a lease with the digest at hand, and waits. Two agents wait on\n\
         the custodians' machines and tell of it; each custodian reads there what is asked, compares the own build, and answers with\n\
         the own token; the HSM counts. Nothing is ever approved by an agent alone.",
    )?;
    let mut agents = Vec::new();
    for custodian in CUSTODIANS {
        let words = ["approve", "--as", custodian, "--watch"];
        let log = format!("{custodian}-agent.log");
        agents.push((
            custodian,
            guide.spawn_at(&machine(data, custodian), &words, &log)?,
        ));
    }
    let image = guide.out("image.bin");
    let now = guide.context.call(&Status {})?.started;
    fs::write(&image, format!("firmware of {now}, {}\n", std::process::id()))
        .map_err(CliError::file("write", &image))?;
    let certificate = data.network().join("node.pem");
    let config = guide.out("pkcs11.toml");
    let whole = |path: &Path| std::path::absolute(path).map_err(CliError::file("find", path));
    let text = format!(
        "# The module as the build machine has it.\n[[node]]\nurl = {:?}\nnode_cert = {:?}\nclient_cert = {:?}\nsigners = [{SIGNER:?}]\n\
         purpose = \"quickstart\"\nwait_seconds = 120\n\n[tokens]\nreaders = \"none\"\nsockets = []\n",
        url,
        whole(&certificate)?,
        whole(&guide.out("build.key"))?,
    );
    fs::write(&config, text).map_err(CliError::file("write", &config))?;
    let before = guide.open_leases()?;
    let line = format!(
        "openssl dgst -sha256 -engine pkcs11 -keyform engine -sign 'pkcs11:object={SIGNER};type=private' -out {} {}",
        quoted(&path(guide, "image.sig")),
        quoted(&image.display().to_string())
    );
    let config = whole(&config)?;
    let surroundings: [(&str, &Path); 2] = [
        ("CHANCERY_PKCS11_CONFIG", &config),
        ("PKCS11_MODULE_PATH", module),
    ];
    let openssl = guide.spawn_shell(&line, &surroundings, "openssl.log")?;
    let mut lease = None;
    guide.until("the lease is asked for", || {
        lease = guide
            .open_leases()?
            .into_iter()
            .find(|lease| !before.contains(lease));
        Ok(lease.is_some() || openssl.has_ended())
    })?;
    let Some(lease) = lease else {
        return Err(openssl.failure("openssl ended before it asked for anything"));
    };
    let id = lease.to_string();
    for (custodian, agent) in &agents {
        guide.until("the custodian's agent tells of the lease", || {
            Ok(agent.written().contains(&id) || agent.has_ended())
        })?;
        if !agent.written().contains(&id) {
            return Err(agent.failure("the agent ended"));
        }
        guide.say(format!("({custodian}'s agent tells of lease {id})"))?;
    }
    // Both decide at once, each on the own machine.
    let own_build = image.display().to_string();
    let mut decisions = Vec::new();
    for custodian in CUSTODIANS {
        let words = ["approve", &id, "--as", custodian, "--compare", &own_build];
        let log = format!("{custodian}-approve.log");
        decisions.push(guide.spawn_at(&machine(data, custodian), &words, &log)?);
    }
    for decision in decisions {
        guide.until("the custodian decided", || Ok(decision.has_ended()))?;
        for line in decision.written().lines() {
            guide.say(format!("  {line}"))?;
        }
        decision.succeeded()?;
    }
    for (_, agent) in agents {
        agent.end()?;
    }
    openssl.succeeded()?;
    guide.run(&["lease", "show", &id])?;
    Ok((lease, image))
}

/// Step 9: the receipt's file.
fn check(guide: &Guide, lease: LeaseId, image: &Path) -> Result<PathBuf, CliError> {
    guide.step(
        9,
        "What remains: a signature and its receipt",
        "The signature is an ordinary one. The receipt shows to anybody, without the node, who permitted it, and under which text.",
    )?;
    let public = path(guide, "firmware.pub");
    guide.run(&["signer", "key", SIGNER, "--out", &public])?;
    let file = image.display().to_string();
    guide.shell(&format!(
        "openssl dgst -sha256 -verify {} -signature {} {}",
        quoted(&public),
        quoted(&path(guide, "image.sig")),
        quoted(&file)
    ))?;
    let digest = digests::of_word(&file, chancery_api::HashName::Sha256)?;
    guide.until("the head of the audit log is signed", || {
        let receipt = guide.context.call(&ReceiptShow {
            lease,
            digest: digest.clone(),
        })?;
        Ok(receipt.inclusion.is_some())
    })?;
    let receipt = path(guide, "image.receipt");
    guide.run(&["receipt", "show", &lease.to_string(), &file, "--out", &receipt])?;
    guide.run(&["attest", "verify", &receipt, &public])?;
    Ok(PathBuf::from(receipt))
}

impl Guide {
    /// Leases that wait or are live.
    fn open_leases(&self) -> Result<Vec<LeaseId>, CliError> {
        let leases = self.context.call(&LeaseList {
            open_only: true,
            limit: 200,
        })?;
        Ok(leases
            .iter()
            .filter(|lease| lease.state == LeaseState::Waiting)
            .map(|lease| lease.lease)
            .collect())
    }

    /// Waits for something that happens by itself.
    fn until(
        &self,
        what: &str,
        mut happened: impl FnMut() -> Result<bool, CliError>,
    ) -> Result<(), CliError> {
        let began = Instant::now();
        while !happened()? {
            if began.elapsed() > PATIENCE {
                return Err(CliError::with_remedy(
                    FailureKind::Unavailable,
                    format!("waited {} s, and still not: {what}", PATIENCE.as_secs()),
                    format!("look at the .log files in {}", self.out("").display()),
                ));
            }
            std::thread::sleep(STEP);
        }
        Ok(())
    }
}
