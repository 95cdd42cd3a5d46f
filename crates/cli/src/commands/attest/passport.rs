//! `attest passport`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_attest::{
    Attestation, Binding, Copy, Input, KeyFacts, KeyFingerprint, NamedInput, Passport, Token, TokenFacts,
    kcv_of,
};
use chancery_cvc::{AuthenticatedRequest, DeviceChain, PublicKey};
use chancery_driver::{
    AppletAccess, Authenticated, Error as CardError, KeyCertificate, exchange, origin, reading,
};
use chancery_schsm::{KeyId, PrivateKeyDescription};
use chancery_tokens::{
    archive::Archive,
    reach::{Intent, TokenTransport},
};
use clap::Args;

use super::{files, trust::TrustArgs};
use crate::{
    commands::token::{
        failure::card as card_error,
        pins::{UserPinArgs, unlock},
        reaching::select,
    },
    context::Context,
    error::CliError,
    report::Report,
    table::facts,
};

/// Shows key passports.
#[derive(Args)]
#[command(after_help = "Example: chancery attest passport alice --key 1\n         \
chancery attest passport key.wky ef2f02.bin --json\n\
Proven is what signatures show of a public key: in which device it was generated, or derived from another. Whoever has the PIN \
can write any request beside a key: that the key on the token is the one named there shows only a use of it, with --prove. \
Key domains are what the token says of itself, and labels are what somebody wrote. Whoever has the shares of a key domain's \
DKEK can hold copies.")]
pub(crate) struct ShowPassport {
    /// A token (device id, label, or name of a virtual token), or files: requests, wrapped keys, attestations, and chains
    #[arg(required = true, value_name = "TOKEN|FILE")]
    what: Vec<String>,
    /// Only the key with this id or label
    #[arg(long, value_name = "ID|LABEL")]
    key: Option<String>,
    /// Wrapped keys (.bin, .wky) that may be copies
    #[arg(long, value_name = "FILE")]
    wrapped: Vec<PathBuf>,
    /// Unlock the token and use each key once, to show that it is the key named beside it; also done when a PIN is given
    #[arg(long)]
    prove: bool,
    #[command(flatten)]
    pin: UserPinArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// Everything passports are made from beside the keys themselves.
struct Known {
    archive: Vec<Attestation>,
    wrapped: Vec<(String, chancery_schsm::KeyContainer)>,
}

impl ShowPassport {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let anchors = self.trust.anchors(context)?;
        let known = self.known(context)?;
        let (existing, tokens): (Vec<_>, Vec<_>) =
            self.what.iter().partition(|what| Path::new(what).is_file());
        let paths: Vec<PathBuf> = existing.iter().map(PathBuf::from).collect();
        let tokens_given = !tokens.is_empty();
        let mut found = of_files(&files::read(&paths)?, &known)?;
        for token in tokens {
            found.extend(self.of_token(context, token, &known)?);
        }
        if found.is_empty() {
            let message = if tokens_given {
                "there is no such key"
            } else {
                "none of these files names a key: give requests, wrapped keys, attestations or certificates"
            };
            return Err(CliError::new(FailureKind::NotFound, message));
        }
        let passports: Vec<Passport> = found
            .iter()
            .map(|facts| Passport::of(facts, &anchors, self.trust.day()))
            .collect();
        let text: Vec<String> = passports.iter().map(text).collect();
        Report::new(&passports, text.join("\n"))
    }

    fn known(&self, context: &Context) -> Result<Known, CliError> {
        let archive = match context.data_if_any()? {
            Some(data) => Archive::below(data.path()).list()?,
            None => Vec::new(),
        };
        let mut known = Known {
            archive: Vec::new(),
            wrapped: Vec::new(),
        };
        for entry in archive {
            let path = entry.path;
            match entry.attestation {
                Ok(attestation) => known.archive.push(attestation),
                Err(error) => context.tell(format!(
                    "({}: {}; it is left out)",
                    path.display(),
                    crate::error::chain(&error)
                )),
            }
        }
        for (name, input) in files::read(&self.wrapped)? {
            match input {
                Ok(Input::Container(container)) => known.wrapped.push((files::whole_path(&name), container)),
                _ => {
                    let message = format!("--wrapped {name}: not a wrapped key (.bin, .wky)");
                    return Err(CliError::new(FailureKind::Invalid, message));
                }
            }
        }
        Ok(known)
    }

