//! The methods of the node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    AuditPage, Base64, CaDetail, CaView, CertificateDetail, CertificatePage, CrlDetail, DraftView, HsmView,
    InstallationId, NodeStatus, Performed, PersonView, RequestDetail, RequestNumber, RequestPage,
    RequestView, Role, SecretText, SignedAct, SignerView, UnlockChallengeView, WhyView,
};

/// Parameters and reply of methods: a type each.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($wire:literal) -> $reply:ty { $($(#[$fdoc:meta])* $field:ident: $ty:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }

        impl $crate::Method for $name {
            const NAME: &'static str = $wire;
            type Reply = $reply;
        }
    )*};
}
pub(crate) use methods;

methods! {
    /// State of the node itself.
    Status("node.status") -> NodeStatus {}
    /// Ends the node: every HSM is locked.
    Stop("node.stop") -> () {}

    /// Asks for the payload of an act. Unmet conditions are reported here already.
    Draft("act.draft") -> DraftView {
        /// Name of the person who decides.
        person: String,
        /// What the person wants to decide.
        intent: Intent,
    }
    /// Hands in a signed act and has it carried out.
    Perform("act.perform") -> Performed {
        /// The act.
        act: SignedAct,
        /// For `hsm-init`: the SO-PIN (16 hexadecimal digits) by token name. Goes into the token, is neither stored nor logged.
        so_pins: BTreeMap<String, SecretText>,
    }

    /// All HSMs with their state.
    HsmList("hsm.list") -> Vec<HsmView> {}
    /// One HSM, asked afresh.
    HsmStatus("hsm.status") -> HsmView {
        /// Its name.
        hsm: String,
    }
    /// Locks HSMs at once. Needs no act: locking is always safe.
    HsmLock("hsm.lock") -> Vec<HsmView> {
        /// Names; all attached HSMs when empty.
        hsms: Vec<String>,
    }
    /// Asks an HSM for a challenge for one custodian. Until it is answered or a minute has passed the HSM does nothing else.
    UnlockChallenge("hsm.unlock.challenge") -> UnlockChallengeView {
        /// Name of the HSM.
        hsm: String,
        /// Name of the custodian.
        person: String,
    }
    /// Answers a challenge.
    UnlockAnswer("hsm.unlock.answer") -> HsmView {
        /// Name of the HSM.
        hsm: String,
        /// Session of the challenge.
        session: String,
        /// ECDSA with SHA-256 over CHR of the HSM's device certificate | challenge: plain r | s, each as long as the order.
        signature: Base64,
    }

    /// Opens a request for a new person. A TrustCenter Manager approves it.
    PersonAdd("person.add") -> RequestView {
        /// Short name.
        name: String,
        /// Roles asked for.
        roles: Vec<Role>,
        /// EF 2F02 of the person's token: device certificate and issuer.
        chain: Base64,
        /// Authenticated request of the key that will sign the person's acts (content of CExx).
        key_request: Base64,
    }
    /// All people.
    PersonList("person.list") -> Vec<PersonView> {}

    /// Opens a request to register a person's custodian key in HSMs. A TrustCenter Manager approves it, which carries it out.
    CustodianRegister("custodian.register") -> RequestView {
        /// Name of the person.
        person: String,
        /// Names of the HSMs.
        hsms: Vec<String>,
        /// EF 2F02 of the custodian's token.
        chain: Base64,
        /// Authenticated request of the custodian key (content of CExx).
        key_request: Base64,
    }

    /// Opens a request for a new CA. A TrustCenter Manager approves it, a Certification Officer has its certificate signed.
    CaCreate("ca.create") -> RequestView {
        /// Name of the CA.
        name: String,
        /// Subject, RFC 4514.
        subject: String,
        /// Key algorithm: `ec:P-256`, `ec:P-384`, `ec:P-521`, `rsa:2048`, `rsa:3072` or `rsa:4096`.
        algorithm: String,
        /// HSM in which the key is generated.
        hsm: String,
        /// Profile of the CA's own certificate.
        profile: String,
    }
    /// All CAs.
    CaList("ca.list") -> Vec<CaView> {}
    /// One CA with its certificate.
    CaShow("ca.show") -> CaDetail {
        /// Its name.
        ca: String,
    }

    /// All signers with their replicas.
    SignerList("signer.list") -> Vec<SignerView> {}
    /// Has a replica sign a test value and checks the signature.
    SignerVerify("signer.verify") -> SignerView {
        /// Name of the CA or of the signing key.
        ca: String,
        /// HSM; every attached one when absent.
        hsm: Option<String>,
    }

    /// Imports a PKCS#10 request.
    RequestImport("request.import") -> RequestView {
        /// PKCS#10, DER or PEM.
        csr: Base64,
        /// Name of the issuing CA; may be absent while there is only one.
        ca: Option<String>,
        /// Profile of the certificate.
        profile: String,
    }
    /// Requests, newest first.
    RequestList("request.list") -> RequestPage {
        /// Only those in this state.
        state: Option<String>,
        /// Only those with a lower number.
        before: Option<RequestNumber>,
        /// At most this many, up to 200.
        limit: u32,
    }
    /// One request.
    RequestShow("request.show") -> RequestDetail {
        /// Its number.
        request: RequestNumber,
    }
    /// Carries on what was decided and then interrupted: a registration, a key generation, a signature. Needs no new act.
    RequestResume("request.resume") -> RequestDetail {
        /// Its number.
        request: RequestNumber,
    }
    /// What stands between a request and its end, in order.
    RequestWhy("request.why") -> WhyView {
        /// Its number.
        request: RequestNumber,
    }

    /// Certificates, newest first.
    CertList("cert.list") -> CertificatePage {
        /// Only those of this CA.
        ca: Option<String>,
        /// Cursor of the page before.
        before: Option<String>,
        /// At most this many, up to 200.
        limit: u32,
    }
    /// One certificate.
    CertShow("cert.show") -> CertificateDetail {
        /// Serial number in hexadecimal, or `#N` for the certificate of request N.
        certificate: String,
    }
    /// The newest CRL of a CA.
    CrlShow("crl.show") -> CrlDetail {
        /// Name of the CA.
        ca: String,
    }

    /// Audit events in order.
    AuditLog("audit.log") -> AuditPage {
        /// First leaf index.
        from: u64,
        /// At most this many, up to 1000.
        limit: u32,
    }
}

