//! An installation to try nodes on: its first manager's key is in software.

use std::path::Path;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use chancery_api::{
    ActId, ActPayload, Base64, Decision, Hash32, Installation, InstallationId, PersonDocument, PersonId,
    Role, SignedAct, canonical_json, statement,
};
use chancery_node::DataDir;
use uuid::Uuid;

pub(crate) struct Manager {
    pub(crate) name: String,
    installation: InstallationId,
    key: EcdsaKeyPair,
}

impl Manager {
    /// Initialises a data directory.
    pub(crate) fn init(path: &Path) -> (DataDir, Self) {
        let data = DataDir::create(path).unwrap();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        let manager = Self {
            name: "root".to_owned(),
            installation: InstallationId::new(Uuid::from_bytes([0x5a; 16])),
            key,
        };
        let person = PersonDocument {
            id: PersonId::new(Uuid::from_bytes([1; 16])),
            name: manager.name.clone(),
            roles: vec![Role::TrustcenterManager],
            key: Hash32::of(&spki),
            device: "UTCHDABCDEF00000".to_owned(),
        };
        let payload = canonical_json(&ActPayload {
            v: 1,
            installation: manager.installation,
            act: ActId::new(Uuid::from_bytes([2; 16])),
            nonce: Hash32([3; 32]),
            time: "2026-03-01T00:00:00Z".to_owned(),
            person: person.id,
            name: person.name.clone(),
            decision: Decision::Init { person },
        })
        .unwrap();
        data.save_installation(&Installation {
            v: 1,
            id: manager.installation,
            rehearsal: true,
            first_manager: manager.sign(payload),
            first_manager_key: Base64(spki),
            first_manager_chain: Base64::default(),
            first_manager_request: Base64::default(),
        })
        .unwrap();
        (data, manager)
    }

    pub(crate) fn sign(&self, payload: Vec<u8>) -> SignedAct {
        let statement = statement(self.installation, &payload);
        let signature = self
            .key
            .sign(&SystemRandom::new(), &statement)
            .unwrap()
            .as_ref()
            .to_vec();
        SignedAct {
            payload: Base64(payload),
            signature: Base64(signature),
        }
    }
}