    fn of_token(&self, context: &Context, wanted: &str, known: &Known) -> Result<Vec<KeyFacts>, CliError> {
        let prove = self.prove || self.pin.pin_file.is_some();
        let intent = if prove { Intent::Change } else { Intent::Read };
        let (chosen, mut card) = select(context, Some(wanted), intent)?;
        let called = chosen.to_string();
        let failed = |error: CardError| card_error(&called, &error);
        if !prove {
            let found = self.collect(&mut card, wanted, known).map_err(failed)?;
            return Ok(found.into_iter().map(|(_, facts)| facts).collect());
        }
        let mut card = unlock(context, &chosen, card, &self.pin)?;
        let mut found = self.collect(&mut card, wanted, known).map_err(failed)?;
        for (id, facts) in &mut found {
            let named = named_key(facts);
            if let (Some(token), Some(named)) = (&mut facts.token, named) {
                token.binding = bind(&mut card, *id, &named, token.use_counter).map_err(failed)?;
            }
        }
        Ok(found.into_iter().map(|(_, facts)| facts).collect())
    }

    fn collect(
        &self,
        card: &mut impl AppletAccess,
        called: &str,
        known: &Known,
    ) -> Result<Vec<(KeyId, KeyFacts)>, CardError> {
        let places = exchange::places(card)?;
        let mut found = Vec::new();
        for id in reading::objects(card)?.keys() {
            let facts = key_facts(card, id, called, &places, known)?;
            let label = facts
                .description
                .as_ref()
                .map(|description| description.label.as_str());
            let wanted = self.key.as_ref().is_none_or(|key| {
                Some(key.as_str()) == label || key.parse::<u8>().is_ok_and(|number| number == id.0)
            });
            if wanted {
                found.push((id, facts));
            }
        }
        Ok(found)
    }
}

/// Has the key show that it is the one named beside it. A key whose uses are counted is left alone.
fn bind(
    card: &mut Authenticated<TokenTransport>,
    id: KeyId,
    named: &PublicKey,
    use_counter: Option<u32>,
) -> Result<Binding, CardError> {
    if use_counter.is_some() {
        return Ok(Binding::Unprovable);
    }
    match card.proves(id, named) {
        Ok(true) => Ok(Binding::ByUse),
        Ok(false) => Ok(Binding::OtherKey),
        // What is wrong with the token is said, what is wrong with this use of this key is its result.
        Err(error) if error.is_link_loss() || error.is_locked() => Err(error),
        Err(_) => Ok(Binding::Unprovable),
    }
}

/// The key that the request names, or else the certificate.
fn named_key(facts: &KeyFacts) -> Option<PublicKey> {
    facts
        .request
        .as_ref()
        .and_then(|request| AuthenticatedRequest::parse(request).ok())
        .map(|request| request.request().public_key().clone())
        .or_else(|| facts.public_key.clone())
}

fn key_facts(
    card: &mut impl AppletAccess,
    id: KeyId,
    called: &str,
    places: &[Option<chancery_schsm::KeyDomainStatus>],
    known: &Known,
) -> Result<KeyFacts, CardError> {
    let proof = origin::read(card, id)?;
    let device = DeviceChain::parse(&proof.chain)
        .ok()
        .and_then(|chain| chain.device_name().map(ToString::to_string));
    let attributes = proof.attributes.clone().unwrap_or_default();
    let mut facts = KeyFacts {
        place: match &device {
            Some(device) => format!("token {called} ({device}), key {id}"),
            None => format!("token {called}, key {id}"),
        },
        request: proof.request().map(<[u8]>::to_vec),
        request_from: proof.request().map(|_| "the token".to_owned()),
        public_key: proof.certificate.as_ref().and_then(KeyCertificate::public_key),
        description: proof.description.clone(),
        token: Some(TokenFacts {
            firmware: proof.firmware.to_string(),
            domains: (0..=u8::MAX)
                .zip(places)
                .filter_map(|(number, status)| Some((number, status.clone()?)))
                .collect(),
            several_places: places.len() > 1,
            key_domain: attributes.key_domain,
            algorithms: attributes.algorithms,
            use_counter: attributes.use_counter,
            chain: proof.chain,
            ..TokenFacts::default()
        }),
        ..KeyFacts::default()
    };
    complete(&mut facts, device.as_deref(), known);
    let nothing_named = named_key(&facts).is_none();
    if let Some(token) = facts.token.as_mut().filter(|_| nothing_named) {
        token.binding = Binding::NothingNamed;
    }
    Ok(facts)
}

