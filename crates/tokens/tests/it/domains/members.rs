//! A group with its signer on one token and members on others.

use chancery_cvc::Curve;
use chancery_driver::{Card, Initialize, SoPin};
use chancery_schsm::{InitializeOptions, KeyId};
use chancery_tokens::archive::Archive;
use chancery_tokens::domain::{GroupSigner, Host, Joined, create_signer, join};
use chancery_tokens::journal::Journal;

use crate::bench::{Bench, Token, now, pin};

/// What work needs of the host.
pub(crate) struct Desk {
    pub(crate) archive: Archive,
    pub(crate) journal: Journal,
}

impl Desk {
    pub(crate) fn new(bench: &Bench) -> Self {
        Self {
            archive: bench.archive(),
            journal: bench.journal(),
        }
    }

    pub(crate) fn host<'a>(&'a self, bench: &'a Bench, token: &'a Token) -> Host<'a> {
        Host {
            anchors: &bench.anchors,
            archive: &self.archive,
            noted: token.noted(&self.journal),
            now: now(),
        }
    }
}

/// A token with two places for key domains.
pub(crate) fn with_places(bench: &Bench, name: &str) -> Token {
    let token = bench.token(name, &[]);
    Card::new(token.clone())
        .select()
        .unwrap()
        .initialize(&Initialize {
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

/// A token with a key that signs for a group.
pub(crate) fn group(bench: &Bench, desk: &Desk, name: &str) -> (Token, KeyId) {
    let token = with_places(bench, name);
    let host = desk.host(bench, &token);
    let made = create_signer(&mut token.login(), "group", None, Curve::BrainpoolP256r1, &host).unwrap();
    (token, made.id)
}

/// Makes the token a member of the group.
pub(crate) fn admit(bench: &Bench, desk: &Desk, group: &(Token, KeyId), token: &Token) -> Joined {
    let device = token.login().device_identity(&bench.anchors).unwrap();
    let host = desk.host(bench, &group.0);
    let mut card = group.0.login();
    let signer = GroupSigner::find(&mut card, group.1, &host).unwrap();
    let membership = signer.admit(&mut card, &device, &host).unwrap();
    let membership = membership.membership().clone();
    join(&mut token.login(), None, membership, &desk.host(bench, token)).unwrap()
}

/// Two members of one group.
pub(crate) fn pair(bench: &Bench, desk: &Desk) -> [Token; 2] {
    let group = group(bench, desk, "signer");
    ["one", "two"].map(|name| {
        let token = with_places(bench, name);
        assert_eq!(admit(bench, desk, &group, &token).domain, 0);
        token
    })
}
