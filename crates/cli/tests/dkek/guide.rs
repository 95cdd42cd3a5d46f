//! The published guide to m-of-n backup: by `sc-hsm-tool`, by us, and half by each.

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged, judge, opensc_module},
    tool::{Pair, tool_kcv},
    world::Page,
};

const PIN: &str = "648219";
const SO_PIN: &str = "3537363231383830";

/// `pkcs11-tool` on the token with this label, with its PIN.
fn pkcs11(pcscd: &Pcscd, label: &str, args: &[&str]) -> Ended {
    let module = opensc_module();
    let head = [
        "--module",
        &module,
        "--token-label",
        label,
        "--login",
        "--pin",
        PIN,
    ];
    pcscd.client("pkcs11-tool", &[&head[..], args].concat())
}

/// Whether the token with this label signs with the key whose public part is in `key.pub`.
#[track_caller]
fn signs(pcscd: &Pcscd, label: &str) {
    pcscd.write("letter", format!("a letter signed by {label}"));
    let words = [
        "--sign",
        "--mechanism",
        "ECDSA-SHA256",
        "--signature-format",
        "openssl",
        "--id",
        "10",
        "--input-file",
        "letter",
        "--output-file",
        "letter.sig",
    ];
    pkcs11(pcscd, label, &words).ok();
    let verify = [
        "dgst",
        "-sha256",
        "-verify",
        "key.pub",
        "-signature",
        "letter.sig",
        "letter",
    ];
    let said = judge(&pcscd.file(""), "openssl", &verify).ok().out;
    assert!(said.contains("Verified OK"), "{said}");
}

/// Generates the guide's key on the first token with Debian's tools; its public part is in `key.pub`.
fn generate(pcscd: &Pcscd, label: &str) {
    let words = [
        "--keypairgen",
        "--key-type",
        "EC:prime256v1",
        "--id",
        "10",
        "--label",
        "k",
    ];
    pkcs11(pcscd, label, &words).ok();
    let words = ["--reader", "0", "--read-public-key", "10", "--output", "key.pub"];
    pcscd.client("pkcs15-tool", &words).ok();
}

/// Prime, and id and value of each share, of what the tool showed.
fn shown(screen: &str) -> (String, Vec<(String, String)>) {
    let all = |name: &str| -> Vec<String> {
        screen
            .lines()
            .filter_map(|line| Some(line.strip_prefix(name)?.split_once(": ")?.1.trim().to_owned()))
            .collect()
    };
    let prime = all("Prime ").swap_remove(0);
    let shares = all("Share ID ").into_iter().zip(all("Share value ")).collect();
    (prime, shares)
}

