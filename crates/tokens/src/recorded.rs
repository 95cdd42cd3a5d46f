//! Making a key through a secure channel, with a transcript of it.

use std::path::PathBuf;

use chancery_attest::{Recorded, Transcript};
use chancery_cvc::TrustAnchors;
use chancery_driver::keystore::KeyDescription;
use chancery_driver::secure::{ChannelError, ChannelRecord, RecordError};
use chancery_driver::{AttestError, Authenticated, Error, Failed, KeyAlgorithm, KeySpec, origin};
use chancery_iso7816::Transport;
use chancery_schsm::KeyId;
use time::OffsetDateTime;

use crate::archive::{Archive, ArchiveError, Kept, attestation_of};
use crate::keys::{KeyError, MadeKey, NewKey, NewKeyKind, Origin, free_id};

/// A key that was made through a channel.
#[derive(Debug)]
pub struct Made {
    /// The key, its origin proven.
    pub key: MadeKey,
    /// What passed through the channel.
    pub transcript: Transcript,
    /// Where the transcript is kept.
    pub kept: PathBuf,
}

/// A key that was not made through a channel, or whose transcript is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedError {
    /// What any key needs.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Secret keys have no request, and so no origin to prove.
    #[error("only key pairs are made through a recorded channel")]
    Secret,
    /// The chain of the token is not accepted: there is nobody to open a channel to.
    #[error("the chain of the token is not accepted, so there is nobody to open a secure channel to")]
    UnknownDevice(#[source] Error),
    /// There was no channel; nothing was made.
    #[error("no secure channel: nothing was made")]
    Channel(#[from] ChannelError),
    /// The key was made, and its transcript is not kept.
    #[error("key {id} was made, but its transcript is not kept")]
    NotKept {
        /// Where it stands.
        id: KeyId,
        /// Why.
        #[source]
        source: ArchiveError,
    },
}

/// Makes a key pair as the first thing in a secure channel, keeps proof and transcript, and describes the key for other
/// software.
///
/// # Errors
/// [`RecordedError`], and the token back.
#[expect(
    clippy::result_large_err,
    reason = "a failure gives the token back, which is as large as the success"
)]
pub fn generate_recorded<T: Transport>(
    mut card: Authenticated<T>,
    new: &NewKey,
    anchors: &TrustAnchors,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<(Authenticated<T>, Made), Failed<Authenticated<T>, RecordedError>> {
    let prepared = prepare(&mut card, new, anchors);
    let (spec, device) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(Failed { card, error }),
    };
    let (mut card, made) = match card.generate_recorded(&spec, &device) {
        Ok(made) => made,
        Err(failed) => {
            let error = match failed.error {
                RecordError::Channel(error) => RecordedError::Channel(error),
                RecordError::Attest(AttestError::Card(error)) => KeyError::Card(error).into(),
                RecordError::Attest(source) => KeyError::Origin { id: spec.id, source }.into(),
            };
            return Err(Failed {
                card: failed.card,
                error,
            });
        }
    };
    let origin = Origin::Proven {
        device: made.attested.device().clone(),
        genuine: made.attested.genuine(),
    };
    let finished = finish(
        &mut card,
        new,
        spec.id,
        &made.key.public_key,
        &made.record,
        archive,
        now,
    );
    match finished {
        Ok((transcript, kept, proof)) => Ok((
            card,
            Made {
                key: MadeKey {
                    id: spec.id,
                    public_key: Some(made.key.public_key),
                    origin,
                    kept: Some(proof),
                },
                transcript,
                kept,
            },
        )),
        Err(error) => Err(Failed { card, error }),
    }
}

fn prepare<T: Transport>(
    card: &mut Authenticated<T>,
    new: &NewKey,
    anchors: &TrustAnchors,
) -> Result<(KeySpec, chancery_cvc::DeviceIdentity), RecordedError> {
    if new.label.len() > chancery_driver::keystore::MAX_LABEL {
        return Err(KeyError::Label(new.label.len()).into());
    }
    let algorithm = match new.kind {
        NewKeyKind::Ec(curve) => KeyAlgorithm::Ec(curve),
        NewKeyKind::Rsa(bits) => KeyAlgorithm::Rsa(bits),
        NewKeyKind::Aes(_) => return Err(RecordedError::Secret),
    };
    let id = free_id(card, new.id)?;
    let device = card.device_identity(anchors).map_err(|error| match error {
        error @ (Error::Link { .. } | Error::NotSelected { .. }) => KeyError::Card(error).into(),
        error => RecordedError::UnknownDevice(error),
    })?;
    let spec = KeySpec {
        id,
        algorithm,
        chr: device.name().with_sequence(id.0.into()).map_err(KeyError::Name)?,
        algorithms: new.algorithms.clone(),
        key_domain: new.key_domain,
        use_counter: new.use_counter,
    };
    Ok((spec, device))
}

/// What cannot be had again is kept first.
fn finish<T: Transport>(
    card: &mut Authenticated<T>,
    new: &NewKey,
    id: KeyId,
    public_key: &chancery_cvc::PublicKey,
    record: &ChannelRecord,
    archive: &Archive,
    now: OffsetDateTime,
) -> Result<(Transcript, PathBuf, PathBuf), RecordedError> {
    let not_kept = |source| RecordedError::NotKept { id, source };
    let proof = origin::read(card, id).map_err(|error| not_kept(error.into()))?;
    let transcript = Transcript {
        recorded: now,
        protocol: record.protocol,
        chain: proof.chain.clone(),
        ephemeral: record.ephemeral.to_vec(),
        nonce: record.nonce.clone(),
        token: record.token.clone(),
        exchanges: record
            .exchanges
            .iter()
            .map(|exchange| Recorded {
                command: exchange.command.clone(),
                protected_command: exchange.protected_command.clone(),
                protected_response: exchange.protected_response.clone(),
            })
            .collect(),
    };
    let attestation = attestation_of(&proof, id, now).ok_or_else(|| not_kept(ArchiveError::Gone(id)))?;
    let kept = archive
        .save_transcript(&transcript, &attestation)
        .map_err(not_kept)?;
    let description = KeyDescription {
        label: new.label.clone(),
        cka_id: new.cka_id.clone(),
        usage: None,
    };
    card.describe_key(id, public_key, &description)
        .map_err(|source| KeyError::Half {
            id,
            what: "its description",
            source,
        })?;
    let proof = archive.keep(card, id, now).map_err(not_kept)?;
    let proof: Kept = proof.ok_or_else(|| not_kept(ArchiveError::Gone(id)))?;
    Ok((transcript, kept, proof.path().to_owned()))
}
