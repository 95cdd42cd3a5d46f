//! Exchange key domains between virtual tokens: memberships, offers, agreement, and files that lie.

use crate::common::rehearsal::{Rehearsal, Token, login, name, pin};
use chancery_cvc::{Curve, DeviceIdentity, TrustAnchors};
use chancery_driver::exchange::{
    Derivation, ExchangeError, ExchangeFormatError, ExchangeProofError, Membership, Offer,
    VerifiedMembership, VerifiedOffer, VouchedRequest, places,
};
use chancery_driver::{
    Authenticated, Card, Initialize, IntroductionError, KeyAlgorithm, KeySpec, Limits, SoPin,
};
use chancery_iso7816::recording::Log;
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, Kcv, KeyId};

const SIGNER: KeyId = KeyId(1);
const EXCHANGE: KeyId = KeyId(3);

/// Some tokens send and take no more than this.
const SHORT: Limits = Limits {
    max_command: 400,
    max_file: 4096,
};

/// A token with two places for key domains.
fn member(rehearsal: &mut Rehearsal, name: &str) -> Token {
    let token = rehearsal.token(name);
    let mut card = Card::new(token.clone()).select().unwrap();
    card.initialize(&Initialize {
        options: InitializeOptions::NONE,
        user_pin: Some(pin()),
        so_pin: SoPin::new(*b"57621880"),
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: Some(2),
    })
    .unwrap();
    token
}

fn short(token: &Token) -> Authenticated<Token> {
    let card = Card::with_limits(token.clone(), SHORT).select().unwrap();
    card.verify_pin(&pin()).unwrap()
}

fn generate(
    card: &mut Authenticated<Token>,
    id: KeyId,
    curve: Curve,
    algorithm: Algorithm,
    domain: Option<u8>,
) -> Vec<u8> {
    let spec = KeySpec {
        id,
        algorithm: KeyAlgorithm::Ec(curve),
        chr: name("UTGROUP00001"),
        algorithms: AlgorithmList::new(&[algorithm]).unwrap(),
        key_domain: domain,
        use_counter: None,
    };
    card.generate(&spec).unwrap().request
}

/// A token whose key 1 signs for a group.
struct Group {
    token: Token,
    vouched: VouchedRequest,
}

impl Group {
    fn new(rehearsal: &mut Rehearsal, name: &str, curve: Curve) -> Self {
        let token = member(rehearsal, name);
        let mut card = login(token.clone());
        let request = generate(&mut card, SIGNER, curve, Algorithm::EcdsaSha256, None);
        let vouched = VouchedRequest::from_chain(&card.device_chain().unwrap(), &request).unwrap();
        Self { token, vouched }
    }

    fn admit(&self, device: &DeviceIdentity, anchors: &TrustAnchors) -> VerifiedMembership {
        login(self.token.clone())
            .sign_membership(SIGNER, &self.vouched, device, anchors)
            .unwrap()
    }
}

fn identity(token: &Token, anchors: &TrustAnchors) -> DeviceIdentity {
    login(token.clone()).device_identity(anchors).unwrap()
}

fn offer(card: &mut Authenticated<Token>, curve: Curve, anchors: &TrustAnchors) -> VerifiedOffer {
    let request = generate(card, EXCHANGE, curve, Algorithm::EcdhXkek, Some(0));
    let made = Offer::new(&card.device_chain().unwrap(), &request).unwrap();
    let read = Offer::decode(&made.encode()).unwrap();
    assert_eq!(read, made);
    read.verify(anchors).unwrap()
}

/// Instruction, P1 and P2 of what was sent.
fn headers(log: &Log) -> Vec<String> {
    log.entries()
        .iter()
        .map(|entry| hex::encode_upper(entry.header))
        .collect()
}

