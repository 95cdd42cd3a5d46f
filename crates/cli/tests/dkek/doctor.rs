//! Defective sets: recognised and mended.

use std::fs;

use crate::{
    common::Home,
    world::{old_file, old_shares, share_file, testdata},
};

const IMPORTED: &str = "C4DA565080E886D9";
const RIGHT: &str = "2DB263C2BF30EFB9";

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
    let words = [
        "dkek",
        "doctor",
        &file,
        "--share-file",
        &shares,
        "--mend",
        "new.pbe",
        "--new-password-file",
        &new,
        "--kcv",
        &kcv,
    ];
    let (code, found) = home.json(&words);
    assert_eq!(
        (code, &found["findings"][0]["code"]),
        (0, &"leading-zeros".into()),
        "{found}"
    );
    let said = found["findings"][0]["text"].as_str().unwrap();
    assert!(
        said.contains("begins with a zero byte, which sc-hsm-tool drops"),
        "{said}"
    );
    assert_eq!(found["keys"][0]["kcv"], kcv.as_str());
    assert_eq!(
        (&found["mended"]["kcv"], &found["not_mended"]),
        (&kcv.as_str().into(), &serde_json::Value::Null)
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

/// Mended by what is computed here, and judged by the tool: with the tests of the tool.
#[test]
fn a_wrong_key_in_a_token_is_computed_from_what_was_typed() {
    let home = Home::new();
    let file = share_file(&home, "dkek/wrong-share.pbe.hex");
    let printed = home.private("printed.txt", &testdata("dkek/wrong-share-printed.txt"));
    let typed = home.private("typed.txt", &testdata("dkek/wrong-share-typed.txt"));
    let new = home.private("pw", "a new password\n");
    let target = format!("signer={IMPORTED}");
    // Of two tokens with different keys no file is a backup, even though both keys are found.
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
        "--kcv",
        &format!("sound={RIGHT}"),
        "--mend",
        "real.pbe",
        "--new-password-file",
        &new,
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
        (
            &found["targets"][0]["explained"],
            &found["targets"][1]["explained"],
            &found["tried"]
        ),
        (&true.into(), &true.into(), &2.into())
    );
    let refused = found["not_mended"].as_str().unwrap();
    assert!(
        refused.contains("signer and sound have different keys"),
        "{refused}"
    );
    assert!(!home.dir.path().join("real.pbe").exists());
}

#[test]
fn without_the_shares_it_says_what_can_still_be_done() {
    let home = Home::new();
    let file = share_file(&home, "dkek/wrong-share.pbe.hex");
    let printed = home.private("printed.txt", &testdata("dkek/wrong-share-printed.txt"));
    // The right shares alone, few tries: the key in the token stays unknown.
    // A file that does not fit it is no backup, and is not written.
    let target = format!("signer={IMPORTED}");
    let new = home.private("pw", "a new password\n");
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
        "--mend",
        "real.pbe",
        "--new-password-file",
        &new,
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
        "! not mended: no key that was found fits signer",
    ] {
        assert!(lost.out.contains(said), "{said}: {}", lost.out);
    }
    // That it is merely another file comes first.
    let at = |words: &str| lost.out.find(words).unwrap();
    assert!(
        at("Perhaps this is not this token's share file, or not the right password")
            < at("Do not initialise")
    );
    assert!(!home.dir.path().join("real.pbe").exists());
    let zero = format!("signer={}", chancery_schsm::Kek::new([0; 32]).kcv());
    let zero = home.run(&["dkek", "doctor", "--kcv", &zero]);
    assert_eq!(zero.code, 7, "{}", zero.out);
    assert!(
        zero.out.contains("1. Perhaps this is not the token"),
        "{}",
        zero.out
    );
    assert!(!zero.out.contains("exists nowhere else"), "{}", zero.out);
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
