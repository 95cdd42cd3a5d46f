//! `token domain agree`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_cvc::Curve;
use chancery_driver::{
    Authenticated,
    exchange::{MAX_FILE, Offer, VerifiedOffer},
};
use chancery_schsm::{Kcv, KeyId};
use chancery_tokens::{
    domain::{DomainError, DomainState, KeyChoice, Overview, Prepared, Wanted, prepare},
    reach::TokenTransport,
};
use clap::Args;
use serde_json::json;

use super::{
    desk::{Desk, device_json, virtual_remark, words},
    failure::{domain, format as bad_format},
    group::curve,
};
use crate::{
    commands::{
        dkek::kcv,
        read_input,
        token::{
            failure::card,
            opening::{key_id, open, write_private},
            pins::UserPinArgs,
            reaching::Chosen,
        },
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// Agrees with another member of the group on the key encryption key.
#[derive(Args)]
#[command(
    group = clap::ArgGroup::new("what").args(["offer", "peer", "with"]).required(true).multiple(true),
    after_help = "Example: chancery token domain agree alice 0 --with bob\n\
Two tokens apart: each writes its offer, reads the other's, and both must end with the same KCV:\n         \
chancery token domain agree alice 0 --offer alice.offer\n         \
chancery token domain agree bob 0 --offer bob.offer --peer alice.offer\n         \
chancery token domain agree alice 0 --peer bob.offer --kcv KCV\n\
An exchange key is made in the domain when it has none; it can do nothing but agree. The offer is its request and the chain of its \
token, no secret. Both are verified here, then by the other token. A key encryption key is of two tokens: a third member takes \
part in key domains of its own.\n\
VIRTUAL TOKENS AND DEVICES DO NOT AGREE WITH EACH OTHER: a virtual token derives the key encryption key in a way of its own, how a \
device does is not published. It is refused before anything is made."
)]
pub(crate) struct Agree {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Number of its exchange key domain
    #[arg(value_name = "DOMAIN")]
    domain: u8,
    /// Write this token's offer to a file
    #[arg(long, value_name = "FILE")]
    offer: Option<PathBuf>,
    /// Agree with the token of this offer
    #[arg(long, value_name = "FILE", conflicts_with = "with")]
    peer: Option<PathBuf>,
    /// Agree with this token, which agrees, too
    #[arg(long, value_name = "TOKEN")]
    with: Option<String>,
    /// Number of the other token's domain [default: the only one of the same group]
    #[arg(long, value_name = "N", requires = "with")]
    with_domain: Option<u8>,
    /// The key check value that the other token shows; another one is a failure
    #[arg(long, value_name = "KCV", value_parser = kcv)]
    kcv: Option<Kcv>,
    /// The exchange key to use [default: the only one in the domain]
    #[arg(long, value_name = "ID", value_parser = key_id, conflicts_with = "new_key")]
    key: Option<KeyId>,
    /// Make a new exchange key
    #[arg(long)]
    new_key: bool,
    /// Curve of the exchange key [default: the peer's, or brainpoolP256r1]
    #[arg(long, value_name = "NAME", value_parser = curve)]
    curve: Option<Curve>,
    /// Replace the key encryption key the domain has
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    pin: UserPinArgs,
    /// Take the PIN of the other token from the first line of a file that nobody else may read; - for a line of standard input
    #[arg(long, value_name = "FILE", requires = "with")]
    with_pin_file: Option<PathBuf>,
}

/// A token at work.
struct Side {
    chosen: Chosen,
    called: String,
    token: Authenticated<TokenTransport>,
}

