//! A node on the network: enrolled clients, and an HSM behind an agent. Judges are curl, openssl and the log of the node.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "common/background.rs"]
mod background;
mod common;
#[path = "common/cupboard.rs"]
mod cupboard;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use background::{Background, until};
use chancery_api::{AuditLog, HsmList, LeasePending, SigningKeys};
use chancery_client::{ClientError, Identity, NodeClient, Settings, Timeouts, Trust};
use common::Home;
use serde_json::{Value, json};

/// A trust center whose node listens on two free ports.
struct Online {
    home: Home,
    agents: String,
    api: String,
}

impl Online {
    fn new() -> Self {
        let home = Home::ready();
        home.run(&["stop"]).ok();
        // Both are held until both are known, so that they differ.
        let free = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [agents, api] = free.each_ref().map(|free| free.local_addr().unwrap().to_string());
        drop(free);
        let mut online = Self { home, agents, api };
        let node = online.serve();
        // It is remembered: from here on commands start it in the background.
        online.home.run(&["stop"]).ok();
        drop(node);
        online.home.run(&["hsm", "list"]).ok();
        online
    }

    fn serve(&mut self) -> Background {
        let words = ["serve", "--listen", &self.agents, "--api-listen", &self.api];
        Background::start(self.home.command(&words), "the node is ready")
    }

    fn node_certificate(&self) -> PathBuf {
        self.home.data().join("network/node.pem")
    }

    /// A new client key; its file.
    fn key(&self, name: &str) -> String {
        let file = self.home.dir.path().join(name).display().to_string();
        self.home.run(&["client", "key", "--out", &file]).ok();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
        file
    }