#[test]
fn two_members_agree_through_commands_of_any_length() {
    for (curve, limits) in [
        (Curve::BrainpoolP256r1, Limits::default()),
        (Curve::BrainpoolP256r1, SHORT),
        (Curve::Secp521r1, Limits::default()),
    ] {
        let mut rehearsal = Rehearsal::new();
        let group = Group::new(&mut rehearsal, "signer", curve);
        let tokens = ["one", "two"].map(|name| member(&mut rehearsal, name));
        let anchors = rehearsal.anchors.clone();
        let is_short = limits == SHORT;
        let open = |token: &Token| {
            if is_short {
                short(token)
            } else {
                login(token.clone())
            }
        };

        for (token, called) in tokens.iter().zip(["one", "two"]) {
            let device = identity(token, &anchors);
            let made = group.admit(&device, &anchors);
            assert_eq!(Derivation::of(made.signer()), Derivation::Virtual);
            let file = made.membership().encode();
            let read = Membership::decode(&file).unwrap();
            assert_eq!((&read, read.encode()), (made.membership(), file));
            let membership = read.verify(&anchors, &device).unwrap();
            let mut card = open(token);
            rehearsal.log(called).clear();
            let status = card.join_group(0, &membership).unwrap();
            assert_eq!(status.uid.as_deref(), Some(group.vouched.coordinates()));
            assert_eq!(status.kcv, Kcv::NONE);
            let sent = headers(rehearsal.log(called));
            // Places, whose token it is, issuer known, device not known, issuer chosen, device verified and chosen.
            assert_eq!(
                sent[..9].join(" "),
                "80520000 80520001 80520002 00B12F02 002281B6 002281B6 002281B6 002A00BE 002281B6"
            );
            assert_eq!(sent.last().unwrap(), "80520200");
            assert_eq!(sent.contains(&"00D72F10".to_owned()), is_short, "{sent:?}");
            let longest = rehearsal
                .log(called)
                .entries()
                .iter()
                .map(|entry| entry.command_length)
                .max();
            assert!(longest.unwrap() <= limits.max_command);

            assert!(matches!(
                card.join_group(0, &membership),
                Err(ExchangeError::Taken { domain: 0 })
            ));
            assert!(matches!(
                card.join_group(2, &membership),
                Err(ExchangeError::NoPlace { domain: 2 })
            ));
            let found = places(&mut card).unwrap();
            assert!(found[0].is_some() && found[1].is_none() && found.len() == 2);
        }

        let [mut one, mut two] = [login(tokens[0].clone()), login(tokens[1].clone())];
        let (from_one, from_two) = (offer(&mut one, curve, &anchors), offer(&mut two, curve, &anchors));
        assert_eq!(from_one.offer().group(), group.vouched.coordinates());
        let (mut one, mut two) = (open(&tokens[0]), open(&tokens[1]));
        rehearsal.log("one").clear();
        let here = one.agree(0, EXCHANGE, &from_two).unwrap();
        let sent = headers(rehearsal.log("one"));
        assert!(sent.contains(&"80620384".to_owned()), "{sent:?}");
        assert_eq!(sent.contains(&"00D72F10".to_owned()), is_short, "{sent:?}");
        let there = two.agree(0, EXCHANGE, &from_one).unwrap();
        assert_ne!(here.kcv, Kcv::NONE);
        assert_eq!(here.kcv, there.kcv);
    }
}

