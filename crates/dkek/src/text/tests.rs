use proptest::prelude::*;

use super::*;

const PRIME: &str = "e2:8c:4e:2a:93:cc:a8:77";
const VALUES: [&str; 2] = ["be:d9:2a:f6:96:43:c4:41", "8d:d4:9d:69:82:04:8a:5b"];

/// Ids and values of a text, all with the prime above.
fn read(text: &str) -> Vec<(u64, String)> {
    parse(text)
        .unwrap_or_else(|error| panic!("{error}: {text}"))
        .iter()
        .map(|share| {
            let (read, faults) = share.read(IdReading::Decimal);
            assert!(faults.is_empty(), "{faults:?}: {text}");
            let read = read.unwrap();
            assert_eq!(read.prime.to_string(), PRIME, "{text}");
            (read.id, read.value.secret_text().to_string())
        })
        .collect()
}

fn both() -> Vec<(u64, String)> {
    vec![(1, VALUES[0].to_owned()), (2, VALUES[1].to_owned())]
}

#[test]
fn the_forms_people_have_are_read() {
    let [first, second] = VALUES;
    let capitals = first.replace(':', "").to_uppercase();
    let spaced = second.replace(':', " ");
    let fours = "bed9 2af6 9643 c441";
    let tool = |id: u8, value: &str| {
        format!(
            "Press <enter> to display key share {id} of 4\n\nShare {id} of 4\n\n\nPrime       : {PRIME}\nShare ID    : {id}\n\
             Share value : {value}\n\n\nPlease note ALL values above and press <enter> when finished\n"
        )
    };
    let texts = [
        tool(1, first) + &tool(2, second),
        format!("{PRIME}\n1\n{first}\n2\n{second}\n"),
        format!("prime {PRIME}\n1 {capitals}\n2 {spaced}\n"),
        format!("Prime = {PRIME}\r\n1,{first}\r\n2;{second}\r\n"),
        format!("1-{capitals}\n2-{second}\nprime: {PRIME}\n"),
        format!("{PRIME} 1 {fours}\n{PRIME} 2 {second}\n"),
        format!("share 1: {first}\nshare 2 = {second}\nPrime: {PRIME}"),
        format!("id: 1\nvalue: {first}\nid: 2\nvalue: {second}\nprime: {PRIME}\n"),
        format!(
            "| Share ID | 1\nShare ID 1\nShare value {first}\nprime {PRIME}\nshare id 2\nshare value {second}"
        )
        .replace("| Share ID | 1\n", ""),
        format!(
            "Please enter prime: {PRIME}\nPress <enter> to enter share 1 of 2\nShare 1 of 2\nPlease enter share ID: 1\n\
             Please enter share value: {first}\nShare 2 of 2\nPlease enter share ID: 2\nPlease enter share value: {second}\n"
        ),
    ];
    for text in texts {
        assert_eq!(read(&text), both(), "{text}");
    }
}

#[test]
fn values_that_lost_leading_zeros_are_numbers_still() {
    let shares = read(&format!(
        "prime {PRIME}\n1 2af69643c441\n2 00:00:00:00:00:00:00:07"
    ));
    assert_eq!(shares[0].1, "00:00:2a:f6:96:43:c4:41");
    assert_eq!(shares[1].1, "00:00:00:00:00:00:00:07");
}

#[test]
fn ids_can_be_read_two_ways() {
    let read = |id: &str| {
        let text = format!("prime: {PRIME}\nid: {id}\nvalue: {}", VALUES[0]);
        let share = parse(&text).unwrap().remove(0);
        (
            share.id_is_ambiguous(),
            share.read_id(IdReading::Decimal),
            share.read_id(IdReading::Hexadecimal),
        )
    };
    assert_eq!(read("7"), (false, Some(7), Some(7)));
    assert_eq!(read("07"), (false, Some(7), Some(7)));
    assert_eq!(read("10"), (true, Some(10), Some(16)));
    assert_eq!(read("a"), (false, Some(10), Some(10)));
    assert_eq!(read("0xC"), (false, Some(12), Some(12)));
    for none in ["0", "-1", "+1", "1 2", "g", "99999"] {
        assert_eq!(read(none).1, None, "{none}");
    }
}

