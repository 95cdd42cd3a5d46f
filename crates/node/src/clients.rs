//! Which methods clients of the network may call: a table. Everything else is for processes on the node's own machine.
//!
//! An enrolled client may ask for leases and use its own; custodians decide what it gets. The agent of a custodian also sees what
//! waits for its custodian and brings the answers, which count by their signatures and not by who brought them.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;
use chancery_api::{
    Failure, FailureKind, Hash32, HsmList, HsmStatus, LeaseAnswer, LeaseChallenge, LeaseList, LeaseManifest,
    LeasePending, LeaseRequest, LeaseShow, LeaseWiden, LeaseWithdraw, Method, ReceiptShow, Requester,
    SigningKeys, SigningSign, UnlockAnswer, UnlockChallenge,
};
use chancery_gateway::{Caller, Service};
use serde_json::value::RawValue;

use crate::{node::Node, wire};

/// The node as clients of the network see it.
pub(crate) struct Clients(pub(crate) Arc<Node>);

macro_rules! table {
    (|$node:ident, $caller:ident| $($rule:ident $method:ident($call:ident) => $answer:expr;)*) => {
        /// Every method that clients may call, and whether custodians' agents alone.
        #[cfg(test)]
        const NAMES: &[(&str, bool)] = &[$((<$method as Method>::NAME, custodian_only!($rule))),*];

        async fn dispatch(
            $node: &Node,
            $caller: &Seen,
            method: &str,
            params: &RawValue,
        ) -> Result<Box<RawValue>, Failure> {
            match method {
                // Boxed, so that a waiting request does not hold room for the largest of them.
                $(<$method as Method>::NAME => Box::pin(async move {
                    if custodian_only!($rule) {
                        $caller.custodian()?;
                    }
                    let $call = wire::params::<$method>(params)?;
                    let reply: <$method as Method>::Reply = $answer.await?;
                    written(<$method as Method>::NAME, &reply)
                }).await,)*
                other => Err(not_here(other)),
            }
        }
    };
}

macro_rules! custodian_only {
    (everybody) => {
        false
    };
    (custodian) => {
        true
    };
}

table! { |node, caller|
    everybody HsmList(_call) => node.center.hsm_list();
    everybody SigningKeys(_call) => node.center.signing_keys();
    everybody LeaseRequest(call) => node.center.lease_request(call, &caller.requester);
    everybody LeaseList(call) => node.center.lease_list(&call, caller.own());
    everybody LeaseShow(call) => node.center.lease_show(&call, caller.own(), &caller.requester);
    everybody LeaseManifest(call) => node.center.lease_manifest(&call, caller.own());
    everybody LeaseWithdraw(call) => node.center.lease_withdraw(&call, &caller.requester);
    everybody SigningSign(call) => node.center.signing_sign(call, &caller.requester);
    everybody ReceiptShow(call) => node.center.receipt_show(&call, caller.own());

    custodian HsmStatus(call) => node.center.hsm_status(&call.hsm);
    custodian LeasePending(call) => async { caller.is(&call.person)?; node.center.lease_pending(&call).await };
    custodian LeaseWiden(call) => async { caller.is(&call.person)?; node.center.lease_widen(&call, &caller.requester).await };
    custodian LeaseChallenge(call) => async { caller.is(&call.person)?; node.center.lease_challenge(&call).await };
    custodian LeaseAnswer(call) => node.center.lease_answer(&call);
    custodian UnlockChallenge(call) => async { caller.is(&call.person)?; node.center.unlock_challenge(&call).await };
    custodian UnlockAnswer(call) => node.center.unlock_answer(&call);
}

/// A client, as the center is told of it.
struct Seen {
    requester: Requester,
    custodian: Option<String>,
}

impl Seen {
    fn of(caller: &Caller) -> Self {
        Self {
            requester: Requester::Client {
                name: caller.name.clone(),
                key: caller.key,
                address: caller.address.to_string(),
            },
            custodian: caller.custodian.clone(),
        }
    }

    /// Whose leases it sees: its own, a custodian's agent all.
    const fn own(&self) -> Option<&Requester> {
        match self.custodian {
            None => Some(&self.requester),
            Some(_) => None,
        }
    }

