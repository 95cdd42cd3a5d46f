//! `token domain group`, `invite` and `join`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_attest::{Input, MAX_INPUT};
use chancery_cvc::{Curve, DeviceChain, DeviceIdentity, PublicKey};
use chancery_driver::exchange::{MAX_FILE, Membership};
use chancery_schsm::KeyId;
use chancery_tokens::{
    catalogue::KeyName,
    domain::{GroupSigner, create_signer, join},
    keys::Origin,
    reach::Intent,
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    desk::{Desk, device_json, virtual_remark, words},
    failure::{domain, format as bad_format},
};
use crate::{
    commands::{
        read_input,
        token::{
            failure::card,
            key_failure::keys,
            opening::{choose, key_id, key_name, open, write_private},
            pins::UserPinArgs,
            reaching::select,
        },
    },
    context::Context,
    error::{CliError, chain},
    report::Report,
};

/// Groups of tokens that exchange keys.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery token domain group create alice --label backup")]
pub(crate) enum GroupCommand {
    /// Make a group: a key that signs for it
    Create(CreateGroup),
}

impl GroupCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
        }
    }
}

/// Makes a group: a key on a token that signs for it.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token domain group create alice --label backup\n\
Whoever may use this key decides which tokens exchange keys in the group. It can do nothing but sign, never leaves its token, and \
chancery signs nothing with it but memberships. The token that holds it need not be a member."
)]
pub(crate) struct CreateGroup {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Label of the key, at most 64 bytes
    #[arg(long)]
    label: String,
    /// Where the key is to stand, 1 to 255 [default: the lowest free id]
    #[arg(long, value_parser = key_id)]
    id: Option<KeyId>,
    /// Curve of the key
    #[arg(long, default_value = "brainpoolP256r1", value_parser = curve)]
    curve: Curve,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// Admits a token to a group.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token domain invite alice backup --member bob --out bob.membership\n         \
chancery token domain invite alice backup --member-chain bob.files/2F02.bin --out bob.membership\n\
The chain of the new member is verified down to a trusted root before anything is signed, and it is said which tokens are virtual. \
A token elsewhere is invited by its chain, file 2F02 of chancery token dump. The file is no secret and serves this one token alone."
)]
pub(crate) struct Invite {
    /// The token with the key that signs for the group: device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The key that signs for the group: its id, its label, label:TEXT, or id:HEX for its CKA_ID
    #[arg(value_name = "KEY", value_parser = key_name)]
    key: KeyName,
    /// The new member: device id, label, or name of a virtual token
    #[arg(long, value_name = "TOKEN", required_unless_present = "member_chain")]
    member: Option<String>,
    /// The new member's chain (EF 2F02) in a file, binary or hexadecimal
    #[arg(long, value_name = "FILE", conflicts_with = "member")]
    member_chain: Option<PathBuf>,
    /// Where the membership is written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// Makes an exchange key domain from a membership file.
#[derive(Args)]
#[command(after_help = "Example: chancery token domain join bob bob.membership\n\
The token must have been set up with a place for it: chancery token init --domains N. The membership is verified here, then by the \
token itself. The key encryption key comes by chancery token domain agree.")]
pub(crate) struct Join {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The membership
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Number of the domain [default: the first free place]
    #[arg(long, value_name = "N")]
    domain: Option<u8>,
    #[command(flatten)]
    pin: UserPinArgs,
}

impl CreateGroup {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let desk = Desk::new(context)?;
        let (chosen, mut token) = open(context, Some(&self.token), &self.pin)?;
        let called = chosen.to_string();
        let host = desk.host(&chosen, &called);
        let made = create_signer(&mut token, &self.label, self.id, self.curve, &host)
            .map_err(|error| keys(&called, &error))?;
        let group = made.public_key.as_ref().and_then(PublicKey::point);
        let group = group.and_then(|point| point.get(1..)).map(hex::encode_upper);
        let mut text = format!(
            "key {} {:?} on {called} signs for group\n{}\n",
            made.id,
            self.label,
            group.as_deref().unwrap_or("-")
        );
        if let Origin::UnknownDevice { why } = &made.origin {
            text.push_str(&format!(
                "NOT PROVEN that this token made it, so nobody can be invited: {why}\n"
            ));
        }
        text.push_str(&format!(
            "do: chancery token domain invite {} {} --member TOKEN --out FILE\n",
            chosen.device(),
            made.id
        ));
        Report::new(
            &json!({
                "token": chosen.device(),
                "id": made.id.0,
                "label": self.label,
                "curve": self.curve.name(),
                "group": group,
                "proven": matches!(made.origin, Origin::Proven { .. }),
            }),
            text,
        )
    }
}