#[test]
fn faults_name_the_number_and_its_group() {
    let faults = |value: &str| {
        let text = format!("prime: {PRIME}\nid: 1\nvalue: {value}");
        parse(&text).unwrap()[0].read(IdReading::Decimal).1
    };
    let which = Number::Value;
    assert_eq!(
        faults("be:d9:2a:f6:96:4O:c4:41"),
        [Fault::NotHexadecimal { which, group: 3 }]
    );
    assert_eq!(
        faults("be:d9:2a:f6:96:43:c4:4"),
        [Fault::Digits { which, digits: 15 }]
    );
    assert_eq!(
        faults("be:d9:2a:f6:96:43:c4:41:41"),
        [Fault::Digits { which, digits: 18 }]
    );
    assert_eq!(faults("ff:d9:2a:f6:96:43:c4:41"), [Fault::TooLarge]);
    let text = format!(
        "prime: {}\nid: 1\nvalue: {}",
        PRIME.replace("2a", "2b"),
        VALUES[0]
    );
    assert_eq!(
        parse(&text).unwrap()[0].read(IdReading::Decimal).1,
        [Fault::Prime]
    );
    let text = format!("id: 1\nvalue: {}", VALUES[0]);
    assert_eq!(
        parse(&text).unwrap()[0].read(IdReading::Decimal).1,
        [Fault::NoPrime]
    );
}

#[test]
fn a_mistyped_page_names_its_group_or_its_id() {
    let share = PasswordShare {
        prime: Prime(crate::share::digits(PRIME).unwrap()),
        id: 2,
        value: ShareValue::new(crate::share::digits(VALUES[1]).unwrap()),
    };
    let nonce = Nonce::new([3; 16]);
    let page = crate::page::SharePage {
        set: SetId([0x4F; 8]),
        how: crate::Threshold::new(2, 4).unwrap(),
        share: &share,
        nonce: &nonce,
        salt: [0; 8],
        kcv: [0; 8],
    }
    .secret_text();
    let faults = |from: &str, to: &str| {
        assert!(page.contains(from));
        parse(&page.replacen(from, to, 1)).unwrap()[0]
            .read(IdReading::Decimal)
            .1
    };
    let group = |which, group| vec![Fault::Group { which, group }];
    assert_eq!(faults("8d:d4:9d:69", "8d:d4:9d:68"), group(Number::Value, 2));
    assert_eq!(faults("8d:d4:9d:69", "8e:d4:9d:69"), group(Number::Value, 1));
    assert_eq!(faults("93:cc:a8:77", "93:cc:a8:71"), group(Number::Prime, 4));
    assert_eq!(
        faults("Share ID     : 2", "Share ID     : 3"),
        [Fault::Page { probable: Some(2) }]
    );
    assert_eq!(faults("4f4f-4f4f", "4f4e-4f4f"), [Fault::Page { probable: None }]);
    assert_eq!(
        faults("Needed       : 2", "Needed       : 3"),
        [Fault::Page { probable: None }]
    );
}

#[test]
fn what_is_incomplete_or_nothing_is_said_without_its_text() {
    assert_eq!(parse("").unwrap_err(), ShareTextError::None);
    assert_eq!(
        parse("Some words about shares.\nThe prime is public.\n").unwrap_err(),
        ShareTextError::None
    );
    assert_eq!(
        parse("prime: 11\nid: 1\nid: 2\nvalue: 8dd49d6982048a5b").unwrap_err(),
        ShareTextError::Incomplete {
            line: 1,
            missing: "share value"
        }
    );
    assert_eq!(
        parse(&format!("prime: {PRIME}\nvalue: 8dd49d6982048a5b")).unwrap_err(),
        ShareTextError::Incomplete {
            line: 1,
            missing: "share ID"
        }
    );
    assert_eq!(
        parse("nonce: 12345").unwrap_err(),
        ShareTextError::Malformed {
            line: 1,
            field: "nonce"
        }
    );
    assert_eq!(
        parse(&" ".repeat(MAX_TEXT + 1)).unwrap_err(),
        ShareTextError::TooLong { length: MAX_TEXT + 1 }
    );
    let many = format!("prime {PRIME}\n") + &format!("1 {}\n", VALUES[0]).repeat(MAX_TEXT_SHARES + 1);
    assert_eq!(parse(&many).unwrap_err(), ShareTextError::TooMany);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}", more in "[a-f0-9: ,;=x\\-\n]{0,200}") {
        for text in [text, more] {
            if let Ok(shares) = parse(&text) {
                for share in shares {
                    let _ = (share.read(IdReading::Decimal), share.read(IdReading::Hexadecimal));
                }
            }
        }
    }
}