    fn custodian(&self) -> Result<&str, Failure> {
        self.custodian.as_deref().ok_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                "this client is no custodian's agent: it may ask for leases and use its own",
            )
            .with_remedy("on the node: chancery client add NAME --key CERTIFICATE --custodian PERSON")
        })
    }

    /// An agent speaks for one custodian.
    fn is(&self, person: &str) -> Result<(), Failure> {
        let custodian = self.custodian()?;
        if custodian == person {
            return Ok(());
        }
        Err(Failure::new(
            FailureKind::Refused,
            format!("this client is the agent of {custodian}, not of {person}"),
        ))
    }
}

#[async_trait]
impl Service for Clients {
    async fn client(&self, key: Hash32, address: IpAddr) -> Result<Caller, Failure> {
        let client = self.0.center.enrolled_client(key).await?;
        Ok(Caller {
            name: client.name,
            key: client.key,
            address,
            custodian: client.custodian,
        })
    }

    async fn call(&self, caller: &Caller, method: &str, params: &RawValue) -> Result<Box<RawValue>, Failure> {
        let _busy = self.0.activity.begin();
        let begun = tokio::time::Instant::now();
        // A task of its own: who hangs up in the middle leaves nothing half done.
        let (node, seen) = (Arc::clone(&self.0), Seen::of(caller));
        let (name, params) = (method.to_owned(), params.to_owned());
        let outcome = tokio::spawn(async move { dispatch(&node, &seen, &name, &params).await })
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "the call failed")));
        let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &outcome {
            Ok(_) => tracing::debug!(method, client = caller.name, milliseconds, "answered a client"),
            Err(failure) => {
                // An unknown method may be any text: it is not logged.
                tracing::debug!(client = caller.name, kind = ?failure.kind, milliseconds, "a client's call failed");
                if failure.kind == FailureKind::Internal {
                    tracing::error!(
                        client = caller.name,
                        "a client's call failed for a defect of the node"
                    );
                }
            }
        }
        outcome
    }
}

fn written(method: &str, reply: &impl serde::Serialize) -> Result<Box<RawValue>, Failure> {
    serde_json::value::to_raw_value(reply).map_err(|error| {
        Failure::new(
            FailureKind::Internal,
            format!("the reply to {method} cannot be written: {error}"),
        )
    })
}

fn not_here(method: &str) -> Failure {
    let shown: String = method.chars().take(64).collect();
    Failure::new(
        FailureKind::Refused,
        format!("clients of the network cannot call {shown:?}"),
    )
    .with_remedy("call it on the node's own machine, or use a program of the node's version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_may_ask_and_use_and_nothing_else() {
        let all = |custodian: bool| -> Vec<&str> {
            NAMES
                .iter()
                .filter(|(_, only)| *only == custodian)
                .map(|(name, _)| *name)
                .collect()
        };
        assert_eq!(
            all(false),
            [
                "hsm.list",
                "signing.keys",
                "lease.request",
                "lease.list",
                "lease.show",
                "lease.manifest",
                "lease.withdraw",
                "signing.sign",
                "receipt.show"
            ]
        );
        assert_eq!(
            all(true),
            [
                "hsm.status",
                "lease.pending",
                "lease.widen",
                "lease.challenge",
                "lease.answer",
                "hsm.unlock.challenge",
                "hsm.unlock.answer"
            ]
        );
    }

    #[test]
    fn an_agent_speaks_for_its_custodian_alone() {
        let caller = |custodian: Option<&str>| {
            Seen::of(&Caller {
                name: "laptop".to_owned(),
                key: Hash32([1; 32]),
                address: "192.0.2.1".parse().unwrap(),
                custodian: custodian.map(str::to_owned),
            })
        };
        assert!(caller(Some("ann")).is("ann").is_ok());
        assert_eq!(
            caller(Some("ann")).is("bob").unwrap_err().kind,
            FailureKind::Refused
        );
        assert_eq!(caller(None).is("ann").unwrap_err().kind, FailureKind::Refused);
        assert!(caller(None).own().is_some() && caller(Some("ann")).own().is_none());
    }

    #[test]
    fn a_method_for_others_is_named_but_not_at_any_length() {
        let failure = not_here(&"x".repeat(10_000));
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.len() < 200);
    }
}