#[test]
fn what_is_not_for_this_token_is_refused_by_host_and_token() {
    let mut rehearsal = Rehearsal::new();
    let group = Group::new(&mut rehearsal, "signer", Curve::BrainpoolP256r1);
    let other = Group::new(&mut rehearsal, "other", Curve::BrainpoolP256r1);
    let (one, two) = (member(&mut rehearsal, "one"), member(&mut rehearsal, "two"));
    let anchors = rehearsal.anchors.clone();
    let (first, second) = (identity(&one, &anchors), identity(&two, &anchors));

    let for_first = group.admit(&first, &anchors);
    assert!(matches!(
        login(two.clone()).join_group(0, &for_first),
        Err(ExchangeError::OtherMember { .. })
    ));
    assert!(matches!(
        for_first.membership().clone().verify(&anchors, &second),
        Err(ExchangeProofError::Membership { .. })
    ));
    assert!(matches!(
        for_first
            .membership()
            .clone()
            .verify(&TrustAnchors::production().unwrap(), &first),
        Err(ExchangeProofError::Chain { .. })
    ));
    // The signature of one group under the name of another.
    let file = for_first.membership().encode();
    let signature = &file[file.len() - 64..];
    let mixed = Membership::new(other.vouched.clone(), signature).unwrap();
    assert!(matches!(
        mixed.verify(&anchors, &first),
        Err(ExchangeProofError::Membership { .. })
    ));

    login(one.clone()).join_group(0, &for_first).unwrap();
    let for_second = other.admit(&second, &anchors);
    login(two.clone()).join_group(0, &for_second).unwrap();
    let (mut one, mut two) = (login(one), login(two));
    let from_one = offer(&mut one, Curve::BrainpoolP256r1, &anchors);
    let from_two = offer(&mut two, Curve::BrainpoolP256r1, &anchors);
    assert!(matches!(
        one.agree(0, EXCHANGE, &from_two),
        Err(ExchangeError::AgreementRefused { .. })
    ));
    assert!(matches!(
        one.agree(0, EXCHANGE, &from_one),
        Err(ExchangeError::AgreementRefused { .. })
    ));
    // Keys of the domain that can do more are no exchange keys.
    let request = generate(
        &mut one,
        KeyId(4),
        Curve::BrainpoolP256r1,
        Algorithm::Ecdh,
        Some(0),
    );
    assert!(matches!(
        Offer::new(&one.device_chain().unwrap(), &request),
        Err(ExchangeFormatError::Shape(_))
    ));
}

#[test]
fn tokens_of_another_installation_are_not_known() {
    let (mut here, mut there) = (Rehearsal::new(), Rehearsal::new());
    let group = Group::new(&mut there, "signer", Curve::BrainpoolP256r1);
    let token = member(&mut here, "one");
    let mut anchors = here.anchors.clone();
    for root in there.anchors.iter() {
        anchors.add(root.certificate().clone()).unwrap();
    }
    let membership = group.admit(&identity(&token, &anchors), &anchors);
    let refused = login(token).join_group(0, &membership).unwrap_err();
    assert!(
        matches!(
            refused,
            ExchangeError::Introduction(IntroductionError::UnknownIssuer { .. })
        ),
        "{refused}"
    );
}

#[test]
fn no_changed_membership_or_offer_proves_anything() {
    let mut rehearsal = Rehearsal::new();
    let group = Group::new(&mut rehearsal, "signer", Curve::BrainpoolP256r1);
    let token = member(&mut rehearsal, "one");
    let anchors = rehearsal.anchors.clone();
    let device = identity(&token, &anchors);
    let membership = group.admit(&device, &anchors);
    let mut card = login(token);
    card.join_group(0, &membership).unwrap();
    let offer = offer(&mut card, Curve::BrainpoolP256r1, &anchors)
        .offer()
        .encode();
    let membership = membership.membership().encode();

    let admits = |file: &[u8]| {
        Membership::decode(file).is_ok_and(|membership| membership.verify(&anchors, &device).is_ok())
    };
    let proves = |file: &[u8]| Offer::decode(file).is_ok_and(|offer| offer.verify(&anchors).is_ok());
    assert!(admits(&membership) && proves(&offer));
    assert!(!admits(&offer) && !proves(&membership));
    for (file, works) in [
        (&membership, &admits as &dyn Fn(&[u8]) -> bool),
        (&offer, &proves),
    ] {
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1 << (at % 8);
            assert!(!works(&changed), "changed at {at}");
            let mut dropped = file.clone();
            dropped.remove(at);
            assert!(!works(&dropped), "dropped at {at}");
            assert!(!works(&file[..at]), "cut at {at}");
        }
        assert!(!works(&[file, &[0][..]].concat()));
        assert!(!works(&[file, &file[..]].concat()));
    }
    let long = vec![0x30; chancery_driver::exchange::MAX_FILE + 1];
    assert!(matches!(
        Membership::decode(&long),
        Err(ExchangeFormatError::TooLong { .. })
    ));
    assert!(matches!(
        Offer::decode(&long),
        Err(ExchangeFormatError::TooLong { .. })
    ));
}
