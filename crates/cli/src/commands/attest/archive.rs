//! `attest archive`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_attest::{Attestation, Input, NamedInput, Seen, kcv_of};
use chancery_cvc::{AuthenticatedRequest, DeviceChain};
use chancery_driver::keystore;
use chancery_node::SystemClock;
use chancery_schsm::KeyId;
use chancery_tokens::{
    archive::{Archive, ArchiveError, Kept},
    reach::Intent,
};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::{files, verify::short};
use crate::{
    commands::token::{failure::card as card_error, reaching::select},
    context::Context,
    error::{CliError, chain},
    report::Report,
    table::table,
};

/// Keeps the proof of keys' origin.
#[derive(Args)]
#[command(after_help = "Example: chancery attest archive alice\n         \
chancery attest archive ce01.bin ef2f02.bin key.wky\n\
What is kept stays in attestations/ of the data directory, one file for each key and place, and is never overwritten.\n\
A key's request is gone from its token as soon as a certificate is stored with it.")]
pub(crate) struct ArchiveKeys {
    /// A token (device id, label, or name of a virtual token), or files: requests, wrapped keys, and the chains for them
    #[arg(required = true, value_name = "TOKEN|FILE")]
    what: Vec<String>,
}

/// One attestation as it is shown.
#[derive(Serialize)]
struct KeptView {
    file: String,
    new: bool,
    device: String,
    key: String,
    from: String,
}

/// A key that had nothing to keep.
#[derive(Serialize)]
struct WithoutView {
    from: String,
    why: &'static str,
}

#[derive(Default)]
struct Outcome {
    kept: Vec<KeptView>,
    without: Vec<WithoutView>,
}

impl ArchiveKeys {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (existing, tokens): (Vec<_>, Vec<_>) =
            self.what.iter().partition(|what| Path::new(what).is_file());
        let data = context.data_or_new()?;
        let archive = Archive::below(data.path());
        let mut outcome = Outcome::default();
        let paths: Vec<PathBuf> = existing.iter().map(PathBuf::from).collect();
        outcome.add_files(&archive, &files::read(&paths)?)?;
        for token in tokens {
            outcome.add_token(context, &archive, token)?;
        }
        let text = outcome.text();
        Report::new(&json!({ "kept": outcome.kept, "without": outcome.without }), text)
    }
}

impl Outcome {
    fn add_token(&mut self, context: &Context, archive: &Archive, wanted: &str) -> Result<(), CliError> {
        let (chosen, mut card) = select(context, Some(wanted), Intent::Read)?;
        let called = chosen.to_string();
        let failed = |error: chancery_driver::Error| card_error(&called, &error);
        let objects = card.enumerate().map_err(failed)?;
        for id in objects.keys() {
            let from = format!("token {wanted}, key {id}");
            match archive.keep(&mut card, id, SystemClock.now())? {
                Some(kept) => self.add(&kept, &archived(&kept)?, from),
                None => self.without.push(WithoutView {
                    from,
                    why: why_nothing(&mut card, id).map_err(failed)?,
                }),
            }
        }
        Ok(())
    }

