//! Failures of tokens in the words of the interface.

use chancery_api::{Condition, Failure, FailureKind};
use chancery_cvc::Genuineness;
use chancery_keys::{ConnectError, HsmError, KeyError};

use crate::text::chain;

/// What a device's chain says it is.
pub(crate) const fn genuineness(genuineness: Genuineness) -> &'static str {
    match genuineness {
        Genuineness::Production => "production",
        Genuineness::Virtual => "virtual",
        Genuineness::Test => "test",
        Genuineness::Other => "other",
    }
}

/// Translates a failure of an HSM, once.
pub(crate) fn hsm_failure(error: &HsmError) -> Failure {
    let message = chain(error);
    match error {
        HsmError::Locked { hsm, .. } => Failure::blocked(
            message.clone(),
            vec![Condition::new(
                "quorum",
                message,
                format!("chancery hsm unlock {hsm} --as NAME"),
                Vec::new(),
            )],
        ),
        HsmError::OpenedAnew { .. } => Failure::new(FailureKind::Conflict, message)
            .with_remedy("its custodians have to answer again: chancery approve --as NAME"),
        HsmError::NoQuorum { hsm, .. } => Failure::blocked(
            message.clone(),
            vec![Condition::new(
                "custodians",
                message,
                format!("chancery custodian register PERSON --hsm {hsm} --as NAME"),
                Vec::new(),
            )],
        ),
        HsmError::Lost { hsm, .. } => Failure::new(FailureKind::Unavailable, message).with_remedy(format!(
            "bring the token back, then: chancery hsm attach {hsm} --as NAME"
        )),
        HsmError::Busy { .. } => Failure::new(FailureKind::Unavailable, message)
            .with_remedy("answer the open challenge or wait until it expires (one minute)"),
        HsmError::HoldsKeys { .. } => Failure::new(FailureKind::Conflict, message)
            .with_remedy("a token that holds keys is never initialised; use another token"),
        HsmError::NoSuchChallenge { .. } | HsmError::ChallengeExpired { .. } => {
            Failure::new(FailureKind::Refused, message)
                .with_remedy("ask for a new challenge: repeat the command")
        }
        HsmError::AnswerRefused { .. } => Failure::new(FailureKind::Refused, message).with_remedy(
            "the answer must come from the custodian's key registered in this HSM, for this challenge",
        ),
        HsmError::Chain { .. }
        | HsmError::Unattested { .. }
        | HsmError::WrongKey { .. }
        | HsmError::NoSuchCustodian { .. }
        | HsmError::AlreadyAnswered { .. }
        | HsmError::Registration { .. }
        | HsmError::OtherDevice { .. } => Failure::new(FailureKind::Refused, message),
        HsmError::Input { .. } => Failure::new(FailureKind::Invalid, message),
        HsmError::Connect {
            source: ConnectError::InUse { .. },
            ..
        } => Failure::new(FailureKind::Conflict, message)
            .with_remedy("wait for that process or end it; one process at a time holds a token"),
        HsmError::NoChannel { .. } => Failure::new(FailureKind::Refused, message).with_remedy(
            "only a token that takes secure messaging can be used over a network; attach another one, or this one at the node",
        ),
        HsmError::ChannelLost { .. } => {
            Failure::new(FailureKind::Unavailable, message).with_remedy("repeat the command")
        }
        HsmError::NotLetThrough { .. } => Failure::new(FailureKind::Refused, message).with_remedy(
            "whoever holds the token starts its agent with what it may be used for: chancery connect --allow-key N, or --manage",
        ),
        HsmError::OtherKeyDomain { .. } => Failure::new(FailureKind::Conflict, message)
            .with_remedy("keys are copied only between HSMs initialised together, with the same shares"),
        _ => Failure::new(FailureKind::Unavailable, message),
    }
}

/// Translates a failure of a pooled key.
pub(crate) fn key_failure(error: &KeyError) -> Failure {
    match error {
        KeyError::Unavailable { source, .. } => hsm_failure(source),
        KeyError::WrongSignature { .. } => Failure::new(FailureKind::Refused, error.to_string())
            .with_remedy("nothing was given out; find out what stands behind that HSM's name"),
        KeyError::Internal { .. } => Failure::new(FailureKind::Internal, error.to_string()),
        _ => Failure::new(FailureKind::Blocked, error.to_string())
            .with_remedy("chancery hsm list; chancery hsm unlock NAME --as CUSTODIAN"),
    }
}