/// Adds what the archive and the given wrapped keys know of a key; `here` is its token or file.
fn complete(facts: &mut KeyFacts, here: Option<&str>, known: &Known) {
    let request_key = |bytes: &Vec<u8>| {
        let request = AuthenticatedRequest::parse(bytes).ok()?;
        Some((
            request.request().public_key().clone(),
            request.outer_car().clone(),
        ))
    };
    let named: Option<PublicKey> = facts
        .request
        .as_ref()
        .and_then(request_key)
        .map(|(key, _)| key)
        .or_else(|| facts.public_key.clone());
    let Some(fingerprint) = named.as_ref().map(KeyFingerprint::of) else {
        return;
    };
    let kept = known
        .archive
        .iter()
        .filter(|attestation| attestation.key() == fingerprint);
    if let Some(kept) = kept.clone().find(|_| facts.request.is_none()) {
        facts.request = Some(kept.request().to_vec());
        facts.request_from = Some("the archive, by the public key of the certificate".to_owned());
    }
    if facts.chain.is_none() {
        let signer = facts
            .request
            .as_ref()
            .and_then(request_key)
            .map(|(_, device)| device);
        facts.chain = kept
            .clone()
            .find(|attestation| {
                Some(attestation.device()) == signer.as_ref() && !attestation.chain().is_empty()
            })
            .map(|attestation| attestation.chain().to_vec());
    }
    let mut copies = Copy::from_archive(fingerprint, here, kept);
    for (name, container) in &known.wrapped {
        let copy = Copy::from_container(fingerprint, name, container).filter(|copy| {
            here != Some(name.as_str()) && !copies.iter().any(|known| known.place == copy.place)
        });
        copies.extend(copy);
    }
    facts.copies = copies;
}

