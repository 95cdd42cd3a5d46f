use openssl::sha::sha256;

use super::*;
use crate::text::{Written, parse};

const PRIME: u64 = 0xE28C_4E2A_93CC_A877;

/// What the old tool does when it makes shares, written again with plain integers: ids in decimal, numbers without leading zero bytes.
fn old_tool(secret: u64, coefficients: &[u64], shares: u64) -> Vec<String> {
    (1..=shares)
        .map(|x| {
            let value = coefficients.iter().rev().fold(0, |value, coefficient| {
                (value * u128::from(x) + u128::from(*coefficient)) % u128::from(PRIME)
            });
            let value = (value * u128::from(x) + u128::from(secret)) % u128::from(PRIME);
            let hex = |number: u128| {
                let bytes = number.to_be_bytes();
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                bytes[zeros..]
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<Vec<_>>()
                    .join(":")
            };
            format!(
                "\nPrime       : {}\nShare ID    : {x}\nShare value : {}\n",
                hex(PRIME.into()),
                hex(value)
            )
        })
        .collect()
}

/// A derivation that costs nothing.
fn cheap(file: &ShareFile, password: &[u8]) -> ShareFileKey {
    let key = sha256(&[password, b"|", &file.salt()].concat());
    ShareFileKey::from_parts(key, [0; 16])
}

/// A share file under this password.
fn file(share: u8, password: &[u8]) -> ShareFile {
    let salt = [share; 8];
    let empty = ShareFile::seal(
        &KekShare::new([0; 32]),
        salt,
        &ShareFileKey::from_parts([0; 32], [0; 16]),
    );
    ShareFile::seal(&KekShare::new([share; 32]), salt, &cheap(&empty, password))
}

/// A share file under `right` that a wrong password opens to something with good padding.
fn file_that_lets_pass(right: &[u8], wrong: &[u8]) -> ShareFile {
    (0..=u32::MAX)
        .map(|counter| {
            let salt = [9; 8];
            let empty = ShareFile::seal(
                &KekShare::new([0; 32]),
                salt,
                &ShareFileKey::from_parts([0; 32], [0; 16]),
            );
            let share = KekShare::new(sha256(&counter.to_be_bytes()));
            ShareFile::seal(&share, salt, &cheap(&empty, right))
        })
        .find(|file| file.open_by_padding_alone(&cheap(file, wrong)).is_some())
        .unwrap()
}

fn case(files: &[ShareFile], texts: &[String]) -> Case {
    let shares = texts
        .iter()
        .enumerate()
        .flat_map(|(number, text)| {
            parse(text).unwrap().into_iter().map(move |text| GivenShare {
                source: format!("paper {}", number + 1),
                text,
            })
        })
        .collect();
    Case {
        files: files
            .iter()
            .enumerate()
            .map(|(number, file)| (format!("file {number}"), *file))
            .collect(),
        shares,
        effort: 64,
        look_for_imports: true,
        ..Case::default()
    }
}

fn diagnose(case: &Case) -> Diagnosis {
    examine(case, &mut |file, password| cheap(file, password)).unwrap()
}

fn token(kcv: Kcv) -> Target {
    Target {
        name: "t".into(),
        kind: TargetKind::Token,
        kcv,
    }
}

fn codes(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.findings.iter().map(Finding::code).collect()
}

const SECRET: u64 = 0x2792_FE84_53AD_89FF;

#[test]
fn a_good_set_is_healthy() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 77], 5);
    let file = file(1, &SECRET.to_be_bytes());
    let mut case = case(&[file], &texts[..3]);
    let kcv = chancery_schsm::Kek::new([1; 32]).kcv();
    case.targets.push(token(kcv));
    let found = diagnose(&case);
    assert!(found.is_healthy(), "{found:?}");
    assert_eq!(found.keys[0].kcv, kcv);
    assert_eq!(found.fits, [[0]]);
    assert!(found.shares.iter().all(|share| share.standing == Standing::Right));
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([1; 32]));
    assert_eq!(found.tried, 1);
}

