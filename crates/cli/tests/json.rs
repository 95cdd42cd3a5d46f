//! What `--json` prints is what the documentation says.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use common::{Home, documented};
use serde_json::Value;

/// Shapes by the heading above them.
fn shapes() -> BTreeMap<String, Value> {
    let text = documented();
    let mut shapes = BTreeMap::new();
    for part in text.split("\n#### ").skip(1) {
        let (title, rest) = part.split_once("\n```json\n").unwrap();
        let (block, _) = rest.split_once("\n```").unwrap();
        shapes.insert(title.to_owned(), serde_json::from_str(block).unwrap());
    }
    shapes
}

/// Where a value is not of a shape.
fn differences(
    shapes: &BTreeMap<String, Value>,
    shape: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    match (shape, value) {
        (Value::String(kind), value) => {
            let (kind, optional) = kind
                .strip_suffix('?')
                .map_or((kind.as_str(), false), |kind| (kind, true));
            let fits = match kind {
                "any" => true,
                "string" => value.is_string(),
                "number" => value.is_number(),
                "bool" => value.is_boolean(),
                _ if optional && value.is_null() => true,
                named => return differences(shapes, &shapes[named], value, at, found),
            };
            if !(fits || optional && value.is_null()) {
                found.push(format!("{at}: {value} is no {kind}"));
            }
        }
        (Value::Array(of), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                differences(shapes, &of[0], item, &format!("{at}[{index}]"), found);
            }
        }
        (Value::Object(members), Value::Object(values)) => {
            for (name, shape) in members {
                let (name, optional) = name
                    .strip_suffix('?')
                    .map_or((name.as_str(), false), |name| (name, true));
                match values.get(name) {
                    Some(value) => differences(shapes, shape, value, &format!("{at}.{name}"), found),
                    None if optional => {}
                    None => found.push(format!("{at}: {name} is missing")),
                }
            }
            for name in values.keys() {
                if !members.contains_key(name) && !members.contains_key(&format!("{name}?")) {
                    found.push(format!("{at}: {name} is not documented"));
                }
            }
        }
        _ => found.push(format!("{at}: {value} is of another kind")),
    }
}

