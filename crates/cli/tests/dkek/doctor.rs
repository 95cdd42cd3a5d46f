//! Defective sets: recognised and mended.

use std::fs;

use chancery_schsm::{Kek, ShareFile};

use crate::{
    common::Home,
    world::{old_file, old_shares, share_file, testdata},
};

const IMPORTED: &str = "C4DA565080E886D9";

#[test]
fn a_password_that_lost_its_leading_zero_is_recognised_and_mended() {
    let home = Home::new();
    let secret = 0x0092_FE84_53AD_89FF;
    let (file, kcv) = old_file(&home, "old.pbe", secret);
    let shares = home.private(
        "shares.txt",
        &old_shares(secret, 0x1234_5678_9ABC_DEF0, 3)[1..].concat(),
    );
    let new = home.private("pw", "a new password\n");
    let words = ["dkek", "doctor", &file, "--share-file", &shares];
    let (code, found) = home.json(&words);
    assert_eq!(
        (code, &found["findings"][0]["code"]),
        (7, &"leading-zeros".into()),
        "{found}"
    );
    assert_eq!(found["keys"][0]["kcv"], kcv.as_str());

    let mended = [
        &words[..],
        &["--mend", "new.pbe", "--new-password-file", &new, "--kcv", &kcv],
    ]
    .concat();
    let mended = home.run(&mended).ok();
    assert!(
        mended
            .out
            .contains("begins with a zero byte, which sc-hsm-tool drops"),
        "{}",
        mended.out
    );
    home.run(&[
        "dkek",
        "inspect",
        "new.pbe",
        "--password-file",
        &new,
        "--kcv",
        &kcv,
    ])
    .ok();
}

#[test]
fn ids_of_ten_and_more_are_recognised_and_mended() {
    let home = Home::new();
    let secret = 0x2792_FE84_53AD_89FF;
    let (file, kcv) = old_file(&home, "old.pbe", secret);
    let all = old_shares(secret, 0x1234_5678_9ABC_DEF0, 12);
    let shares = home.private("shares.txt", &[all[9].clone(), all[11].clone()].concat());
    let words = [
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &shares,
        "--mend",
        "new.pbe",
    ];
    let split = [
        "--threshold",
        "2",
        "--shares",
        "3",
        "--page-dir",
        "pages",
        "--without-terminal",
    ];
    let (code, found) = home.json(&[&words[..], &split].concat());
    assert_eq!(
        (code, &found["findings"][0]["code"]),
        (0, &"ambiguous-ids".into()),
        "{found}"
    );
    let said = found["findings"][0]["text"].as_str().unwrap();
    assert!(said.contains("type a for 10, c for 12"), "{said}");
    assert_eq!(found["mended"]["kcv"], kcv.as_str());
    let words = [
        "dkek",
        "inspect",
        "new.pbe",
        "--share-file",
        "pages/share-1-of-3.txt",
        "--share-file",
        "pages/share-2-of-3.txt",
        "--kcv",
        &kcv,
    ];
    home.run(&words).ok();
}

#[test]
fn a_wrong_key_in_a_token_is_computed_from_what_was_typed() {
    let home = Home::new();
    let file = share_file(&home, "dkek/wrong-share.pbe.hex");
    let printed = home.private("printed.txt", &testdata("dkek/wrong-share-printed.txt"));
    let typed = home.private("typed.txt", &testdata("dkek/wrong-share-typed.txt"));
    let new = home.private("pw", "a new password\n");
    let target = format!("signer={IMPORTED}");
    let words = [
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &printed,
        "--as-typed",
        &typed,
        "--kcv",
        &target,
    ];
    let (code, found) = home.json(&words);
    assert_eq!(code, 7, "{found}");
    let codes: Vec<_> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["one-set", "wrong-key-imported"], "{found}");
    assert_eq!(
        (&found["targets"][0]["explained"], &found["tried"]),
        (&true.into(), &2.into())
    );

    home.run(&[&words[..], &["--mend", "real.pbe", "--new-password-file", &new]].concat())
        .ok();
    let real = fs::read(home.dir.path().join("real.pbe")).unwrap();
    let real = ShareFile::parse(&real).unwrap();
    let share = real.open(&real.derive(b"a new password", |_| ())).unwrap();
    assert_eq!(Kek::from(share).kcv().to_string(), IMPORTED);
}

#[test]
fn without_the_shares_it_says_what_can_still_be_done() {
    let home = Home::new();
    let file = share_file(&home, "dkek/wrong-share.pbe.hex");
    let printed = home.private("printed.txt", &testdata("dkek/wrong-share-printed.txt"));
    // The right shares alone, few tries: the key in the token stays unknown.
    let target = format!("signer={IMPORTED}");
    let words = [
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &printed,
        "--kcv",
        &target,
        "--effort",
        "1",
    ];
    let lost = home.run(&words);
    assert_eq!(lost.code, 7, "{}", lost.out);
    for said in [
        "opened by password shares",
        "no key made of what was given has the KCV C4DA565080E886D9 of token signer",
        "Do not initialise the token",
        "--as-typed",
        "It is no backup",
        "new keys",
    ] {
        assert!(lost.out.contains(said), "{said}: {}", lost.out);
    }
}

#[test]
fn wrapped_keys_are_told_apart_by_their_check_value() {
    let home = Home::new();
    let file = share_file(&home, "vectors/dkek-share.pbe.hex");
    let password = home.private("pw", "secret\n");
    let blob: String = testdata("vectors/wrapped-ec-p256.hex")
        .split_whitespace()
        .collect();
    let mut blob = hex::decode(blob).unwrap();
    fs::write(home.dir.path().join("other.bin"), &blob).unwrap();
    blob[..8].copy_from_slice(&[0xFC, 0xD7, 0x6B, 0x66, 0x7D, 0x1B, 0x2E, 0xBF]);
    let container = chancery_schsm::KeyContainer::new(&blob, None, None).unwrap();
    fs::write(home.dir.path().join("ours.wky"), container.encode()).unwrap();
    let words = [
        "dkek",
        "doctor",
        &file,
        "--password-file",
        &password,
        "--wrapped",
        "ours.wky",
        "--wrapped",
        "other.bin",
    ];
    let (code, found) = home.json(&words);
    assert_eq!(code, 7, "{found}");
    assert_eq!(found["targets"][0]["explained"], true);
    assert_eq!(found["targets"][1]["explained"], false);
    assert_eq!(found["targets"][1]["kcv"], "630DCD2966C43366");
    let no_key = home.run(&["dkek", "doctor", &file, "--wrapped", &password]);
    assert_eq!(no_key.code, 3, "{}", no_key.err);
}