    /// HTTP status (0 when there was no answer) and body.
    fn curl(&self, address: &str, path: &str, more: &[&str]) -> (u32, String) {
        let output = Command::new("curl")
            .args(["-s", "-w", "\n%{http_code}", "--cacert"])
            .arg(self.node_certificate())
            .args(more)
            .arg(format!("https://{address}{path}"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    fn client(&self, identity: Option<&str>, trust: Trust) -> NodeClient {
        let identity = identity.map(|file| Identity::from_files(file.as_ref(), file.as_ref()).unwrap());
        NodeClient::new(&Settings {
            url: format!("https://{}", self.api),
            trust,
            identity,
            timeouts: Timeouts::default(),
        })
        .unwrap()
    }

    fn pinned(&self) -> Trust {
        Trust::pinned(&self.node_certificate()).unwrap()
    }

    fn hsm(&self, name: &str) -> Value {
        let (code, hsms) = self.home.json(&["hsm", "list"]);
        assert_eq!(code, 0, "{hsms}");
        let found = hsms.as_array().unwrap().iter().find(|hsm| hsm["name"] == name);
        found.unwrap().clone()
    }

    fn events(&self, name: &str) -> Vec<Value> {
        let (_, log) = self.home.json(&["audit", "log", "--limit", "1000"]);
        let leaves = log["leaves"].as_array().unwrap();
        leaves
            .iter()
            .map(|leaf| &leaf["event"])
            .filter(|event| event["event"] == name)
            .map(|event| event["data"].clone())
            .collect()
    }

    fn agent(&self) -> Background {
        let certificate = self.node_certificate().display().to_string();
        let url = format!("https://{}", self.agents);
        let words = cupboard::connect(&url, &certificate, "1");
        Background::start(self.home.command(&words), "connected")
    }

    fn unlock(&self) {
        for custodian in ["alice", "bob"] {
            self.home.run(&["hsm", "unlock", "hsm-a", "--as", custodian]).ok();
        }
        assert_eq!(self.hsm("hsm-a")["state"]["is"], "unlocked");
    }
}

#[test]
fn clients_prove_a_key_that_is_enrolled() {
    let online = Online::new();
    let (status, shown) = online.home.json(&["status"]);
    assert_eq!(
        (status, &shown["api_listen"], &shown["idle_stop_seconds"]),
        (0, &json!(online.api), &json!(0))
    );

    // Without a certificate nobody gets through the handshake.
    assert_eq!(online.curl(&online.api, "/v1/hsms", &[]).0, 0);
    let output: Output = Command::new("openssl")
        .args(["s_client", "-connect", &online.api, "-tls1_3", "-ign_eof"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("certificate required"), "{said}");
    let error = online
        .client(None, online.pinned())
        .call(&HsmList {})
        .unwrap_err();
    assert!(matches!(error, ClientError::TlsRefused { .. }), "{error:?}");

    // With one, the key decides.
    let key = online.key("build.key");
    let with = ["--cert", &key, "--key", &key];
    let (status, body) = online.curl(&online.api, "/v1/hsms", &with);
    let failure: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &failure["kind"]), (401, &json!("refused")), "{body}");
    let client = online.client(Some(&key), online.pinned());
    let error = client.call(&HsmList {}).unwrap_err();
    assert!(matches!(error, ClientError::NotEnrolled(_)), "{error:?}");
    let certificate = format!("{key}.crt");
    let (code, enrolled) = online
        .home
        .json(&["client", "add", "build", "--key", &certificate]);
    assert_eq!((code, &enrolled["state"]), (0, &json!("enrolled")), "{enrolled}");
    for version in ["--http1.1", "--http2"] {
        let (status, body) = online.curl(&online.api, "/v1/hsms", &[&with[..], &[version]].concat());
        let hsms: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &hsms[0]["name"]), (200, &json!("hsm-a")), "{body}");
    }
    assert_eq!(client.call(&HsmList {}).unwrap().len(), 2);
    assert_eq!(client.call(&SigningKeys {}).unwrap(), []);
    let tls12 = [&with[..], &["--tls-max", "1.2"]].concat();
    assert_eq!(
        online.curl(&online.api, "/v1/keys", &tls12),
        (200, "[]".to_owned())
    );
    let (status, document) = online.curl(&online.api, "/v1/openapi.json", &with);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));

    // It may ask for leases and no more.
    let failed = |error: ClientError| match error {
        ClientError::Failed(failure) => failure.message,
        other => panic!("{other:?}"),
    };
    let log = AuditLog { from: 0, limit: 1 };
    assert!(failed(client.call(&log).unwrap_err()).contains("cannot call"));
    let pending = |person: &str| LeasePending {
        person: person.to_owned(),
        known: Vec::new(),
        wait_seconds: 0,
    };
    assert!(failed(client.call(&pending("alice")).unwrap_err()).contains("no custodian's agent"));
    let alices = online.home.dir.path().join("alice.key").display().to_string();
    let (_, made) = online.home.json(&["client", "key", "--out", &alices]);
    let words = [
        "client",
        "add",
        "alice-laptop",
        "--key",
        &alices,
        "--custodian",
        "alice",
    ];
    // A key without a card is compared as well.
    assert_eq!(online.home.run(&words).code, 4);
    let heard = ["--fingerprint", made["key"].as_str().unwrap()];
    online.home.run(&[&words[..], &heard].concat()).ok();
    let agent = online.client(Some(&alices), online.pinned());
    assert_eq!(agent.call(&pending("alice")).unwrap(), []);
    assert!(failed(agent.call(&pending("bob")).unwrap_err()).contains("not of bob"));

    // A request that is too large, or none at all.
    let large = online.home.dir.path().join("large");
    fs::write(&large, vec![b' '; 4 * 1024 * 1024 + 1]).unwrap();
    let data = format!("@{}", large.display());
    let (status, _) = online.curl(
        &online.api,
        "/v1/call",
        &[&with[..], &["--data-binary", &data]].concat(),
    );
    assert_eq!(status, 413);
    for (body, kind) in [
        ("{}", "invalid"),
        (r#"{"v":2,"method":"hsm.list","params":{}}"#, "version"),
    ] {
        let (status, body) = online.curl(&online.api, "/v1/call", &[&with[..], &["-d", body]].concat());
        let reply: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &reply["failed"]["kind"]), (400, &json!(kind)), "{body}");
    }
    let (status, _) = online.curl(&online.api, "/v1/call", &with);
    assert_eq!(status, 405);

    // Somebody else in the node's place is noticed.
    let stranger = fs::read(format!("{alices}.crt")).unwrap();
    let error = online
        .client(Some(&key), Trust::PinnedCertificate(stranger))
        .call(&HsmList {})
        .unwrap_err();
    assert!(matches!(error, ClientError::NotPinned { .. }), "{error:?}");

    // Over after a restart as before it, and at once when it is revoked, on a connection that is open.
    online.home.run(&["stop"]).ok();
    online.home.run(&["hsm", "list"]).ok();
    assert_eq!(client.call(&HsmList {}).unwrap().len(), 2);
    online.home.run(&["client", "revoke", "build"]).ok();
    let error = client.call(&HsmList {}).unwrap_err();
    assert!(
        matches!(&error, ClientError::NotEnrolled(failure) if failure.message.contains("revoked")),
        "{error:?}"
    );
    assert_eq!(online.curl(&online.api, "/v1/hsms", &with).0, 401);
    assert_eq!(online.events("client-added").len(), 2);
    assert_eq!(online.events("client-revoked").len(), 1);

    // Agents with tokens need no certificate, and nothing but the endpoint is there for them.
    assert_eq!(online.curl(&online.agents, "/v1/hsms", &[]).0, 404);
    assert_eq!(online.curl(&online.agents, "/rt/connector", &["-d", "x"]).0, 401);
    let initiation = online.home.dir.path().join("initiation");
    fs::write(&initiation, [0xe8, 0x04, 0xc0, 0x02, 0x3b, 0x00]).unwrap();
    let data = format!("@{}", initiation.display());
    let post = ["--data-binary", data.as_str(), "-H", "X-Chancery-Agent: 1"];
    let (status, _) = online.curl(&online.agents, "/rt/connector", &post);
    assert_eq!(status, 401);
    assert_eq!(
        online
            .curl(&online.agents, "/rt/t/guessed", &["--data-binary", &data])
            .0,
        404
    );
}

