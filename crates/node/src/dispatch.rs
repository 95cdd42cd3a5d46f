//! Which function answers which method: one line each.

use chancery_api::{
    AuditLog, CaCreate, CaList, CaShow, CertList, CertShow, ClientAdd, ClientList, ClientRevoke,
    ConnectorAdd, ConnectorList, ConnectorRevoke, CrlShow, CustodianRegister, Draft, Failure, FailureKind,
    HsmIdentities, HsmList, HsmLock, HsmStatus, LeaseAnswer, LeaseChallenge, LeaseList, LeaseManifest,
    LeasePending, LeaseRequest, LeaseRevoke, LeaseShow, LeaseWiden, LeaseWithdraw, Method, Perform,
    PersonAdd, PersonList, ReceiptShow, RequestImport, RequestList, RequestResume, RequestShow, RequestWhy,
    SignerCreate, SignerList, SignerVerify, SigningCertificate, SigningKeys, SigningSign, Status, Stop,
    TicketAdd, UnlockAnswer, UnlockChallenge,
};
use serde_json::value::RawValue;

use crate::{buffer::Buffer, connection::Caller, node::Node, wire};

macro_rules! table {
    (|$node:ident, $caller:ident| $($method:ident($call:ident) => $answer:expr;)*) => {
        /// Every method that is answered.
        #[cfg(test)]
        const NAMES: &[&str] = &[$(<$method as Method>::NAME),*];

        /// Answers a call. The buffer is the line of the reply.
        pub(crate) async fn dispatch(
            $node: &Node,
            $caller: Caller,
            method: &str,
            params: &RawValue,
        ) -> Result<Buffer, Failure> {
            match method {
                // Boxed, so that a waiting connection does not hold room for the largest of them.
                $(<$method as Method>::NAME => Box::pin(async move {
                    let $call = wire::params::<$method>(params)?;
                    let reply: <$method as Method>::Reply = $answer.await?;
                    wire::ok(&reply)
                }).await,)*
                unknown => Err(unknown_method(unknown)),
            }
        }
    };
}

table! { |node, caller|
    Status(_call) => node.status();
    Stop(_call) => node.ask_stop();

    Draft(call) => node.center.draft(call);
    Perform(call) => node.center.perform(call);

    HsmList(_call) => node.center.hsm_list();
    HsmStatus(call) => node.center.hsm_status(&call.hsm);
    HsmLock(call) => node.center.hsm_lock(&call, caller.uid);
    UnlockChallenge(call) => node.center.unlock_challenge(&call);
    UnlockAnswer(call) => node.center.unlock_answer(&call);

    PersonAdd(call) => node.center.person_add(call, caller.uid);
    PersonList(_call) => node.center.person_list();
    CustodianRegister(call) => node.center.custodian_register(call, caller.uid);

    CaCreate(call) => node.center.ca_create(call, caller.uid);
    CaList(_call) => node.center.ca_list();
    CaShow(call) => node.center.ca_show(&call.ca);
    SignerList(_call) => node.center.signer_list();
    SignerVerify(call) => node.center.signer_verify(&call, caller.uid);

    RequestImport(call) => node.center.request_import(call, caller.uid);
    RequestList(call) => node.center.request_list(&call);
    RequestShow(call) => node.center.request_show(call.request);
    RequestResume(call) => node.center.request_resume(call.request);
    RequestWhy(call) => node.center.request_why(call.request);

    CertList(call) => node.center.cert_list(&call);
    CertShow(call) => node.center.cert_show(&call.certificate);
    CrlShow(call) => node.center.crl_show(&call.ca);
    AuditLog(call) => node.center.audit_log(&call);

    SignerCreate(call) => node.center.signer_create(call, caller.uid);
    SigningKeys(_call) => node.center.signing_keys();
    SigningCertificate(call) => node.center.signing_certificate(call, caller.uid);
    LeaseRequest(call) => node.center.lease_request(call, &caller.requester());
    LeaseList(call) => node.center.lease_list(&call, None);
    LeaseShow(call) => node.center.lease_show(&call, None, &caller.requester());
    LeaseManifest(call) => node.center.lease_manifest(&call, None);
    LeaseWithdraw(call) => node.center.lease_withdraw(&call, &caller.requester());
    LeaseRevoke(call) => node.center.lease_revoke(&call, &caller.requester());
    LeaseWiden(call) => node.center.lease_widen(&call, &caller.requester());
    LeasePending(call) => node.center.lease_pending(&call);
    LeaseChallenge(call) => node.center.lease_challenge(&call);
    LeaseAnswer(call) => node.center.lease_answer(&call);
    SigningSign(call) => node.center.signing_sign(call, &caller.requester());
    ReceiptShow(call) => node.center.receipt_show(&call, None);

    ConnectorAdd(call) => node.center.connector_add(&call, caller.uid);
    ConnectorList(_call) => node.center.connector_list();
    ConnectorRevoke(call) => node.center.connector_revoke(&call, caller.uid);
    TicketAdd(call) => node.center.ticket_add(&call, caller.uid);
    HsmIdentities(_call) => node.center.hsm_identities();
    ClientAdd(call) => node.center.client_add(&call, caller.uid);
    ClientList(_call) => node.center.client_list();
    ClientRevoke(call) => node.center.client_revoke(&call, caller.uid);
}

fn unknown_method(name: &str) -> Failure {
    let shown: String = name.chars().take(64).collect();
    Failure::new(FailureKind::Invalid, format!("the node has no method {shown:?}"))
        .with_remedy("use a program of the node's version: chancery --version, chancery status")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The names as the interface's source spells them: `Name("wire.name") -> Reply {`.
    fn declared() -> BTreeSet<&'static str> {
        [
            include_str!("../../api/src/methods.rs"),
            include_str!("../../api/src/lease_methods.rs"),
        ]
        .into_iter()
        .flat_map(str::lines)
        .chain(include_str!("../../api/src/network_methods.rs").lines())
        .filter_map(|line| line.split_once("(\"")?.1.split_once("\") ->"))
        .map(|(name, _)| name)
        .collect()
    }

    #[test]
    fn every_method_of_the_interface_is_answered_once() {
        let answered: BTreeSet<_> = NAMES.iter().copied().collect();
        assert_eq!(answered.len(), NAMES.len());
        assert!(answered.len() > 20, "the table was read");
        assert_eq!(answered, declared());
    }

    #[test]
    fn an_unknown_method_is_named_but_not_at_any_length() {
        let failure = unknown_method(&"x".repeat(10_000));
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert!(failure.message.len() < 200);
    }
}
