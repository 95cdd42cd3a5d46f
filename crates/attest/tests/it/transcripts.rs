//! Keys generated through a secure channel with a virtual token: what their transcripts show, and to whom.

use crate::common::{self, said, today};
use chancery_attest::{
    ChainFinding, ChannelFinding, Held, Input, NamedInput, Outcome, Recorded, Transcript, Verification,
};
use chancery_cvc::{Curve, Reference, TrustAnchors};
use chancery_driver::{Card, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KekShare, KeyId};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use time::OffsetDateTime;

/// A transcript with the root of the virtual token it was made with.
fn recorded(spec: &KeySpec) -> (Transcript, TrustAnchors, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(directory.path().join("secret"));
    let factory = Factory::open_or_create(&directory.path().join("factory"), &at_rest, today()).unwrap();
    let tokens = directory.path().join("tokens");
    let token = TokenName::new("hsm").unwrap();
    factory.create(&tokens, &token, today()).unwrap();
    let mut anchors = TrustAnchors::none();
    anchors.add_bytes(factory.root_certificate()).unwrap();
    let token = VirtualToken::open(&tokens.join("hsm"), &at_rest).unwrap();
    let mut card = Card::new(token).select().unwrap();
    let pin = Pin::new("648219").unwrap();
    card.initialize(&Initialize {
        options: InitializeOptions::NONE,
        user_pin: Some(pin.clone()),
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: Some(1),
        quorum: None,
        domains: None,
    })
    .unwrap();
    card.import_share(0, &KekShare::new([9; 32])).unwrap();
    let device = card.device_identity(&anchors).unwrap();
    let chain = card
        .read_file(chancery_schsm::fid::DEVICE_CERTIFICATES)
        .unwrap()
        .unwrap();
    let card = card.verify_pin(&pin).unwrap();
    let (_, made) = card.generate_recorded(spec, &device).unwrap();
    let transcript = Transcript {
        recorded: OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap(),
        protocol: made.record.protocol,
        chain,
        ephemeral: made.record.ephemeral.to_vec(),
        nonce: made.record.nonce.clone(),
        token: made.record.token.clone(),
        exchanges: made
            .record
            .exchanges
            .iter()
            .map(|exchange| Recorded {
                command: exchange.command.clone(),
                protected_command: exchange.protected_command.clone(),
                protected_response: exchange.protected_response.clone(),
            })
            .collect(),
    };
    (transcript, anchors, made.key.public_key.to_spki_der().unwrap())
}

fn spec() -> KeySpec {
    KeySpec {
        id: KeyId(7),
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: Reference::new("UTCA00007").unwrap(),
        algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256, Algorithm::Ecdsa]).unwrap(),
        key_domain: None,
        use_counter: Some(1000),
    }
}

fn examine(files: &[(&str, &[u8])], anchors: &TrustAnchors, held: Option<Held>) -> Verification {
    let inputs: Vec<NamedInput> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), Input::recognise(bytes)))
        .collect();
    Verification::for_holder(&inputs, anchors, today(), |_| held)
}