/// By the tool alone, in the guide's order.
#[test]
fn the_commands_of_the_guide_work_as_printed() {
    let home = Home::new();
    home.run(&["vtoken", "create", "hsm-a", "hsm-b"]).ok();
    let pair = Pair::plug(home);
    let screen = pair.tool_shares("dkek.pbe");
    let (prime, shares) = shown(&screen);
    assert_eq!(shares.len(), 4, "{screen}");
    let file = pair.pcscd.read("dkek.pbe");
    assert_eq!((file.len(), &file[..8]), (64, &b"Salted__"[..]));
    for (reader, label) in [("0", "a"), ("1", "b")] {
        let words = [
            "--reader",
            reader,
            "--initialize",
            "--so-pin",
            SO_PIN,
            "--pin",
            PIN,
            "--dkek-shares",
            "1",
            "--label",
            label,
        ];
        pair.pcscd.client("sc-hsm-tool", &words).ok();
    }
    let first = tool_kcv(&pair.tool_import("0", "dkek.pbe", &prime, &shares[..2]));
    let status = pair.pcscd.client("sc-hsm-tool", &["--reader", "0"]).ok().out;
    assert_eq!(tool_kcv(&status), first);
    generate(&pair.pcscd, "a");
    signs(&pair.pcscd, "a");
    let wrap = [
        "--reader",
        "0",
        "--wrap-key",
        "k.bin",
        "--key-reference",
        "1",
        "--pin",
        PIN,
    ];
    pair.pcscd.client("sc-hsm-tool", &wrap).ok();
    // Before the second token has the shares it has no use for the blob.
    let unwrap = [
        "--reader",
        "1",
        "--unwrap-key",
        "k.bin",
        "--key-reference",
        "1",
        "--pin",
        PIN,
        "--force",
    ];
    assert_ne!(pair.pcscd.client("sc-hsm-tool", &unwrap).code, 0);
    assert_eq!(
        tool_kcv(&pair.tool_import("1", "dkek.pbe", &prime, &shares[2..])),
        first,
        "the other two have the same key"
    );
    pair.pcscd.client("sc-hsm-tool", &unwrap).ok();
    signs(&pair.pcscd, "b");
    let words = ["--reader", "1", "--read-public-key", "10", "--output", "b.pub"];
    pair.pcscd.client("pkcs15-tool", &words).ok();
    assert_eq!(pair.pcscd.read("b.pub"), pair.pcscd.read("key.pub"));

    // The doctor knows all of it: file, shares, both tokens, the wrapped key.
    let shares = pair.home.private("screen.txt", &screen);
    let (file, wrapped) = (pair.theirs("dkek.pbe"), pair.theirs("k.bin"));
    let words = [
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &shares,
        "--token",
        "hsm-a",
        "--token",
        "hsm-b",
        "--wrapped",
        &wrapped,
    ];
    let found = pair.ours(&words).ok();
    assert!(
        found.out.contains("everything given belongs together"),
        "{}",
        found.out
    );
    assert!(
        found
            .out
            .contains("4 password shares belong together; 2 of them are enough"),
        "{}",
        found.out
    );

    // A blob is for its key domain: after another initialisation it is bytes like any.
    let words = [
        "--reader",
        "1",
        "--initialize",
        "--so-pin",
        SO_PIN,
        "--pin",
        PIN,
        "--label",
        "c",
    ];
    pair.pcscd.client("sc-hsm-tool", &words).ok();
    assert_ne!(pair.pcscd.client("sc-hsm-tool", &unwrap).code, 0);
}

/// The rest of the guide with our commands alone, in a home whose two tokens have the same shares: a key of the first signs in
/// the second.
pub(crate) fn a_key_goes_to_the_second_token(home: &Home) {
    let pin = home.private("user-pin", "648219\n");
    let keys = [
        "token",
        "keys",
        "generate",
        "hsm-a",
        "P-256",
        "--label",
        "k",
        "--pin-file",
        &pin,
    ];
    home.run(&keys).ok();
    home.run(&["token", "wrap", "hsm-a", "k", "k.wky", "--pin-file", &pin])
        .ok();
    home.run(&["token", "unwrap", "hsm-b", "k.wky", "--pin-file", &pin])
        .ok();

    // The replacement signs with the first one's key: the judge is openssl, through OpenSC's module.
    let (pcscd, _plugged) = plugged(home);
    let words = ["--reader", "0", "--list-public-keys"];
    let listed = pcscd.client("pkcs15-tool", &words).ok().out;
    let id = listed
        .lines()
        .find_map(|line| line.trim().strip_prefix("ID"))
        .and_then(|rest| rest.split_once(": "))
        .unwrap()
        .1
        .trim()
        .to_owned();
    let words = ["--reader", "0", "--read-public-key", &id, "--output", "key.pub"];
    pcscd.client("pkcs15-tool", &words).ok();
    pcscd.write("letter", "signed by the replacement");
    let (letter, signature) = (pcscd.file("letter"), pcscd.file("letter.sig"));
    let (letter, signature) = (letter.to_str().unwrap(), signature.to_str().unwrap());
    let words = [
        "token",
        "sign",
        "hsm-b",
        "k",
        "--in",
        letter,
        "--out",
        signature,
        "--pin-file",
        &pin,
    ];
    home.run(&words).ok();
    let verify = [
        "dgst",
        "-sha256",
        "-verify",
        "key.pub",
        "-signature",
        "letter.sig",
        "letter",
    ];
    judge(&pcscd.file(""), "openssl", &verify).ok();
}

/// A pcscd with the first token of a home, and the second one left to our own commands.
fn plugged(home: &Home) -> (Pcscd, Plugged) {
    let pcscd = Pcscd::start();
    let plugged = Plugged::into(&pcscd, home, &["hsm-a"]);
    (pcscd, plugged)
}