#[test]
fn an_hsm_behind_an_agent_is_unlocked_signs_and_comes_back() {
    let online = Online::new();
    let home = &online.home;
    home.run(&["hsm", "lock"]);
    home.run(&["hsm", "detach", "hsm-a", "--as", "alice"]).ok();
    let added = cupboard::add(home);
    let file = home.dir.path().join(cupboard::TICKET);
    let ticket = fs::read_to_string(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    assert!(ticket.trim().len() >= 43 && !added.out.contains(ticket.trim()));
    let early = cupboard::attach(home);
    assert_eq!(early.code, 8, "{}", early.err);
    assert!(early.err.contains("connector cupboard"), "{}", early.err);
    // Where clients are answered, an agent is told where it is.
    let certificate = online.node_certificate().display().to_string();
    let url = format!("https://{}", online.api);
    let [words @ .., _permanent] = cupboard::connect(&url, &certificate, "1");
    let astray = home.run(&words);
    assert_eq!(astray.code, 8, "{}", astray.err);
    assert!(
        astray
            .err
            .contains("clients are answered there, agents at another port"),
        "{}",
        astray.err
    );

    let agent = online.agent();
    cupboard::attach(home).ok();
    let (_, connectors) = home.json(&["connector", "list"]);
    let device = online.hsm("hsm-a")["device"].clone();
    assert_eq!(
        (
            &connectors[0]["state"],
            &connectors[0]["hsm"],
            &connectors[0]["device"]
        ),
        (&json!("connected"), &json!("hsm-a"), &device)
    );
    online.unlock();
    let number = home.approved();
    home.run(&["request", "sign", &number, "--as", "carol"]).ok();
    let reference = format!("#{number}");
    home.run(&[
        "cert",
        "export",
        &reference,
        "--out",
        online.home.out("remote.pem").to_str().unwrap(),
    ])
    .ok();
    let verified = home.openssl_verify("remote.pem");
    assert!(verified.status.success(), "{verified:?}");

    // Another agent with the ticket takes the place once its token has proven to be this device; what was unlocked is not.
    agent.kill();
    let agent = online.agent();
    until("the HSM is back", || online.events("hsm-returned").len() == 1);
    assert_eq!(online.hsm("hsm-a")["state"]["is"], "locked");
    let lost = online.events("hsm-lost");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(
        lost[0]["because"]
            .as_str()
            .unwrap()
            .contains("has proven the same device"),
        "{lost:?}"
    );
    online.unlock();

    // The node is started again: the agent comes by itself, and with it the HSM.
    home.run(&["stop"]).ok();
    home.run(&["hsm", "list"]).ok();
    until("the HSM is back", || {
        online.hsm("hsm-a")["state"]["is"] == "locked"
    });

    // An agent with another token is turned down, learns why, and the first one goes on.
    home.run(&["hsm", "detach", "hsm-b", "--as", "alice"]).ok();
    let url = format!("https://{}", online.agents);
    let [mut words @ .., _permanent] = cupboard::connect(&url, &certificate, "1");
    words[3] = "hsm-b";
    let other = home.run(&words);
    assert_eq!(other.code, 8, "{}", other.err);
    assert!(
        other.err.contains("chancery: the server ended it: it is device"),
        "{}",
        other.err
    );
    assert_eq!(online.hsm("hsm-a")["state"]["is"], "locked");

    // Revoked, it is cut off at once.
    let (code, revoked) = home.json(&["connector", "revoke", "cupboard"]);
    assert_eq!((code, &revoked["state"]), (0, &json!("revoked")));
    let state = online.hsm("hsm-a")["state"].clone();
    assert_eq!(state["is"], "lost", "{state}");
    assert!(
        state["because"].as_str().unwrap().contains("was revoked"),
        "{state}"
    );
    assert_eq!(online.events("connector-revoked").len(), 1);
    let again = cupboard::attach(home);
    assert_eq!(again.code, 6, "{}", again.err);

    // And back to where the node is.
    agent.kill();
    home.run(&["hsm", "attach", "hsm-a", "--as", "alice"]).ok();
    online.unlock();
    home.run(&["audit", "verify"]).ok();
    let log = fs::read_to_string(home.data().join("node.log")).unwrap();
    assert!(!log.contains(ticket.trim()), "a ticket is in the log");
    let database = fs::read(home.data().join("center.db")).unwrap();
    let ticket = ticket.trim().as_bytes();
    assert!(!database.windows(ticket.len()).any(|window| window == ticket));
}

#[test]
fn addresses_and_certificates_of_no_use_are_told() {
    let home = Home::ready();
    home.run(&["stop"]).ok();
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = occupied.local_addr().unwrap().to_string();
    let serve = |words: &[&str]| home.run(&[&["serve"], words].concat());
    for (words, code, said) in [
        (&["--listen", taken.as_str()][..], 6, "another program listens on"),
        (&["--api-listen", "nowhere"], 3, "no address to listen on"),
        (
            &[
                "--listen",
                "127.0.0.1:0",
                "--tls-cert",
                "none",
                "--tls-key",
                "none",
            ],
            3,
            "cannot read",
        ),
        (&["--name", "ca.example"], 2, "go with --listen"),
        (&["--tls-cert", "none", "--listen", "127.0.0.1:0"], 2, "--tls-key"),
    ] {
        let ended = serve(words);
        assert_eq!(ended.code, code, "{words:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{words:?}: {}", ended.err);
        assert!(
            !home.data().join("network.toml").exists(),
            "what does not work is not remembered"
        );
    }
    // What was remembered and does not work any more is told by whoever starts the node.
    fs::write(
        home.data().join("network.toml"),
        format!("listen = \"{taken}\"\n"),
    )
    .unwrap();
    let ended = home.run(&["hsm", "list"]);
    assert_ne!(ended.code, 0);
    assert!(ended.err.contains("another program listens on"), "{}", ended.err);
    // A ticket is of no use without a network address, and a connector waits.
    fs::remove_file(home.data().join("network.toml")).unwrap();
    home.run(&["connector", "add", "attic", "--show"]).ok();
    let ended = home.run(&["ticket", "create", "attic", "--show"]);
    assert_eq!(ended.code, 6, "{}", ended.err);
    let (_, taken_name) = home.json(&["connector", "add", "attic", "--show"]);
    assert_eq!(taken_name["kind"], "conflict");
    let ended = home.run(&["connector", "add", "cellar"]);
    assert_eq!(ended.code, 2, "a ticket goes to a file or is asked to be shown");
}