#[test]
fn what_was_asked_for_is_shown_to_who_held_the_channel() {
    let (transcript, anchors, spki) = recorded(&spec());
    let file = transcript.encode();
    assert_eq!(Transcript::parse(&file).unwrap(), transcript);
    let files: [(&str, &[u8]); 2] = [("record", &file), ("key", &spki)];
    let found = examine(&files, &anchors, Some(Held::SaidByCaller));
    assert_eq!(
        said(&found),
        [
            "record chain authentic",
            "record channel authentic-to-holder",
            "record origin proven-virtual",
            "record possession shown",
            "key matches yes"
        ]
    );
    assert_eq!(found.outcome, Outcome::Holds);
    let text = found.claims[1].text;
    assert!(
        text.contains("who held the channel") && text.contains("others"),
        "{text}"
    );
    let channel = &found.channels[0].generated;
    assert_eq!(channel.key_id, 7);
    assert_eq!(channel.asked.algorithms, ["73", "70"]);
    assert_eq!(channel.asked.wrap_listed, Some(false));
    assert_eq!(channel.asked.use_counter, Some(1000));
    assert_eq!(channel.asked.key_domain, None);
    let reported = channel.reported.as_ref().unwrap();
    assert_eq!(
        (reported.use_counter, reported.wrap_listed),
        (Some(1000), Some(false))
    );
    let domain = channel.domain.as_ref().unwrap();
    assert_eq!((domain.number, domain.shares, domain.outstanding), (0, 1, 0));
    assert_eq!(
        domain.kcv,
        hex::encode_upper(chancery_schsm::Kek::new([9; 32]).kcv().0)
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["channels"][0]["asked"]["use_counter"], 1000);
    assert_eq!(json["channels"][0]["held"], "said-by-caller");

    // To everybody else the request proves the same as without transcript, and the transcript nothing.
    let found = examine(&files, &anchors, None);
    assert_eq!(
        said(&found)[..3],
        [
            "record chain authentic",
            "record channel consistent",
            "record origin proven-virtual"
        ]
    );
    assert_eq!(found.outcome, Outcome::NotProven);
    assert!(found.keys[0].proven && found.channels[0].held.is_none());
}

#[test]
fn without_the_root_of_the_device_nothing_is_shown() {
    let (transcript, _, _) = recorded(&spec());
    let files: [(&str, &[u8]); 1] = [("record", &transcript.encode())];
    let found = examine(&files, &common::production(), Some(Held::OwnArchive));
    assert_eq!(
        said(&found),
        [
            "record chain unknown-issuer",
            "record channel chain-not-authentic"
        ]
    );
}

#[test]
fn every_change_is_noticed_also_by_who_mends_the_checksum() {
    let (good, anchors, _) = recorded(&spec());
    let chain = ChainFinding::examine(&good.chain, &anchors, today());
    let authentic = |transcript: &Transcript| {
        // Through the file, as everybody would.
        let transcript = Transcript::parse(&transcript.encode()).unwrap();
        let found = ChannelFinding::examine(&transcript, &chain, Some(Held::OwnArchive));
        found.verdict.outcome() == Outcome::Holds
    };
    assert!(authentic(&good));
    let mut changes = 0;
    let mut check = |bad: &Transcript, what: &str, at: usize| {
        changes += 1;
        assert!(!authentic(bad), "{what}, byte {at}");
    };
    for at in 0..good.ephemeral.len() {
        let mut bad = good.clone();
        bad.ephemeral[at] ^= 0x10;
        check(&bad, "ephemeral", at);
    }
    for at in 0..8 {
        let mut bad = good.clone();
        bad.nonce[at] ^= 1;
        check(&bad, "nonce", at);
        let mut bad = good.clone();
        bad.token[at] ^= 1;
        check(&bad, "token", at);
    }
    for number in 0..good.exchanges.len() {
        // Every byte of the commands, and the answers to their last byte.
        for at in 0..good.exchanges[number].command.len() {
            let mut bad = good.clone();
            bad.exchanges[number].command[at] ^= 1;
            check(&bad, "command", at);
        }
        for at in 0..good.exchanges[number].protected_command.len() {
            let mut bad = good.clone();
            bad.exchanges[number].protected_command[at] ^= 0x80;
            check(&bad, "protected command", at);
        }
        for at in 0..good.exchanges[number].protected_response.len() {
            let mut bad = good.clone();
            bad.exchanges[number].protected_response[at] ^= 0x04;
            check(&bad, "protected response", at);
        }
        let mut bad = good.clone();
        bad.exchanges.remove(number);
        if number + 1 < good.exchanges.len() {
            check(&bad, "exchange", number);
        }
    }
    let mut bad = good.clone();
    bad.exchanges.swap(0, 1);
    check(&bad, "order", 0);
    assert!(changes > 500, "{changes}");
}