fn of_files(inputs: &[NamedInput], known: &Known) -> Result<Vec<KeyFacts>, CliError> {
    let chains: Vec<&[u8]> = inputs
        .iter()
        .filter_map(|(_, input)| match input {
            Ok(Input::Chain(bytes)) => Some(bytes.as_slice()),
            Ok(Input::Attestation(attestation)) => Some(attestation.chain()),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    for (name, input) in inputs {
        let place = format!("file {name}");
        let mut facts = match input {
            Ok(Input::Request(bytes)) => KeyFacts {
                request: Some(bytes.clone()),
                request_from: Some(place.clone()),
                ..KeyFacts::default()
            },
            Ok(Input::Attestation(attestation)) => KeyFacts {
                request: Some(attestation.request().to_vec()),
                request_from: Some(place.clone()),
                chain: Some(attestation.chain().to_vec()).filter(|chain| !chain.is_empty()),
                ..KeyFacts::default()
            },
            Ok(Input::Container(container)) => container_facts(container),
            Ok(Input::Subject(subject)) => KeyFacts {
                public_key: subject.key.clone(),
                ..KeyFacts::default()
            },
            Ok(_) => continue,
            Err(error) => {
                let message = format!("{name}: {}", crate::error::chain(error));
                return Err(CliError::new(FailureKind::Invalid, message));
            }
        };
        facts.place = place;
        if facts.chain.is_none() {
            let signer = facts
                .request
                .as_ref()
                .and_then(|bytes| AuthenticatedRequest::parse(bytes).ok())
                .map(|request| request.outer_car().clone());
            let fitting = chains.iter().find(|chain| {
                DeviceChain::parse(chain)
                    .is_ok_and(|chain| signer.is_some() && chain.device_name() == signer.as_ref())
            });
            facts.chain = fitting.map(|chain| chain.to_vec());
        }
        complete(&mut facts, Some(&files::whole_path(name)), known);
        found.push(facts);
    }
    Ok(found)
}

fn container_facts(container: &chancery_schsm::KeyContainer) -> KeyFacts {
    let certificate = container
        .certificate()
        .map(|bytes| KeyCertificate::recognise(bytes.to_vec()));
    let request = match &certificate {
        Some(KeyCertificate::Request(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    KeyFacts {
        request_from: request.as_ref().map(|_| "the wrapped key's file".to_owned()),
        request,
        public_key: certificate.as_ref().and_then(KeyCertificate::public_key),
        description: container
            .description()
            .and_then(|description| PrivateKeyDescription::parse(description).ok()),
        wrapped_under: kcv_of(container.blob()),
        ..KeyFacts::default()
    }
}

/// Whether the key on a token was made in it, as far as that is shown.
const fn here(token: &Token) -> Option<&'static str> {
    Some(match (token.generated_here, token.request_of_this_token) {
        (Some(true), _) => "yes: the key on the token was made in this very token",
        (Some(false), _) => "no, this is a copy: the key was made in another device",
        (None, Some(true)) => "not shown: the request is of this token, and may be of another key on it",
        (None, Some(false)) => {
            "not shown; if the request is of the key on the token, that is a copy from another device"
        }
        (None, None) => return None,
    })
}

fn text(passport: &Passport) -> String {
    let dash = || "-".to_owned();
    let mut lines = vec![
        ("key", passport.place.clone()),
        (
            "public key",
            match (&passport.algorithm, &passport.fingerprint) {
                (Some(algorithm), Some(fingerprint)) => format!("{algorithm}, SHA-256 {fingerprint}"),
                _ => "not known: neither a request nor a certificate names it".to_owned(),
            },
        ),
        ("PROVEN OF THIS PUBLIC KEY", String::new()),
    ];
    let origin = &passport.origin;
    lines.push(("  origin", origin.text.to_owned()));
    if let Some(device) = &origin.device {
        lines.push(("  made in", format!("{} ({})", device.name, device.path)));
    } else if let Some(detail) = &origin.detail {
        lines.push(("", detail.clone()));
    }
    if let Some(possession) = origin.possession {
        lines.push(("  possession", possession.text().to_owned()));
    }
    if let Some(chain) = origin.chain {
        lines.push(("  its chain", chain.text().to_owned()));
    }
    if let Some(evidence) = &origin.evidence {
        lines.push(("  request from", evidence.clone()));
    }
    if let Some(wrapped) = passport.wrapped {
        lines.push(("  wrapped key", wrapped.text().to_owned()));
    }
    if let Some(token) = &passport.token {
        lines.push(("  on the token", token.binding_text.to_owned()));
        if token.binding == Binding::NotChecked {
            lines.push(("", "to have it shown by a use of the key: --prove".to_owned()));
        }
        if let Some(here) = here(token) {
            lines.push(("  made here", here.to_owned()));
        }
    }
    let heading = match passport.token {
        Some(_) => "SAID BY THE TOKEN",
        None => "WHO COULD HOLD COPIES",
    };
    lines.push((heading, String::new()));
    if let Some(token) = &passport.token {
        lines.push((
            "  token",
            token
                .device
                .as_ref()
                .map_or_else(dash, |device| device.name.clone()),
        ));
        lines.push(("  its chain", token.chain.text().to_owned()));
        lines.push(("  firmware", token.firmware.clone()));
        if let Some(uses) = token.uses_left {
            lines.push(("  uses left", uses.to_string()));
        }
    }
    let export = &passport.export;
    lines.push(("  copies", export.text.to_owned()));
    if let Some(domain) = export.domain {
        lines.push(("  key domain", domain.to_string()));
    }
    if let Some(kcv) = &export.kcv {
        lines.push(("  KCV", kcv.clone()));
    }
    if let Some(shares) = export.shares {
        lines.push(("  shares", shares.to_string()));
    }
    if let Some(uid) = &export.uid {
        lines.push(("  domain id", uid.clone()));
    }
    match export.wrap_listed {
        Some(true) => lines.push(("  wrapping", "in the key's list of uses".to_owned())),
        Some(false) => lines.push(("  wrapping", "not in the key's list of uses".to_owned())),
        None => {}
    }
    lines.push((
        "COPIES SEEN",
        if passport.copies.is_empty() {
            "none; there may be some".to_owned()
        } else {
            String::new()
        },
    ));
    for copy in &passport.copies {
        let kcv = copy
            .kcv
            .as_ref()
            .map(|kcv| format!(", KCV {kcv}"))
            .unwrap_or_default();
        lines.push(("", format!("{}{kcv}", copy.place)));
    }
    if let Some(labels) = &passport.labels {
        lines.push(("LABELS, PROVING NOTHING", String::new()));
        lines.push(("  label", labels.label.clone()));
        lines.push(("  id", labels.id.clone()));
        lines.push(("  usage", labels.usage.join(", ")));
        if !labels.access.is_empty() {
            lines.push(("  access", labels.access.join(", ")));
        }
    }
    let lines: Vec<_> = facts(&lines)
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}