/// What a person wants to decide, by the names he knows. The node turns it into a [`crate::Decision`] with all digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Intent {
    /// Initialise tokens as HSMs of one new key domain.
    HsmInit {
        /// Names of the tokens; the HSMs get the same names.
        tokens: Vec<String>,
        /// Custodians needed (n).
        required: u8,
        /// Custodians to be registered (m).
        total: u8,
        /// Shares of the device key encryption key.
        shares: u8,
    },
    /// Attach an HSM by the name of its token.
    HsmAttach {
        /// Name of the token.
        token: String,
        /// Connector it is found through; on the node's own machine when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connector: Option<String>,
    },
    /// Detach an HSM.
    HsmDetach {
        /// Its name.
        hsm: String,
    },
    /// Approve requests.
    RequestApprove {
        /// Their numbers.
        requests: Vec<RequestNumber>,
    },
    /// Reject requests.
    RequestReject {
        /// Their numbers.
        requests: Vec<RequestNumber>,
        /// Why.
        reason: String,
    },
    /// Have certificates signed.
    RequestSign {
        /// The requests' numbers.
        requests: Vec<RequestNumber>,
    },
    /// Copy a CA's key, or a signing key, to another HSM.
    SignerReplicate {
        /// Name of the CA or of the signing key.
        ca: String,
        /// Name of the HSM that gets the copy.
        hsm: String,
    },
    /// Revoke a certificate.
    CertificateRevoke {
        /// Serial number in hexadecimal, or `#N` for the certificate of request N.
        certificate: String,
        /// Reason code name of RFC 5280 section 5.3.1.
        reason: String,
    },
    /// Have a CRL signed.
    CrlCreate {
        /// Name of the CA.
        ca: String,
    },
}

/// What every data directory says about itself, outside the database: `installation.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// Version of this file: 1.
    pub v: u32,
    /// Identifier.
    pub id: InstallationId,
    /// Whether PINs are generated and kept for rehearsal.
    pub rehearsal: bool,
    /// The pinned first manager: an act with verb `init`, signed by himself.
    pub first_manager: SignedAct,
    /// SubjectPublicKeyInfo (DER) of the key that signed it. This is what all rights go back to.
    pub first_manager_key: Base64,
    /// EF 2F02 of the token that holds the key.
    pub first_manager_chain: Base64,
    /// Authenticated request of the key (content of CExx).
    pub first_manager_request: Base64,
}