#[test]
fn every_damaged_byte_of_the_file_is_noticed() {
    let (good, _, _) = recorded(&spec());
    let good = good.encode();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        assert!(Transcript::parse(&bad).is_err(), "byte {at}");
        if at % 5 != 0 {
            continue;
        }
        let mut bad = good.clone();
        bad.remove(at);
        assert!(Transcript::parse(&bad).is_err(), "byte {at} dropped");
        let mut bad = good.clone();
        bad.insert(at, b' ');
        assert!(Transcript::parse(&bad).is_err(), "blank at {at}");
    }
}

#[test]
fn an_answer_forged_with_the_key_of_the_channel_passes_and_the_text_says_to_whom() {
    // Whoever has the file can make the card's side of it: authentication codes are symmetric.
    use chancery_iso7816::StatusWord;
    use chancery_schsm::secure_messaging::{CardChannel, ChannelKeys, HostChannel};
    let (good, anchors, _) = recorded(&spec());
    let identity = chancery_cvc::DeviceChain::parse(&good.chain)
        .unwrap()
        .verify(&anchors, None)
        .unwrap();
    let chancery_cvc::PublicKey::Ec(device) = identity.device_key() else {
        panic!("an EC key")
    };
    let group = device.domain().group().unwrap();
    let private = openssl::bn::BigNum::from_slice(&good.ephemeral).unwrap();
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let mut point = openssl::ec::EcPoint::new(&group).unwrap();
    point.mul_generator2(&group, &private, &mut context).unwrap();
    let own = openssl::ec::EcKey::from_private_components(&group, &private, &point).unwrap();
    let own = openssl::pkey::PKey::from_ec_key(own).unwrap();
    let peer = openssl::pkey::PKey::from_ec_key(device.to_ec_key().unwrap()).unwrap();
    let mut deriver = openssl::derive::Deriver::new(&own).unwrap();
    deriver.set_peer(&peer).unwrap();
    let nonce: [u8; 8] = good.nonce.clone().try_into().unwrap();
    let keys = ChannelKeys::derive(good.protocol, &deriver.derive_to_vec().unwrap(), &nonce);
    let (mut card, mut host) = (CardChannel::new(keys.clone()), HostChannel::new(keys));
    let mut forged = good.clone();
    for (number, exchange) in forged.exchanges.iter_mut().enumerate() {
        let command = chancery_iso7816::CommandApdu::parse(&exchange.protected_command).unwrap();
        let header = [command.class, command.instruction, command.p1, command.p2];
        card.unprotect_command(header, command.data()).unwrap();
        let plain = chancery_iso7816::CommandApdu::parse(&exchange.command).unwrap();
        host.protect_command(&plain).unwrap();
        let outer = chancery_iso7816::ResponseApdu::parse(&exchange.protected_response).unwrap();
        let said = host.unprotect_response(&outer).unwrap();
        let mut data = said.data.to_vec();
        if number == 3 {
            // The key domain: two shares instead of one.
            data[0] = 2;
        }
        exchange.protected_response = card.protect_response(&data, said.status).unwrap();
        exchange.protected_response.extend(StatusWord::OK.0.to_be_bytes());
    }
    let forged = forged.encode();
    let files: [(&str, &[u8]); 1] = [("record", &forged)];
    let found = examine(&files, &anchors, None);
    assert_eq!(found.channels[0].generated.domain.as_ref().unwrap().shares, 2);
    assert_eq!(
        (found.outcome, found.claims[1].text),
        (
            Outcome::NotProven,
            "not proven: its answers could be made by who recorded it, so only that party can rely on them"
        )
    );
    let found = examine(&files, &anchors, Some(Held::SaidByCaller));
    assert_eq!(
        found.claims[1].text,
        "authentic to who held the channel; others have only that party's word"
    );
}