#[test]
fn a_password_with_leading_zeros_is_recognised_and_opened() {
    for secret in [0x0092_FE84_53AD_89FF_u64, 0x0000_0084_53AD_89FF] {
        let texts = old_tool(secret, &[0x1234_5678_9ABC_DEF0], 3);
        // Encrypted under all eight bytes; opened without the zeros.
        let file = file(2, &secret.to_be_bytes());
        let typed = Typed::from_texts(case(&[], &texts[1..]).shares.iter().map(|given| &given.text)).unwrap();
        let password = typed.password().unwrap().unwrap();
        assert!(password.len() < 8, "the old tool loses them");
        assert!(file.open(&cheap(&file, &password)).is_err());

        let found = diagnose(&case(&[file], &texts[1..]));
        assert_eq!(codes(&found), ["leading-zeros"]);
        assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([2; 32]));
        assert!(!found.is_healthy());
    }
}

#[test]
fn decimal_ids_from_ten_on_are_recognised_and_read_right() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 3], 12);
    let file = file(3, &SECRET.to_be_bytes());
    let some = [texts[1].clone(), texts[9].clone(), texts[11].clone()];
    let typed = Typed::from_texts(case(&[], &some).shares.iter().map(|given| &given.text)).unwrap();
    assert_ne!(*typed.password().unwrap().unwrap(), SECRET.to_be_bytes());

    let found = diagnose(&case(&[file], &some));
    let expected = Finding::AmbiguousIds {
        file: "file 0".into(),
        ids: vec![("10".into(), "a".into()), ("12".into(), "c".into())],
    };
    assert_eq!(found.findings, [expected]);
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([3; 32]));

    // Noted as they must be typed: 10 for sixteen, c for twelve.
    let sixteen = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 3], 16);
    let noted = [
        sixteen[1].clone(),
        sixteen[15].replace("ID    : 16", "ID    : 10"),
        sixteen[11].replace("ID    : 12", "ID    : c"),
    ];
    let found = diagnose(&case(&[file], &noted));
    assert_eq!(codes(&found), ["hexadecimal-ids"]);
    // One noted, the other as printed.
    let noted = [
        sixteen[1].clone(),
        sixteen[15].replace("ID    : 16", "ID    : 10"),
        sixteen[11].clone(),
    ];
    let found = diagnose(&case(&[file], &noted));
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([3; 32]));
}

#[test]
fn a_wrong_share_that_passed_is_found_from_what_was_typed() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 4);
    let mut wrong = case(&[], &texts[..2]);
    let value = wrong.shares[1].text.value.secret_text().to_owned();
    let other = if value.ends_with('0') { "1" } else { "0" };
    let value = format!("{}{other}", &value[..value.len() - 1]);
    wrong.shares[1].text.value = Written::new(&value);
    let typed = Typed::from_texts(wrong.shares.iter().map(|given| &given.text)).unwrap();
    let password = typed.password().unwrap().unwrap();
    let file = file_that_lets_pass(&SECRET.to_be_bytes(), &password);
    let imported = file.open_by_padding_alone(&cheap(&file, &password)).unwrap();
    let kcv = chancery_schsm::Kek::from(imported.clone()).kcv();

    // With the right shares and notes of what was typed.
    let mut given = case(&[file], &texts[..2]);
    given.targets.push(token(kcv));
    given.typed.push(("notes".into(), typed));
    let found = diagnose(&given);
    assert_eq!(codes(&found), ["wrong-key-imported"]);
    assert_eq!(found.to_mend(0).unwrap().share, imported);
    assert!(!found.to_mend(0).unwrap().right);
    assert!(found.findings[0].to_string().contains("what was typed (notes)"));

    // With the mistyped share alone.
    let mut given = case(&[file], &[]);
    given.shares = wrong.shares;
    given.targets.push(token(kcv));
    let found = diagnose(&given);
    assert_eq!(codes(&found), ["closed", "wrong-key-imported"]);
    assert_eq!(found.to_mend(0).unwrap().share, imported);

    // Without either the token is not explained.
    let mut given = case(&[file], &texts[..2]);
    given.targets.push(token(kcv));
    let found = diagnose(&given);
    assert_eq!(codes(&found), ["unexplained"]);
    assert_eq!(
        found.to_mend(0).unwrap_err(),
        Unmendable::Unexplained { target: 0 }
    );
    given.targets.clear();
    assert!(diagnose(&given).to_mend(0).unwrap().right);
}