impl Agree {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let desk = Desk::new(context)?;
        let peer = self
            .peer
            .as_deref()
            .map(|file| offer_in(file, &desk))
            .transpose()?;
        let mut here = Side::open(context, &self.token, &self.pin)?;
        let mut there = match &self.with {
            Some(with) => {
                let pin = UserPinArgs {
                    pin_file: self.with_pin_file.clone(),
                };
                Some(Side::open(context, with, &pin)?)
            }
            None => None,
        };
        let agreeing = peer.is_some() || there.is_some();
        let prepared = here.prepare(
            &desk,
            &Wanted {
                domain: self.domain,
                key: match (self.key, self.new_key) {
                    (Some(id), _) => KeyChoice::Id(id),
                    (None, true) => KeyChoice::New,
                    (None, false) => KeyChoice::TheOne,
                },
                curve: self.curve,
                peer: peer.as_ref(),
                keep_kek: agreeing && !self.replace,
            },
        )?;
        if let Some(file) = &self.offer
            && let Err(error) = write_private(file, &prepared.offer().offer().encode())
        {
            prepared.finish().map_err(|error| domain(&here.called, &error))?;
            return Err(error);
        }
        match (&mut there, &peer) {
            (Some(there), _) => self.both(&desk, &mut here, prepared, there),
            (None, Some(peer)) => self.one(&mut here, prepared, peer),
            (None, None) => self.offered(&here, prepared),
        }
    }

    /// The offer alone.
    fn offered(&self, here: &Side, prepared: Prepared) -> Result<Report, CliError> {
        let made = prepared.is_new();
        let (key, curve) = (prepared.key(), prepared.curve());
        let device = prepared.offer().device().clone();
        let group = hex::encode_upper(prepared.offer().offer().group());
        prepared.finish().map_err(|error| domain(&here.called, &error))?;
        let file = self.offer.as_ref().map(|file| file.display().to_string());
        let mut text = format!(
            "the offer of {}, key domain {}, is in {}\nexchange key {key} ({curve}){}\n",
            here.called,
            self.domain,
            file.as_deref().unwrap_or("-"),
            if made { ", made now" } else { "" },
        );
        text.push_str(&words("offered by", &device));
        text.push_str(virtual_remark(&[&device]));
        Report::new(
            &json!({
                "token": here.chosen.device(),
                "domain": self.domain,
                "group": group,
                "key": key.0,
                "key_made": made,
                "curve": curve,
                "offer": file,
                "virtual": device_json(&device)["virtual"],
                "peer": null,
                "kcv": null,
            }),
            text,
        )
    }

    /// With a token elsewhere.
    fn one(&self, here: &mut Side, mut prepared: Prepared, peer: &VerifiedOffer) -> Result<Report, CliError> {
        let agreed = here.agree(&mut prepared, peer)?;
        let mut text = self.said(here, &prepared, peer, agreed);
        match self.kcv {
            Some(_) => {}
            None => text.push_str("the other token has to show the same KCV: compare them\n"),
        }
        let json = self.json(here, &prepared, peer, agreed);
        prepared.finish().map_err(|error| domain(&here.called, &error))?;
        self.compare(here, agreed, self.kcv, "the other token")?;
        Report::new(&json, text)
    }

    /// With a token that is here, too.
    fn both(
        &self,
        desk: &Desk,
        here: &mut Side,
        mut prepared: Prepared,
        there: &mut Side,
    ) -> Result<Report, CliError> {
        let second = self.other_domain(&prepared, there).and_then(|number| {
            there.prepare(
                desk,
                &Wanted {
                    domain: number,
                    key: KeyChoice::TheOne,
                    curve: None,
                    peer: Some(prepared.offer()),
                    keep_kek: !self.replace,
                },
            )
        });
        let mut second = match second {
            Ok(second) => second,
            Err(error) => {
                // The exchange key here is whole, whatever is wrong there.
                prepared.finish().map_err(|error| domain(&here.called, &error))?;
                return Err(error);
            }
        };
        let (own, other) = (prepared.offer().clone(), second.offer().clone());
        let agreed = here.agree(&mut prepared, &other)?;
        let mut text = self.said(here, &prepared, &other, agreed);
        let mut json = self.json(here, &prepared, &other, agreed);
        prepared.finish().map_err(|error| domain(&here.called, &error))?;
        let theirs = there.agree(&mut second, &own)?;
        text.push_str(&format!(
            "{}, key domain {}, shows KCV {theirs}\n",
            there.called,
            second.domain()
        ));
        json["with"] = json!({
            "token": there.chosen.device(),
            "domain": second.domain(),
            "key": second.key().0,
            "key_made": second.is_new(),
            "kcv": theirs.to_string(),
        });
        second.finish().map_err(|error| domain(&there.called, &error))?;
        self.compare(here, agreed, Some(theirs), &there.called)?;
        self.compare(here, agreed, self.kcv, "--kcv")?;
        Report::new(&json, text)
    }

    /// The other token's domain: the one named, or the only one of the same group.
    fn other_domain(&self, prepared: &Prepared, there: &mut Side) -> Result<u8, CliError> {
        if let Some(number) = self.with_domain {
            return Ok(number);
        }
        let overview = Overview::of(&mut there.token).map_err(|error| card(&there.called, &error))?;
        let wanted = prepared.offer().offer().group();
        let numbers: Vec<u8> = overview
            .places
            .iter()
            .filter(|place| matches!(&place.state, DomainState::Exchange { group, .. } if group == wanted))
            .map(|place| place.number)
            .collect();
        match numbers.as_slice() {
            [only] => Ok(*only),
            [] => Err(CliError::with_remedy(
                FailureKind::NotFound,
                format!("{}: no key domain of this group", there.called),
                "chancery token domain join TOKEN FILE makes one, from its membership",
            )),
            several => Err(CliError::with_remedy(
                FailureKind::Invalid,
                format!("{}: several key domains of this group: {several:?}", there.called),
                "say which with --with-domain N",
            )),
        }
    }

    fn said(&self, here: &Side, prepared: &Prepared, peer: &VerifiedOffer, agreed: Kcv) -> String {
        let own = prepared.offer().device();
        let mut text = format!(
            "key domain {} of {} has agreed: KCV {agreed}\n",
            self.domain, here.called
        );
        text.push_str(&words("this token", own));
        text.push_str(&words("agreed with", peer.device()));
        text.push_str(virtual_remark(&[own, peer.device()]));
        match prepared.before() {
            Some(before) if before != agreed => {
                text.push_str(&format!(
                    "it takes the place of the key encryption key with KCV {before}\n"
                ));
            }
            _ => {}
        }
        if let Some(file) = &self.offer {
            text.push_str(&format!("the offer of this token is in {}\n", file.display()));
        }
        text
    }

    fn json(&self, here: &Side, prepared: &Prepared, peer: &VerifiedOffer, agreed: Kcv) -> serde_json::Value {
        json!({
            "token": here.chosen.device(),
            "domain": self.domain,
            "group": hex::encode_upper(peer.offer().group()),
            "key": prepared.key().0,
            "key_made": prepared.is_new(),
            "curve": prepared.curve(),
            "offer": self.offer.as_ref().map(|file| file.display().to_string()),
            "virtual": device_json(prepared.offer().device())["virtual"],
            "peer": device_json(peer.device()),
            "kcv": agreed.to_string(),
            "replaced_kcv": prepared.before().map(|kcv| kcv.to_string()),
        })
    }

    /// Two key check values that must be one.
    fn compare(&self, here: &Side, agreed: Kcv, other: Option<Kcv>, whose: &str) -> Result<(), CliError> {
        match other {
            Some(other) if other != agreed => Err(CliError::with_remedy(
                FailureKind::Refused,
                format!(
                    "{}: key domain {} shows KCV {agreed}, {whose} {other}: they have not the same key encryption key, and cannot \
                     exchange keys",
                    here.called, self.domain
                ),
                format!(
                    "chancery token domain delete-key {} {}, on the other token, too; then agree anew with offers made now",
                    here.chosen.device(),
                    self.domain
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl Side {
    fn open(context: &Context, wanted: &str, pin: &UserPinArgs) -> Result<Self, CliError> {
        let (chosen, token) = open(context, Some(wanted), pin)?;
        Ok(Self {
            called: chosen.to_string(),
            chosen,
            token,
        })
    }

    fn prepare(&mut self, desk: &Desk, wanted: &Wanted<'_>) -> Result<Prepared, CliError> {
        let host = desk.host(&self.chosen, &self.called);
        prepare(&mut self.token, wanted, &host).map_err(|error| domain(&self.called, &error))
    }

    fn agree(&mut self, prepared: &mut Prepared, peer: &VerifiedOffer) -> Result<Kcv, CliError> {
        prepared
            .agree(&mut self.token, peer)
            .map_err(|error| domain(&self.called, &error))
    }
}

/// A peer's offer, verified before anything else is done.
fn offer_in(file: &Path, desk: &Desk) -> Result<VerifiedOffer, CliError> {
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    Offer::decode(&read_input(file, limit)?)
        .map_err(|error| bad_format(file, &error))?
        .verify(&desk.anchors)
        .map_err(|error| domain(&file.display().to_string(), &DomainError::Proof(error)))
}