/// A process that is ended when the test is.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_documented_shape_is_what_its_command_prints() {
    let home = Home::new();
    let shapes = shapes();
    // connect has a test of its own.
    let mut seen = vec![
        "hsm".to_owned(),
        "token certificate".to_owned(),
        "connect".to_owned(),
    ];
    let mut found = Vec::new();
    let mut check = |name: &str, words: &[&str], expected: i32| {
        let (code, value) = home.json(words);
        assert_eq!(code, expected, "{words:?}: {value}");
        differences(&shapes, &shapes[name], &value, name, &mut found);
        seen.push(name.to_owned());
    };
    check("quickstart", &["quickstart"], 0);
    for name in [
        "status",
        "vtoken list",
        "hsm list",
        "person list",
        "ca list",
        "signer list",
        "request list",
        "cert list",
        "audit log",
        "audit verify",
        "token list",
        "token journal",
    ] {
        check(name, &name.split(' ').collect::<Vec<_>>(), 0);
    }
    check("ca show", &["ca", "show", "root"], 0);
    check("crl show", &["crl", "show", "root"], 0);
    for number in ["1", "3", "6", "7"] {
        check("request show", &["request", "show", number], 0);
        check("request why", &["request", "why", number], 0);
    }
    check("cert show", &["cert", "show", "#8"], 0);
    check("failure", &["cert", "show", "#99"], 5);
    check("failure", &["hsm", "unlock", "hsm-a", "--as", "nobody"], 5);
    // A lease, from what asks for it to the receipt.
    home.make_signer();
    check("signer keys", &["signer", "keys"], 0);
    home.run(&["hsm", "lock"]).ok();
    let image = home.private("fit.itb", "an image");
    let (_, asked) = home.json(&[
        "unlock",
        "request",
        "--signer",
        "firmware",
        "--for",
        "a release",
        "--count",
        "1",
        "--for-time",
        "1h",
    ]);
    let lease = asked["lease"].as_str().unwrap_or_default().to_owned();
    check("lease show", &["lease", "show", &lease], 0);
    check("approve", &["approve", &lease, "--as", "alice"], 0);
    check("approve", &["approve", &lease, "--as", "bob"], 0);
    check("sign", &["sign", &image, "--signer", "firmware"], 0);
    check("receipt show", &["receipt", "show", &lease, &image], 0);
    check("failure", &["lease", "show", "ffffffff"], 5);
    // Who may come from the network. What the data directory remembers counts for nodes in the background, too.
    home.run(&["stop"]).ok();
    std::fs::write(home.data().join("network.toml"), "listen = \"127.0.0.1:0\"\n").unwrap();
    let card = ["custodian", "card", "--token", "carol", "--out", "carol.card"];
    check("custodian card", &card, 0);
    let invite = ["custodian", "invitation", "--out", "center.invitation"];
    check("custodian invitation", &invite, 0);
    let (_, told) = home.json(&invite);
    let heard = told["fingerprint"].as_str().unwrap();
    let accept = [
        "custodian",
        "accept",
        "center.invitation",
        "--as",
        "carol",
        "--token",
        "carol",
        "--fingerprint",
        heard,
    ];
    check("custodian accept", &accept, 0);
    let elsewhere = Home::new();
    elsewhere
        .run(&["vtoken", "create", "eve", "--init", "--rehearsal"])
        .ok();
    let theirs = elsewhere.dir.path().join("eve.card").display().to_string();
    let (_, told) = elsewhere.json(&["custodian", "card", "--out", &theirs]);
    let heard = told["fingerprint"].as_str().unwrap();
    let vouch = [
        "custodian",
        "vouch",
        &theirs,
        "--out",
        "eve.card",
        "--fingerprint",
        heard,
    ];
    check("custodian vouch", &vouch, 0);
    check("client key", &["client", "key", "--out", "build.key"], 0);
    home.run(&["client", "add", "build", "--key", "build.key.crt"])
        .ok();
    check("client list", &["client", "list"], 0);
    let add = ["connector", "add", "cupboard", "--ticket-file", "cupboard.ticket"];
    check("connector add", &add, 0);
    check("connector list", &["connector", "list"], 0);
    check("ticket create", &["ticket", "create", "cupboard", "--show"], 0);
    check("status", &["status"], 0);
    let vector = |name: &str| format!("{}/../../testdata/vectors/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let chain = vector("nitrokey-hsm2-fw4.1-ef2f02");
    let request = vector("nitrokey-hsm2-fw4.1-efce01");
    let evidence = [request.as_str(), chain.as_str()];
    check(
        "attest verify",
        &[&["attest", "verify"], &evidence[..]].concat(),
        0,
    );
    check(
        "attest archive",
        &[&["attest", "archive"], &evidence[..]].concat(),
        0,
    );
    check(
        "attest passport",
        &[&["attest", "passport"], &evidence[..]].concat(),
        0,
    );
    home.run(&["vtoken", "create", "new"]).ok();
    let pin = home.private("pin", "648219");
    let so_pin = home.private("so-pin", "3537363231383830");
    let pins = ["--pin-file", &pin, "--so-pin-file", &so_pin, "--yes"];
    check("token init", &[&["token", "init", "new"], &pins[..]].concat(), 0);
    check("token info", &["token", "info", "new"], 0);
    check("token pin status", &["token", "pin", "status", "new"], 0);
    let log = home.dir.path().join("log").display().to_string();
    let few = ["--operations", "30", "--pin-file", &pin, "--log", &log];
    check("token test", &[&["token", "test", "new"], &few[..]].concat(), 0);
    check("token test --replay", &["token", "test", "--replay", &log], 0);
    let password = home.private("password", "a password\n");
    let file = home.dir.path().join("backup.pbe").display().to_string();
    let split = [
        "--threshold",
        "2",
        "--shares",
        "3",
        "--page-dir",
        "pages",
        "--without-terminal",
    ];
    check(
        "dkek create",
        &[&["dkek", "create", "shared.pbe"], &split[..]].concat(),
        0,
    );
    check(
        "dkek create",
        &["dkek", "create", &file, "--password-file", &password],
        0,
    );
    check("dkek inspect", &["dkek", "inspect", &file], 0);
    let page = ["--share-file", "pages/share-1-of-3.txt"];
    let words = [&["dkek", "check", "shared.commitments.json"], &page[..]].concat();
    check("dkek check", &words, 0);
    let unexplained = ["dkek", "doctor", "shared.pbe", "--kcv", "hsm=0102030405060708"];
    check("dkek doctor", &[&unexplained[..], &page].concat(), 7);
    home.run(&["vtoken", "create", "keyed"]).ok();
    let shares = ["--dkek-shares", "1"];
    home.run(&[&["token", "init", "keyed"], &pins[..], &shares].concat())
        .ok();
    let words = ["dkek", "import", &file, "keyed", "--password-file", &password];
    check("dkek import", &words, 0);
    let words = ["attest", "generate", "keyed", "secp256r1", "--label", "release"];
    let with = ["--pin-file", &pin];
    check("attest generate", &[&words[..], &with].concat(), 0);
    // Keys of a token, one from a file.
    let key_pin = home.private("key-pin", "648219");
    let opened = ["--pin-file", key_pin.as_str()];
    let with_pin = |words: &[&'static str]| [words, &opened[..]].concat();
    for algorithm in [
        &["P-256", "--label", "signing"][..],
        &["aes-256", "--label", "storage"],
    ] {
        let words = [&["token", "keys", "generate", "keyed"], algorithm].concat();
        check("token keys generate", &with_pin(&words), 0);
    }
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=web",
        ])
        .args(["-keyout", "web.key", "-out", "web.pem"])
        .current_dir(home.dir.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    home.private("message", "0123456789abcdef");
    let shares = ["--share", &file, "--share-password-file", &password];
    let import = with_pin(&["token", "keys", "import", "keyed", "web.key", "--label", "web"]);
    check("token unwrap", &[&import[..], &shares].concat(), 0);
    let iv = "000102030405060708090a0b0c0d0e0f";
    for (name, words) in [
        (
            "token cert store",
            &["token", "cert", "store", "keyed", "web", "web.pem"][..],
        ),
        ("token keys list", &["token", "keys", "list", "keyed"]),
        ("token keys list", &["token", "keys", "list", "keyed", "--long"]),
        ("token keys show", &["token", "keys", "show", "keyed", "signing"]),
        ("token keys show", &["token", "keys", "show", "keyed", "storage"]),
        (
            "token keys public",
            &["token", "keys", "public", "keyed", "signing"],
        ),
        ("token cert get", &["token", "cert", "get", "keyed", "signing"]),
        (
            "token cert get",
            &["token", "cert", "get", "keyed", "web", "--out", "got.pem"],
        ),
        (
            "token cert delete",
            &["token", "cert", "delete", "keyed", "web", "--yes"],
        ),
        (
            "token sign",
            &["token", "sign", "keyed", "signing", "--in", "message"],
        ),
        (
            "token sign",
            &[
                "token",
                "sign",
                "keyed",
                "signing",
                "--in",
                "message",
                "--out",
                "signature",
            ],
        ),
        (
            "token encrypt",
            &[
                "token", "encrypt", "keyed", "storage", "--iv", iv, "--in", "message",
            ],
        ),
        (
            "token encrypt",
            &[
                "token", "encrypt", "keyed", "storage", "--iv", iv, "--in", "message", "--out", "cipher",
            ],
        ),
        (
            "token decrypt",
            &[
                "token", "decrypt", "keyed", "storage", "--iv", iv, "--in", "cipher",
            ],
        ),
        (
            "token derive",
            &["token", "derive", "keyed", "storage", "--data", "for one purpose"],
        ),
        (
            "token wrap",
            &["token", "wrap", "keyed", "signing", "signing.wky"],
        ),
        ("token explore", &["token", "explore", "keyed"]),
        ("token dump", &["token", "dump", "keyed"]),
        (
            "token keys delete",
            &["token", "keys", "delete", "keyed", "signing", "--yes"],
        ),
        ("token unwrap", &["token", "unwrap", "keyed", "signing.wky"]),
    ] {
        // What needs no PIN takes none.
        let open = ["show", "list", "get", "public"].contains(&words[2]);
        let words = if open { words.to_vec() } else { with_pin(words) };
        check(name, &words, 0);
    }
    // A process that goes on says lines; pcscd's driver is no more than this to it.
    let slot = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = slot.local_addr().unwrap().port().to_string();
    let mut plugging = home
        .command(&["vtoken", "plug", "new", "--json", "--port", &port])
        .env("PCSCLITE_CSOCK_NAME", home.dir.path().join("none"))
        .stdout(Stdio::piped())
        .spawn()
        .map(Background)
        .unwrap();
    let mut lines = BufReader::new(plugging.0.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut told = Vec::new();
    while told.last().is_none_or(|line: &Value| line["event"] != "inserted") {
        told.push(lines.next().unwrap());
    }
    check("vtoken unplug", &["vtoken", "unplug", "new"], 0);
    told.extend(lines);
    assert!(plugging.0.wait().unwrap().success());
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert!(
        events.contains(&"warning") && events.ends_with(&["inserted", "unplugged"]),
        "{events:?}"
    );
    for line in &told {
        differences(&shapes, &shapes["vtoken plug"], line, "vtoken plug", &mut found);
    }
    seen.push("vtoken plug".to_owned());
    seen.sort();
    seen.dedup();
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(
        seen,
        shapes.keys().cloned().collect::<Vec<_>>(),
        "every shape is checked"
    );
}