#[test]
fn what_is_mended_fits_every_target_or_is_not_written() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 99], 4);
    let two = case(&[], &[texts[1].clone(), texts[3].clone()]);
    let typed = Typed::from_texts(two.shares.iter().map(|given| &given.text)).unwrap();
    let password = typed.password().unwrap().unwrap();
    let file = file_that_lets_pass(&SECRET.to_be_bytes(), &password);
    let imported = file.open_by_padding_alone(&cheap(&file, &password)).unwrap();
    let right = file.open(&cheap(&file, &SECRET.to_be_bytes())).unwrap();
    let mut given = case(&[file], &texts);
    given.typed.push(("notes".into(), typed));
    let kcv = |share: &KekShare| chancery_schsm::Kek::from(share.clone()).kcv();
    // One token has the wrong key, another one the right key: both are explained, and no file is for both.
    given.targets.push(token(kcv(&imported)));
    given.targets.push(token(kcv(&imported)));
    assert_eq!(diagnose(&given).to_mend(0).unwrap().share, imported);
    given.targets.push(token(kcv(&right)));
    let found = diagnose(&given);
    assert!(found.fits.iter().all(|keys| !keys.is_empty()));
    assert_eq!(
        found.to_mend(0).unwrap_err(),
        Unmendable::Differ { one: 0, other: 2 }
    );
    given.targets.push(token(Kcv([1; 8])));
    assert_eq!(
        diagnose(&given).to_mend(0).unwrap_err(),
        Unmendable::Unexplained { target: 3 }
    );
    given.shares.clear();
    given.typed.clear();
    assert_eq!(diagnose(&given).to_mend(0).unwrap_err(), Unmendable::Closed);
}

#[test]
fn too_few_shares_that_passed_are_found_among_the_combinations() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 99], 4);
    let two = case(&[], &[texts[1].clone(), texts[3].clone()]);
    let typed = Typed::from_texts(two.shares.iter().map(|given| &given.text)).unwrap();
    let password = typed.password().unwrap().unwrap();
    let file = file_that_lets_pass(&SECRET.to_be_bytes(), &password);
    let imported = file.open_by_padding_alone(&cheap(&file, &password)).unwrap();
    let mut given = case(&[file], &texts);
    given
        .targets
        .push(token(chancery_schsm::Kek::from(imported.clone()).kcv()));
    let found = diagnose(&given);
    assert_eq!(codes(&found), ["one-set", "wrong-key-imported"]);
    assert!(
        found.findings[1].to_string().contains("shares 2, 4"),
        "{}",
        found.findings[1]
    );
    assert_eq!(found.to_mend(0).unwrap().share, imported);
}

#[test]
fn a_mistyped_share_among_more_than_enough_is_named_without_a_derivation() {
    let mut texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 4);
    texts[2] = texts[2].replacen("value : ", "value : 00:", 1);
    let last = texts[2].trim_end().len();
    texts[2].truncate(last - 3);
    let found = diagnose(&case(&[], &texts));
    assert_eq!(found.tried, 0);
    assert_eq!(codes(&found), ["one-set", "wrong-share"]);
    assert_eq!(found.shares[0].standing, Standing::Right);
    assert!(matches!(found.shares[2].standing, Standing::Wrong { .. }));

    // One digit: the group is named.
    let mut texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 4);
    let place = texts[1].rfind(':').unwrap() + 1;
    let digit = if &texts[1][place..=place] == "0" { "1" } else { "0" };
    texts[1].replace_range(place..=place, digit);
    let file = file(4, &SECRET.to_be_bytes());
    let found = diagnose(&case(&[file], &texts));
    assert_eq!(found.shares[1].standing, Standing::Wrong { groups: vec![4] });
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([4; 32]));
    let said = found
        .findings
        .iter()
        .find(|finding| finding.code() == "wrong-share")
        .unwrap();
    assert!(
        said.to_string().contains("share 2 (paper 2)") && said.to_string().contains("group 4"),
        "{said}"
    );
}

