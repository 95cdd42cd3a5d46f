//! The tree and the dump: everything there is, and what belongs to nothing marked.

use chancery_driver::Card;
use chancery_schsm::{CertificateDescription, DataDescription, Fid, KeyId, fid};
use chancery_tokens::dump::{dump, write};
use chancery_tokens::explore::{Content, explore};

use crate::bench::{AES, Bench, FIRST, P256, SHARES, certificate_for};

#[test]
fn the_tree_shows_everything_and_marks_what_belongs_to_nothing() {
    let bench = Bench::new();
    let token = bench.token("t", &SHARES);
    let first = bench.make(&token, P256, "twin");
    let second = bench.make(&token, P256, "twin");
    bench.make(&token, P256, "bare");
    bench.make(&token, AES, "secret");
    let mut card = token.login();
    card.write_label("my token").unwrap();
    let der = certificate_for(first.public_key.as_ref().unwrap(), "of the first");
    card.write_file(fid::certificate(FIRST), &der).unwrap();
    // Another key's certificate of another size beside a description.
    card.delete_file(fid::prkd(KeyId(3))).unwrap();
    card.write_file(fid::prkd(KeyId(30)), &card_description())
        .unwrap();
    card.write_file(fid::certificate(KeyId(31)), &der).unwrap();
    card.write_file(fid::ca_certificate(1), &der).unwrap();
    let cd = CertificateDescription::x509("the CA", &[1], fid::ca_certificate(1));
    card.write_file(fid::ca_certificate_description(1), &cd.encode())
        .unwrap();
    card.write_file(fid::ca_certificate(2), &der).unwrap();
    let lost = CertificateDescription::x509("lost", &[1], fid::ca_certificate(9));
    card.write_file(fid::ca_certificate_description(9), &lost.encode())
        .unwrap();
    for (number, file) in [(1, fid::public_data(1)), (2, fid::private_data(2))] {
        let description = DataDescription {
            label: format!("data {number}"),
            application: "test".to_owned(),
            file,
        };
        card.write_file(fid::data_description(number), &description.encode())
            .unwrap();
        card.write_file(file, b"some text").unwrap();
    }
    card.write_file(fid::key_metadata(FIRST), b"\x00\x01\x02")
        .unwrap();

    let tree = explore(&mut card).unwrap();
    assert_eq!(tree.label.as_deref(), Some("my token"));
    assert_eq!(tree.chain.len(), 2);
    assert!(tree.device.unwrap().starts_with(&token.device));
    assert_eq!(tree.domains.len(), 1);
    assert_eq!(tree.keys.len(), 4);
    let key = |id: KeyId| tree.keys.iter().find(|key| key.id == id.0).unwrap();
    assert_eq!(key(FIRST).certificate.as_ref().unwrap().kind, "x509");
    assert_eq!(
        key(FIRST).certificate.as_ref().unwrap().subject,
        "CN=of the first"
    );
    assert_eq!(key(second.id).certificate.as_ref().unwrap().kind, "request");
    assert_eq!(key(second.id).marks, ["2 keys have this label"]);
    assert!(key(KeyId(3)).marks[0].starts_with("key without description"));
    assert_eq!(key(KeyId(4)).algorithm, "AES-256");
    assert!(key(KeyId(4)).permitted.contains(&"AesCmac".to_owned()));
    let orphans: Vec<(&str, &str)> = tree
        .orphans
        .iter()
        .map(|orphan| (orphan.file.as_str(), orphan.marks[0].as_str()))
        .collect();
    assert_eq!(
        orphans,
        [
            ("CA09", "description C809 of a file that is not there"),
            ("C41E", "description without key"),
            ("CE1F", "certificate or request without key"),
        ]
    );
    assert_eq!(tree.orphans[1].label.as_deref(), Some("left over"));
    let certificates: Vec<_> = tree
        .certificates
        .iter()
        .map(|file| (file.file.as_str(), file.label.as_deref(), file.marks.len()))
        .collect();
    assert_eq!(certificates, [("CA01", Some("the CA"), 0), ("CA02", None, 1)]);
    assert!(
        tree.data
            .iter()
            .all(|file| matches!(&file.content, Content::Text { text, .. } if text == "some text"))
    );
    assert_eq!(tree.others[0].file, "CB01");

    // Without the PIN private data says that it is private, and everything else is there.
    let mut locked = Card::new(token.clone()).select().unwrap();
    let tree = explore(&mut locked).unwrap();
    assert!(matches!(&tree.data[1].content, Content::Unreadable { why } if why.starts_with("private")));
    assert!(matches!(tree.data[0].content, Content::Text { .. }));
}

fn card_description() -> Vec<u8> {
    chancery_schsm::PrivateKeyDescription::ec(KeyId(30), "left over", &[30], 256).encode()
}

#[test]
fn a_dump_has_every_readable_file_and_names_the_others() {
    let bench = Bench::new();
    let token = bench.token("t", &[]);
    bench.make(&token, P256, "k");
    let mut card = token.login();
    card.write_label("label").unwrap();
    card.write_file(fid::private_data(1), b"private").unwrap();
    card.write_file(fid::public_data(1), &vec![0xA5; 20_000]).unwrap();
    let files = dump(&mut card).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.file.as_str()).collect();
    assert_eq!(names, ["2F02", "2F03", "C401", "CD01", "CE01", "CF01"]);
    for file in &files {
        let number = Fid(u16::from_str_radix(&file.file, 16).unwrap());
        assert_eq!(card.read_file(number).unwrap().unwrap(), file.content);
    }
    let directory = bench.path("dump");
    write(&files, &directory).unwrap();
    assert_eq!(
        std::fs::read(directory.join("CF01.bin")).unwrap(),
        vec![0xA5; 20_000]
    );
    assert!(write(&files, &directory).is_err(), "never over another");
    let mut locked = Card::new(token.clone()).select().unwrap();
    let files = dump(&mut locked).unwrap();
    let private = files.iter().find(|file| file.file == "CD01").unwrap();
    assert!(private.unreadable.as_ref().unwrap().starts_with("private"));
}
