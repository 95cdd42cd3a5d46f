//! Imports into virtual tokens.

use std::fs;

use chancery_schsm::{KekShare, ShareFile, ShareFileKey};
use serde_json::Value;

use crate::{
    common::Home,
    guide::a_key_goes_to_the_second_token,
    terminal::Terminal,
    world::{Shared, file_key, share_file},
};

/// The PIN of tokens that are made here.
pub(crate) const PIN: &str = "648219";

/// Makes a virtual token that wants so many DKEK shares.
pub(crate) fn token(home: &Home, name: &str, shares: &str) {
    let (pin, so_pin) = (
        home.private("pin", &format!("{PIN}\n")),
        home.private("so-pin", "3537363231383830\n"),
    );
    home.run(&["vtoken", "create", name]).ok();
    let words = [
        "token",
        "init",
        name,
        "--dkek-shares",
        shares,
        "--pin-file",
        &pin,
        "--so-pin-file",
        &so_pin,
        "--yes",
    ];
    home.run(&words).ok();
}

fn kcv(home: &Home, name: &str) -> Value {
    let (code, info) = home.json(&["token", "info", name]);
    assert_eq!(code, 0, "{info}");
    info["domains"][0]["kcv"].clone()
}

#[test]
fn two_pairs_of_custodians_give_two_tokens_the_same_key() {
    let home = Home::new();
    token(&home, "hsm-a", "1");
    token(&home, "hsm-b", "1");
    let shared = Shared::within(home);
    let home = &shared.home;
    assert_eq!(kcv(home, "hsm-a"), Value::Null);

    let import = |name: &str, ids: &[usize], kcv: &str| {
        let shares = shared.shares(ids);
        home.run(&[&["dkek", "import", &shared.file, name, "--kcv", kcv], &*shares].concat())
    };
    // Another key is expected: nothing is imported.
    let unlike = import("hsm-a", &[1, 2], "0000000000000000");
    assert_eq!(unlike.code, 7, "{}", unlike.out);
    assert!(unlike.err.contains("nothing was imported"), "{}", unlike.err);
    assert_eq!(kcv(home, "hsm-a"), Value::Null);

    let imported = import("hsm-a", &[1, 2], &shared.kcv).ok();
    assert!(
        imported.out.contains("1, 0 still missing") && imported.out.contains(&shared.kcv),
        "{}",
        imported.out
    );

    // The other two type theirs.
    let mut terminal = Terminal::start(
        &home.command(&["dkek", "import", &shared.file, "hsm-b", "--typed", "2"]),
        80,
        24,
    );
    for id in [4, 3] {
        let page = shared.page(id);
        terminal.wait_for("Press Enter when you are ready. ");
        terminal.type_line("");
        for (prompt, line) in [
            ("Share ID    : ", id.to_string()),
            ("Share value : ", page.value.replace(':', "").to_uppercase()),
            ("its check ", String::new()),
            ("Page check ", String::new()),
        ] {
            terminal.wait_for(prompt);
            terminal.type_line(&line);
        }
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert_eq!(kcv(home, "hsm-b"), shared.kcv.as_str());
    assert_eq!(kcv(home, "hsm-a"), shared.kcv.as_str());

    let again = import("hsm-a", &[1, 2], &shared.kcv);
    assert_eq!(again.code, 6, "{}", again.out);
    assert!(
        again.err.contains("has all its shares; its KCV is"),
        "{}",
        again.err
    );
    let nowhere = home.run(&[
        "dkek",
        "import",
        &shared.file,
        "hsm-z",
        "--share-file",
        &shared.pages[0],
    ]);
    assert_eq!(nowhere.code, 5, "{}", nowhere.err);
    a_key_goes_to_the_second_token(home);
}

#[test]
fn a_key_of_two_shares_says_how_many_are_missing() {
    let home = Home::new();
    token(&home, "hsm-a", "2");
    let shared = Shared::within(home);
    let home = &shared.home;
    let password = home.private("pw", "secret\n");
    let first = share_file(home, "vectors/dkek-share.pbe.hex");
    let (code, one) = home.json(&["dkek", "import", &first, "hsm-a", "--password-file", &password]);
    assert_eq!(
        (code, &one["outstanding"], &one["kcv"]),
        (0, &1.into(), &Value::Null),
        "{one}"
    );
    assert_eq!(one["share_kcv"], "FCD76B667D1B2EBF");
    let words = [
        &[
            "dkek",
            "import",
            &shared.file,
            "hsm-a",
            "--kcv",
            "0102030405060708",
        ],
        &*shared.shares(&[1, 4]),
    ]
    .concat();
    let complete = home.run(&words);
    assert_eq!(complete.code, 7, "{}", complete.out);
    assert!(
        complete.err.contains("has all its shares, and its KCV is")
            && complete.err.contains("a share was another one"),
        "{}",
        complete.err
    );
    let words = [
        &[
            "dkek",
            "doctor",
            &first,
            &shared.file,
            "--password-file",
            &password,
            "--token",
            "hsm-a",
        ],
        &*shared.shares(&[1, 4]),
    ]
    .concat();
    let found = home.run(&words).ok();
    assert!(
        found.out.contains("everything given belongs together"),
        "{}",
        found.out
    );
}

#[test]
fn a_share_that_is_imported_twice_is_no_success() {
    let home = Home::new();
    token(&home, "hsm-a", "2");
    let password = home.private("pw", "secret\n");
    let file = share_file(&home, "vectors/dkek-share.pbe.hex");
    let words = ["dkek", "import", &file, "hsm-a", "--password-file", &password];
    home.run(&words).ok();
    let twice = home.run(&words);
    assert_eq!(twice.code, 7, "{}", twice.out);
    for said in [
        "its DKEK is all zeros: the same share was imported twice",
        "wrap no key under it",
        "initialise the token",
    ] {
        assert!(twice.err.contains(said), "{said}: {}", twice.err);
    }
    // The token has that key all the same, and the doctor knows it without any file.
    assert_eq!(kcv(&home, "hsm-a"), "66687AADF862BD77");
    let doctor = home.run(&["dkek", "doctor", "--token", "hsm-a"]);
    assert_eq!(doctor.code, 7, "{}", doctor.out);
    assert!(doctor.out.contains("is all zeros"), "{}", doctor.out);
}

#[test]
fn padding_that_is_right_in_its_last_byte_only_is_not_imported() {
    let home = Home::new();
    token(&home, "hsm-a", "1");
    let password = home.private("pw", "secret\n");
    // The plaintext ends in 01: a tool that only takes padding off would import its first 32 bytes.
    let file = ShareFile::seal(
        &KekShare::new([7; 32]),
        [5; 8],
        &ShareFileKey::from_parts([0; 32], [0; 16]),
    );
    // Of the password "secret" with this salt.
    let key = file_key(
        "6fce423c6f446c452504ab9d33504198ad9d33bdf2b1a05bb1e3d8f801525ee3c046e1c7cedeff11043f7468394bb750",
    );
    let mut found = None;
    for salt_like in 0..=u16::MAX {
        // Any body will do whose last byte comes out as 01.
        let mut bytes = file.to_bytes();
        bytes[16..18].copy_from_slice(&salt_like.to_be_bytes());
        bytes[32..34].copy_from_slice(&salt_like.to_be_bytes());
        bytes[62..].copy_from_slice(&salt_like.to_be_bytes());
        let candidate = ShareFile::parse(&bytes).unwrap();
        if candidate.open_by_padding_alone(&key).is_some() && candidate.open(&key).is_err() {
            found = Some(bytes);
            break;
        }
    }
    fs::write(home.dir.path().join("lax.pbe"), found.unwrap()).unwrap();
    let refused = home.run(&["dkek", "import", "lax.pbe", "hsm-a", "--password-file", &password]);
    assert_eq!(refused.code, 7, "{}", refused.out);
    assert!(
        refused.err.contains("wrong password, or damaged share file"),
        "{}",
        refused.err
    );
    assert_eq!(kcv(&home, "hsm-a"), Value::Null);
}

#[test]
fn a_token_without_a_key_domain_is_refused_before_anybody_types() {
    let home = Home::new();
    home.run(&["vtoken", "create", "plain", "--init", "--rehearsal"])
        .ok();
    let file = share_file(&home, "vectors/dkek-share.pbe.hex");
    let refused = home.run(&["dkek", "import", &file, "plain"]);
    assert_eq!(refused.code, 6, "{}", refused.err);
    assert!(refused.err.contains("no key domain 0"), "{}", refused.err);
}