#[test]
fn with_just_enough_shares_the_file_says_which_one_is_wrong() {
    // Three needed, four given, one wrong: no more than enough remain, so that only the file can tell.
    let mut texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 5], 4);
    let place = texts[3].rfind(':').unwrap() + 1;
    let digit = if &texts[3][place..=place] == "0" { "1" } else { "0" };
    texts[3].replace_range(place..=place, digit);
    let file = file(5, &SECRET.to_be_bytes());
    let found = diagnose(&case(&[file], &texts));
    assert_eq!(codes(&found), ["wrong-share"]);
    assert_eq!(found.shares[3].standing, Standing::Wrong { groups: vec![4] });
}

#[test]
fn duplicates_conflicts_and_strangers_are_named() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 3);
    let file = file(6, &SECRET.to_be_bytes());
    let stranger = texts[0].replace("e2:8c:4e:2a:93:cc:a8:77", "d1:7a:52:77:18:6d:9b:a3");
    let conflict = texts[1]
        .replace("value : ", "value : 00:")
        .rsplit_once(':')
        .unwrap()
        .0
        .to_owned()
        + "\n";
    let given = [
        texts[0].clone(),
        texts[1].clone(),
        texts[0].clone(),
        stranger,
        conflict,
    ];
    let found = diagnose(&case(&[file], &given));
    let codes = codes(&found);
    for code in ["duplicate", "conflict", "other-set", "wrong-share"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    assert_eq!(
        found.shares[2].standing,
        Standing::Duplicate { of: "paper 1".into() }
    );
    assert_eq!(found.shares[3].standing, Standing::OtherSet);
    assert!(matches!(found.shares[4].standing, Standing::Wrong { .. }));
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([6; 32]));
}

#[test]
fn a_mistyped_prime_beside_a_good_one_does_no_harm() {
    let mut texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 3);
    texts[0] = texts[0].replace("e2:8c", "e2:8d");
    let file = file(6, &SECRET.to_be_bytes());
    let found = diagnose(&case(&[file], &texts[..2]));
    assert_eq!(codes(&found), ["faulty"]);
    assert_eq!(found.to_mend(0).unwrap().share, KekShare::new([6; 32]));
}

#[test]
fn too_few_shares_are_counted_where_the_page_says_how_many() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 5], 4);
    let pages: Vec<_> = texts
        .iter()
        .map(|text| format!("Needed: 3 of 4 shares\n{text}"))
        .collect();
    let file = file(7, &SECRET.to_be_bytes());
    let found = diagnose(&case(&[file], &pages[..2]));
    assert!(
        found.findings.contains(&Finding::TooFew { have: 2, need: 3 }),
        "{found:?}"
    );
    assert!(found.findings.contains(&Finding::Closed {
        file: "file 0".into()
    }));
}

#[test]
fn keys_of_several_files_are_combined() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0], 3);
    let files = [file(8, &SECRET.to_be_bytes()), file(9, b"secret")];
    let mut given = case(&files, &texts[..2]);
    given
        .passwords
        .push(("prompt".into(), Zeroizing::new(b"secret".to_vec())));
    let kcv = chancery_schsm::Kek::new([8 ^ 9; 32]).kcv();
    given.targets.push(token(kcv));
    given.targets.push(Target {
        name: "k.bin".into(),
        kind: TargetKind::WrappedKey,
        kcv: chancery_schsm::Kek::new([9; 32]).kcv(),
    });
    let found = diagnose(&given);
    assert!(found.is_healthy(), "{found:?}");
    assert_eq!(found.keys[found.fits[0][0]].kcv, kcv);
    assert_eq!(found.keys[found.fits[1][0]].parts.len(), 1);
}

#[test]
fn a_key_of_zeros_and_a_case_with_nothing_are_said() {
    let mut given = case(&[], &[]);
    given
        .targets
        .push(token(Kcv([0x66, 0x68, 0x7A, 0xAD, 0xF8, 0x62, 0xBD, 0x77])));
    let found = diagnose(&given);
    assert_eq!(codes(&found), ["zero-key"]);
    assert!(!found.is_healthy());
}

#[test]
fn effort_has_a_limit_and_says_so() {
    let texts = old_tool(SECRET, &[0x1234_5678_9ABC_DEF0, 5, 7, 9, 11], 6);
    let mut given = case(&[file(1, b"another")], &texts[..5]);
    given.effort = 3;
    let found = diagnose(&given);
    assert!(found.tried <= 6, "{}", found.tried);
    assert!(codes(&found).contains(&"not-all-tried"));
}
