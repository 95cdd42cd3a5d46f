//! Backup shares and wrapped keys, by sc-hsm-tool alone.

use crate::{
    pcscd::{Pcscd, Plugged},
    token::{PIN, SO_PIN, home_with},
};

/// Password shares as sc-hsm-tool prints them.
struct Shares {
    prime: String,
    shares: Vec<(String, String)>,
}

impl Shares {
    /// From what `--create-dkek-share` shows.
    fn shown(text: &str) -> Self {
        let all = |name: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix(':'))
                .map(|value| value.trim().to_owned())
                .collect()
        };
        let primes = all("Prime");
        assert!(
            !primes.is_empty() && primes.iter().all(|prime| *prime == primes[0]),
            "{text}"
        );
        let shares = all("Share ID").into_iter().zip(all("Share value"));
        Self {
            prime: primes[0].clone(),
            shares: shares.collect(),
        }
    }

    /// What two custodians type at `--import-dkek-share`: the prime, then each of them a line feed, id and value.
    fn typed(&self, which: [usize; 2]) -> String {
        let mut text = format!("{}\n", self.prime);
        for (id, value) in which.map(|number| &self.shares[number]) {
            text.push_str(&format!("\n{id}\n{value}\n"));
        }
        text.push_str("\n\n\n");
        text
    }
}

/// The key check value that sc-hsm-tool shows.
fn kcv(text: &str) -> String {
    let shown = text
        .lines()
        .find_map(|line| line.strip_prefix("DKEK key check value : "));
    let value = shown.unwrap_or_else(|| panic!("{text}")).trim().to_owned();
    assert_eq!(value.len(), 16, "{text}");
    value
}

/// The commands of the guide to m-of-n backup, in its order.
#[test]
fn two_of_four_custodians_bring_a_key_to_a_replacement() {
    let home = home_with(&["a", "b"]);
    let pcscd = Pcscd::start();
    let _plugged = Plugged::into(&pcscd, &home, &["a", "b"]);
    let tool = |args: &[&str]| pcscd.client("sc-hsm-tool", args).ok().out;
    let made = pcscd.tool_shares("dkek.pbe");
    let shares = Shares::shown(&made);
    assert_eq!(shares.shares.len(), 4, "{made}");
    let file = pcscd.read("dkek.pbe");
    assert_eq!((file.len(), &file[..8]), (64, &b"Salted__"[..]));

    let import = |reader: &str, which| {
        let words = [
            "-r",
            reader,
            "--import-dkek-share",
            "dkek.pbe",
            "--pwd-shares-total",
            "2",
        ];
        pcscd
            .client_with_input("sc-hsm-tool", &words, &shares.typed(which))
            .ok()
            .out
    };
    for (reader, label) in [("0", "a"), ("1", "b")] {
        tool(&[
            "-r",
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
        ]);
    }
    let first = kcv(&import("0", [0, 1]));
    assert_eq!(kcv(&tool(&["-r", "0"])), first);
    let key = [
        "--keypairgen",
        "--key-type",
        "EC:prime256v1",
        "--id",
        "10",
        "--label",
        "k",
    ];
    pcscd.pkcs11(&[&["-l", "--pin", PIN][..], &key].concat()).ok();
    tool(&["--wrap-key", "k.bin", "--key-reference", "1", "--pin", PIN]);

    // Before the second token has the shares it has no use for the blob.
    let unwrap = [
        "-r",
        "1",
        "--unwrap-key",
        "k.bin",
        "--key-reference",
        "1",
        "--pin",
        PIN,
        "--force",
    ];
    assert_ne!(pcscd.client("sc-hsm-tool", &unwrap).code, 0);
    assert_eq!(
        kcv(&import("1", [2, 3])),
        first,
        "the other two have the same key"
    );
    tool(&unwrap);

    let public = |reader: &str, name: &str| {
        pcscd
            .client(
                "pkcs15-tool",
                &["--reader", reader, "--read-public-key", "10", "--output", name],
            )
            .ok();
        pcscd.read(name)
    };
    assert_eq!(public("0", "a.pub"), public("1", "b.pub"));
    pcscd.write("message", "signed by the replacement");
    pcscd
        .pkcs11(&[
            "--slot-index",
            "1",
            "-l",
            "--pin",
            PIN,
            "--sign",
            "--id",
            "10",
            "-m",
            "ECDSA-SHA256",
            "--input-file",
            "message",
            "--output-file",
            "signature",
            "--signature-format",
            "openssl",
        ])
        .ok();
    let words = [
        "dgst",
        "-sha256",
        "-verify",
        "a.pub",
        "-signature",
        "signature",
        "message",
    ];
    crate::pcscd::judge(&pcscd.file(""), "openssl", &words).ok();

    // A blob is for its key domain: after another initialisation it is bytes like any.
    tool(&[
        "-r",
        "1",
        "--initialize",
        "--so-pin",
        SO_PIN,
        "--pin",
        PIN,
        "--label",
        "c",
    ]);
    assert_ne!(pcscd.client("sc-hsm-tool", &unwrap).code, 0);
}

#[test]
fn a_share_file_under_a_password_is_made_and_imported() {
    let token = crate::token::Token::new();
    token.initialise(&["--dkek-shares", "1"]);
    let tool = |args: &[&str]| token.pcscd.client("sc-hsm-tool", args).ok().out;
    tool(&["--create-dkek-share", "a.pbe", "--password", "correct horse"]);
    let file = token.pcscd.read("a.pbe");
    assert_eq!((file.len(), &file[..8]), (64, &b"Salted__"[..]));
    assert!(token.status().contains("1 share(s) still missing"));
    let imported = tool(&["--import-dkek-share", "a.pbe", "--password", "correct horse"]);
    assert_eq!(kcv(&imported), kcv(&token.status()));

    // Away and back: the key is what it was.
    token.generate("rsa:2048", "11", "k");
    tool(&["--wrap-key", "k.bin", "--key-reference", "1", "--pin", PIN]);
    token
        .logged_in(&["--delete-object", "--type", "privkey", "--id", "11"])
        .ok();
    assert!(
        !token
            .logged_in(&["--list-objects", "--type", "privkey"])
            .ok()
            .out
            .contains("ID:         11")
    );
    tool(&[
        "--unwrap-key",
        "k.bin",
        "--key-reference",
        "1",
        "--pin",
        PIN,
        "--force",
    ]);
    token.pcscd.write("message", "signed after its return");
    token
        .logged_in(&[
            "--sign",
            "--id",
            "11",
            "-m",
            "SHA256-RSA-PKCS",
            "--input-file",
            "message",
            "--output-file",
            "signature",
        ])
        .ok();
    token
        .openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            "11.pub",
            "-signature",
            "signature",
            "message",
        ])
        .ok();
}