#[test]
fn half_with_each() {
    let pair = Pair::new();
    let pin = pair.home.private("user-pin", "648219\n");
    let screen = pair.tool_shares("dkek.pbe");
    let (prime, shares) = shown(&screen);
    let file = pair.theirs("dkek.pbe");
    // Shares made by the tool, two of which are imported by us.
    let two: String = shares[..2]
        .iter()
        .map(|(id, value)| format!("{prime} {id} {value}\n"))
        .collect();
    let two = pair.home.private("two.txt", &two);
    let words = ["dkek", "import", &file, "hsm-a", "--share-file", &two, "--json"];
    let imported: serde_json::Value = serde_json::from_str(&pair.ours(&words).ok().out).unwrap();
    // Two others of them open the file for new shares of ours, two of which are imported by the tool: it has the same key.
    let other: String = shares[2..]
        .iter()
        .map(|(id, value)| format!("{prime} {id} {value}\n"))
        .collect();
    let other = pair.home.private("other.txt", &other);
    let out = pair.theirs("ours.pbe");
    let words = [
        "dkek",
        "resplit",
        &file,
        "--share-file",
        &other,
        "--out",
        &out,
        "--threshold",
        "2",
        "--shares",
        "3",
        "--page-dir",
        "pages",
        "--without-terminal",
    ];
    let resplit = pair.home.run(&words).ok();
    assert!(resplit.err.contains("stay valid"), "{}", resplit.err);
    let pages = [3, 1].map(|id| {
        let path = pair.home.dir.path().join(format!("pages/share-{id}-of-3.txt"));
        (id.to_string(), Page::read(&path))
    });
    assert_ne!(pages[0].1.prime, prime);
    let typed = pages
        .each_ref()
        .map(|(id, page)| (id.clone(), page.value.clone()));
    let kcv = tool_kcv(&pair.tool_import("1", "ours.pbe", &pages[0].1.prime, &typed));
    assert_eq!(imported["kcv"], kcv.as_str());

    // Generated and wrapped by us, unwrapped by the tool.
    let words = [
        "token",
        "keys",
        "generate",
        "hsm-a",
        "P-256",
        "--label",
        "k",
        "--id",
        "1",
        "--cka-id",
        "10",
        "--pin-file",
        &pin,
    ];
    pair.ours(&words).ok();
    let words = ["--reader", "0", "--read-public-key", "10", "--output", "key.pub"];
    pair.pcscd.client("pkcs15-tool", &words).ok();
    let ours = pair.theirs("ours.wky");
    pair.ours(&["token", "wrap", "hsm-a", "k", &ours, "--pin-file", &pin])
        .ok();
    let unwrap = [
        "--reader",
        "1",
        "--unwrap-key",
        "ours.wky",
        "--key-reference",
        "1",
        "--pin",
        PIN,
    ];
    pair.pcscd.client("sc-hsm-tool", &unwrap).ok();
    let signed = |name: &str, key: &str| {
        pair.pcscd.write("letter", format!("signed by {name}"));
        let (letter, signature) = (pair.theirs("letter"), pair.theirs("letter.sig"));
        let _ = std::fs::remove_file(&signature);
        let words = [
            "token",
            "sign",
            name,
            key,
            "--in",
            &letter,
            "--out",
            &signature,
            "--pin-file",
            &pin,
        ];
        pair.ours(&words).ok();
        let verify = [
            "dgst",
            "-sha256",
            "-verify",
            "key.pub",
            "-signature",
            "letter.sig",
            "letter",
        ];
        judge(&pair.pcscd.file(""), "openssl", &verify).ok();
    };
    signed("hsm-b", "k");

    // Wrapped by the tool there, unwrapped by us here under another id.
    let wrap = [
        "--reader",
        "1",
        "--wrap-key",
        "theirs.bin",
        "--key-reference",
        "1",
        "--pin",
        PIN,
    ];
    pair.pcscd.client("sc-hsm-tool", &wrap).ok();
    pair.ours(&[
        "token",
        "keys",
        "delete",
        "hsm-a",
        "k",
        "--yes",
        "--pin-file",
        &pin,
    ])
    .ok();
    let theirs = pair.theirs("theirs.bin");
    pair.ours(&["token", "unwrap", "hsm-a", &theirs, "--pin-file", &pin])
        .ok();
    signed("hsm-a", "k");
}
