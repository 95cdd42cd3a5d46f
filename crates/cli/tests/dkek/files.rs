//! Share files and password shares as files.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    common::Home,
    world::{Shared, foreign_page, share_file},
};

#[test]
fn any_two_shares_open_the_file_and_nothing_else_does() {
    let shared = Shared::new();
    let home = &shared.home;
    let (code, found) = shared.inspect(&[4, 3]);
    assert_eq!(
        (code, found["kcv"].as_str()),
        (0, Some(shared.kcv.as_str())),
        "{found}"
    );
    let (code, one) = shared.inspect(&[2]);
    assert_eq!(code, 7);
    let message = one["message"].as_str().unwrap();
    assert!(
        message.contains("1 different shares are too few: 2 are needed"),
        "{message}"
    );

    // The same one twice is one.
    let (code, twice) = shared.inspect(&[2, 2]);
    assert_eq!(code, 7);
    let message = twice["message"].as_str().unwrap();
    assert!(
        message.contains("is the same share as") && message.contains("too few"),
        "{message}"
    );

    // A digit that is wrong: the share and the group are named, and nothing was derived.
    let page = shared.page(3);
    let digit = if page.value.starts_with('0') { "1" } else { "0" };
    let wrong = page
        .text
        .replacen(&page.value, &format!("{digit}{}", &page.value[1..]), 1);
    let wrong = home.private("wrong.txt", &wrong);
    let mistyped = home.run(&[
        "dkek",
        "inspect",
        &shared.file,
        "--share-file",
        &shared.pages[0],
        "--share-file",
        &wrong,
    ]);
    assert_eq!(mistyped.code, 7);
    assert!(
        mistyped.err.contains("share 3 (") && mistyped.err.contains("group 1 of the share value is mistyped"),
        "{}",
        mistyped.err
    );

    // A share of another set.
    let foreign = foreign_page(home);
    let mixed = home.run(&[
        "dkek",
        "inspect",
        &shared.file,
        "--share-file",
        &shared.pages[0],
        "--share-file",
        &foreign,
    ]);
    assert_eq!(mixed.code, 7, "{}", mixed.err);
    let three = [
        &["dkek", "inspect", shared.file.as_str()],
        &*shared.shares(&[1, 2]),
        &["--share-file", &foreign],
    ]
    .concat();
    let three = home.run(&three).ok();
    assert!(
        three.out.contains("has another prime: it is of another set") && three.out.contains(&shared.kcv),
        "{}",
        three.out
    );

    // What is there is not replaced, and others may not read pages or the file.
    let again = home.run(&["dkek", "create", "backup.pbe", "--password-file", "-"]);
    assert_eq!(again.code, 6, "{}", again.err);
    for name in shared.pages.iter().chain([&shared.file]) {
        let mode = fs::metadata(home.dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    fs::set_permissions(
        home.dir.path().join(&shared.pages[0]),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let open = home.run(
        &[
            &["dkek", "inspect", shared.file.as_str()],
            &*shared.shares(&[1, 2]),
        ]
        .concat(),
    );
    assert_eq!(open.code, 3);
    assert!(open.err.contains("chmod 600"), "{}", open.err);
}

#[test]
fn a_password_becomes_shares_and_shares_a_password_again() {
    let home = Home::new();
    let file = share_file(&home, "vectors/dkek-share.pbe.hex");
    let (password, new) = (
        home.private("pw", "secret\n"),
        home.private("pw2", "another one\n"),
    );
    let split = [
        "--threshold",
        "3",
        "--shares",
        "4",
        "--page-dir",
        "four",
        "--without-terminal",
    ];
    let words = [
        &[
            "dkek",
            "convert",
            &file,
            "--out",
            "b.pbe",
            "--password-file",
            &password,
        ][..],
        &split,
    ]
    .concat();
    let converted = home.run(&words).ok();
    assert!(
        converted.out.contains("KCV") && converted.out.contains("FCD76B667D1B2EBF"),
        "{}",
        converted.out
    );

    let shares = [4, 1, 2].map(|id| format!("four/share-{id}-of-4.txt"));
    let words = [
        "dkek",
        "convert",
        "b.pbe",
        "--out",
        "d.pbe",
        "--new-password-file",
        &new,
    ];
    let shares = shares.iter().flat_map(|page| ["--share-file", page.as_str()]);
    home.run(&words.into_iter().chain(shares).collect::<Vec<_>>())
        .ok();

    let unlike = home.run(&[
        "dkek",
        "inspect",
        "d.pbe",
        "--password-file",
        &new,
        "--kcv",
        "0000000000000000",
    ]);
    assert_eq!(unlike.code, 7);
    assert!(
        unlike.out.contains("FCD76B667D1B2EBF") && unlike.out.contains("DOES NOT FIT"),
        "{}",
        unlike.out
    );
}

#[test]
fn a_custodian_checks_a_page_at_home() {
    let shared = Shared::new();
    let home = &shared.home;
    let check = |page: &str| home.run(&["dkek", "check", "backup.commitments.json", "--share-file", page]);
    let good = check(&shared.pages[1]).ok();
    assert!(
        good.out.contains("share 2 is the one") && good.out.contains("not proven"),
        "{}",
        good.out
    );

    // By hand, as the page says, with another program.
    let page = shared.page(2);
    let line = |name: &str| {
        let line = page.text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>();
    let bytes = digits(&line("Nonce")) + &digits(&line("Set")) + "02" + &digits(&page.value);
    fs::write(home.dir.path().join("bytes"), hex::decode(bytes).unwrap()).unwrap();
    let judge = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-r", "bytes"])
        .current_dir(home.dir.path())
        .output()
        .unwrap();
    let judge = String::from_utf8(judge.stdout).unwrap();
    let commitment = line("Commitment");
    assert!(judge.starts_with(&commitment), "{judge}");
    let public = fs::read_to_string(home.dir.path().join("backup.commitments.json")).unwrap();
    assert!(
        public.contains(&commitment) && !public.contains(&page.value) && !public.contains(&line("Nonce"))
    );

    // Altered in one digit, where the check digits were altered with it: the commitment finds it.
    let digit = if page.value.starts_with('0') { "1" } else { "0" };
    let altered = page
        .text
        .replacen(&page.value, &format!("{digit}{}", &page.value[1..]), 1)
        .lines()
        .filter(|line| !line.starts_with("Page check"))
        .map(|line| line.split("  check").next().unwrap().to_owned() + "\n")
        .collect::<String>();
    let altered = home.private("altered.txt", &altered);
    let refused = check(&altered);
    assert_eq!(refused.code, 7, "{}", refused.out);
    assert!(
        refused.err.contains("share 2 does not fit its commitment"),
        "{}",
        refused.err
    );

    let foreign = foreign_page(home);
    let refused = check(&foreign);
    assert_eq!(refused.code, 7);
    assert!(refused.err.contains("the page is of set"), "{}", refused.err);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let home = Home::new();
    let short = home.private("short", "12345\n");
    for (words, code, said) in [
        (
            &[
                "dkek",
                "create",
                "x.pbe",
                "--threshold",
                "2",
                "--shares",
                "10",
                "--page-dir",
                "p",
                "--without-terminal",
            ][..],
            3,
            "at most 9",
        ),
        (
            &[
                "dkek",
                "create",
                "x.pbe",
                "--threshold",
                "1",
                "--shares",
                "3",
                "--page-dir",
                "p",
                "--without-terminal",
            ],
            3,
            "at least 2",
        ),
        (&["dkek", "create", "x.pbe", "--threshold", "2"], 2, ""),
        (
            &[
                "dkek",
                "create",
                "x.pbe",
                "--threshold",
                "2",
                "--shares",
                "3",
                "--without-terminal",
            ],
            2,
            "",
        ),
        (
            &["dkek", "create", "x.pbe", "--threshold", "2", "--shares", "3"],
            3,
            "there is no terminal",
        ),
        (&["dkek", "create", "x.pbe"], 3, "no terminal to ask at"),
        (
            &["dkek", "create", "none/x.pbe", "--password-file", &short],
            5,
            "cannot write",
        ),
        (
            &["dkek", "create", "x.pbe", "--password-file", &short],
            3,
            "a password has 6 to 127 bytes",
        ),
        (
            &["dkek", "resplit", "x.pbe", "--out", "y.pbe"],
            2,
            "say how to split",
        ),
        (&["dkek", "inspect", &short], 3, "a share file has 64 bytes"),
        (&["dkek", "doctor"], 2, "nothing to look at"),
    ] {
        let ended = home.run(words);
        assert_eq!(ended.code, code, "{words:?}: {}", ended.err);
        assert!(ended.err.contains(said), "{words:?}: {}", ended.err);
        assert!(!home.dir.path().join("x.pbe").exists());
    }
}