impl Invite {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let desk = Desk::new(context)?;
        // Given back before the other token is taken: it may be the same.
        let (member_called, certificates) = self.chain(context)?;
        let member = certificates.verify(&desk.anchors, None).map_err(|error| {
            CliError::with_remedy(
                FailureKind::Refused,
                format!("{member_called}: its chain is not accepted, nobody was invited: {}", chain(&error)),
                "a token under another root is none of this group; virtual tokens of another installation are not known here",
            )
        })?;
        let (chosen, mut token) = open(context, Some(&self.token), &self.pin)?;
        let called = chosen.to_string();
        let failed = |error: &chancery_tokens::domain::DomainError| domain(&called, error);
        let (id, _) = choose(&chosen, &mut token, &self.key)?;
        let host = desk.host(&chosen, &called);
        let signer = GroupSigner::find(&mut token, id, &host).map_err(|error| failed(&error))?;
        let membership = signer
            .admit(&mut token, &member, &host)
            .map_err(|error| failed(&error))?;
        drop(token);
        write_private(&self.out, &membership.membership().encode())?;
        Self::report(&signer, &member, &self.out)
    }

    /// The new member's chain, and what to call it.
    fn chain(&self, context: &Context) -> Result<(String, DeviceChain), CliError> {
        let Some(file) = &self.member_chain else {
            let (chosen, mut token) = select(context, self.member.as_deref(), Intent::Change)?;
            let called = chosen.to_string();
            let chain = token.device_chain().map_err(|error| card(&called, &error))?;
            return Ok((called, chain));
        };
        let called = file.display().to_string();
        let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX);
        let bytes = read_input(file, limit)?;
        let chain = match Input::recognise(&bytes) {
            Ok(Input::Chain(bytes)) => DeviceChain::parse(&bytes).ok(),
            _ => None,
        };
        chain.map(|chain| (called.clone(), chain)).ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("{called}: no device certificate chain"),
                "chancery token dump TOKEN --out DIR writes it to DIR/2F02.bin",
            )
        })
    }

    fn report(signer: &GroupSigner, member: &DeviceIdentity, out: &Path) -> Result<Report, CliError> {
        let group = hex::encode_upper(signer.group());
        let mut text = format!("membership of {} in {}\n", member.serial(), out.display());
        text.push_str(&words("member", member));
        text.push_str(&words("group signer", signer.device()));
        text.push_str(&format!("group: {group}\n"));
        text.push_str(virtual_remark(&[member, signer.device()]));
        if !signer.limited {
            text.push_str(&format!(
                "WARNING: key {} may do more than sign memberships; whoever can use it otherwise, or has a copy, can invite \
                 anybody\n",
                signer.id()
            ));
        }
        text.push_str(&format!(
            "do: chancery token domain join {} {}\n",
            member.serial(),
            out.display()
        ));
        Report::new(
            &json!({
                "file": out.display().to_string(),
                "group": group,
                "member": device_json(member),
                "signer": device_json(signer.device()),
                "signer_key": signer.id().0,
                "signer_limited": signer.limited,
            }),
            text,
        )
    }
}

impl Join {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let desk = Desk::new(context)?;
        let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
        let membership = Membership::decode(&read_input(&self.file, limit)?)
            .map_err(|error| bad_format(&self.file, &error))?;
        let (chosen, mut token) = open(context, Some(&self.token), &self.pin)?;
        let called = chosen.to_string();
        let host = desk.host(&chosen, &called);
        let joined =
            join(&mut token, self.domain, membership, &host).map_err(|error| domain(&called, &error))?;
        let group = hex::encode_upper(&joined.group);
        let number = joined.domain;
        let mut text = format!("key domain {number} of {called} is in group\n{group}\n");
        text.push_str(&words("member", &joined.member));
        text.push_str(&words("group signer", &joined.signer));
        text.push_str(virtual_remark(&[&joined.member, &joined.signer]));
        text.push_str(&format!(
            "it has no key encryption key yet; do: chancery token domain agree {} {number} --with TOKEN\n",
            joined.member.serial()
        ));
        Report::new(
            &json!({
                "token": chosen.device(),
                "domain": number,
                "group": group,
                "member": device_json(&joined.member),
                "signer": device_json(&joined.signer),
                "alike": joined.is_alike(),
            }),
            text,
        )
    }
}

/// For clap: a curve by name.
pub(super) fn curve(name: &str) -> Result<Curve, String> {
    Curve::from_name(name)
        .ok_or_else(|| "no such curve; brainpoolP256r1, P-256 and P-384 are some".to_owned())
}