    fn add_files(&mut self, archive: &Archive, inputs: &[NamedInput]) -> Result<(), CliError> {
        let chains: Vec<&[u8]> = inputs
            .iter()
            .filter_map(|(_, input)| match input {
                Ok(Input::Chain(bytes)) => Some(bytes.as_slice()),
                _ => None,
            })
            .collect();
        let only_chains = chains.len() == inputs.len();
        for (name, input) in inputs {
            let bad = |error: &dyn std::error::Error| {
                CliError::new(FailureKind::Invalid, format!("{name}: {}", chain(error)))
            };
            let (request, kcv) = match input {
                Ok(Input::Request(bytes)) => (bytes.as_slice(), None),
                Ok(Input::Container(container)) => {
                    match container
                        .certificate()
                        .filter(|found| found.first() == Some(&0x67))
                    {
                        Some(request) => (request, kcv_of(container.blob())),
                        None => {
                            self.without.push(WithoutView {
                                from: name.clone(),
                                why: "the wrapped key carries no request",
                            });
                            continue;
                        }
                    }
                }
                Ok(Input::Attestation(attestation)) => {
                    let kept = archive.save(attestation)?;
                    self.add(&kept, attestation, name.clone());
                    continue;
                }
                Ok(Input::Chain(_)) => {
                    if only_chains {
                        self.without.push(WithoutView {
                            from: name.clone(),
                            why: "a device's chain is kept together with the request of one of its keys only",
                        });
                    }
                    continue;
                }
                Ok(Input::Transcript(_)) => {
                    self.without.push(WithoutView {
                        from: name.clone(),
                        why: "a transcript is kept by who records it (attest generate) and proves nothing to others",
                    });
                    continue;
                }
                Ok(_) => {
                    self.without.push(WithoutView {
                        from: name.clone(),
                        why: "no proof of origin is in it",
                    });
                    continue;
                }
                Err(error) => return Err(bad(error)),
            };
            let device = AuthenticatedRequest::parse(request)
                .map_err(|error| bad(&error))?
                .outer_car()
                .clone();
            let fitting = chains.iter().find(|chain| {
                DeviceChain::parse(chain).is_ok_and(|chain| chain.device_name() == Some(&device))
            });
            let seen = Seen {
                file: Some(files::whole_path(name)),
                kcv: kcv.map(|kcv| hex::encode_upper(kcv.0)),
                ..Seen::default()
            };
            let chain = fitting.copied().unwrap_or_default();
            let attestation =
                Attestation::new(request, chain, SystemClock.now(), seen).map_err(|error| bad(&error))?;
            let kept = archive.save(&attestation)?;
            self.add(&kept, &attestation, name.clone());
        }
        Ok(())
    }

    fn add(&mut self, kept: &Kept, attestation: &Attestation, from: String) {
        self.kept.push(KeptView {
            file: kept.path().display().to_string(),
            new: kept.is_new(),
            device: attestation.device().to_string(),
            key: attestation.key().to_string(),
            from,
        });
    }

    fn text(&self) -> String {
        let rows = self
            .kept
            .iter()
            .map(|view| {
                vec![
                    view.from.clone(),
                    short(&view.key).to_owned(),
                    if view.new { "kept" } else { "kept before" }.to_owned(),
                    view.file.clone(),
                ]
            })
            .collect();
        let mut text = table(&["FROM", "KEY", "", "FILE"], rows, "nothing was kept");
        for without in &self.without {
            text.push_str(&format!("{}: {}\n", without.from, without.why));
        }
        text
    }
}

/// Why a key had nothing to keep.
fn why_nothing(
    card: &mut impl chancery_driver::AppletAccess,
    id: KeyId,
) -> Result<&'static str, chancery_driver::Error> {
    Ok(
        match keystore::entry(card, id)?.and_then(|entry| entry.certificate) {
            Some(chancery_driver::KeyCertificate::X509(_) | chancery_driver::KeyCertificate::Cvc(_)) => {
                "a certificate stands where its request was"
            }
            Some(chancery_driver::KeyCertificate::Request(_)) => "its request cannot be read",
            Some(_) => "what stands where its request should be is none",
            None => "it has no request",
        },
    )
}

/// Reads back what was kept: it is the file that counts.
fn archived(kept: &Kept) -> Result<Attestation, CliError> {
    let bytes = std::fs::read(kept.path()).map_err(CliError::file("read", kept.path()))?;
    Attestation::parse(&bytes).map_err(|error| {
        CliError::new(
            FailureKind::Refused,
            format!("{}: {}", kept.path().display(), chain(&error)),
        )
    })
}

impl From<ArchiveError> for CliError {
    fn from(error: ArchiveError) -> Self {
        let kind = match &error {
            ArchiveError::Card(source) if source.status().is_some() => {
                return Self::Token {
                    message: chain(&error),
                    remedy: None,
                };
            }
            ArchiveError::Attestation(_) => FailureKind::Refused,
            ArchiveError::TooMany(_) => FailureKind::Conflict,
            _ => FailureKind::Unavailable,
        };
        Self::new(kind, chain(&error))
    }
}
