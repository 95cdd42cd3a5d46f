//! People with tokens of their own, who really sign what they decide.

use std::path::Path;

use anyhow::Context as _;
use chancery_agent::{
    Accepted, AcceptedHsm, Answered, Custodian, LeaseDecision, LeaseNode, LocalTokens, PinSource,
    RehearsalPins, SeenLog, ShownAct, ShownLease, TokenPins, UnlockedToken, act_key, answer_challenge,
    custodian_key, initialise, sign_act,
};
use chancery_api::{
    ActId, ActPayload, Base64, CustodianRegister, Decision, Hash32, Installation, InstallationId, LeaseView,
    PersonAdd, PersonDocument, PersonId, Role, SecretText, SignedAct, UnlockAnswer, UnlockChallengeView,
};
use chancery_cvc::{AuthenticatedRequest, TrustAnchors};
use chancery_driver::{Pin, SoPin};

use crate::workshop::Workshop;

const PIN: &str = "648219";
/// SO-PIN of all tokens here.
pub(crate) const SO_PIN: &str = "3537363231383830";

/// Somebody whose token stays unlocked while the program runs.
pub(crate) struct Somebody {
    name: &'static str,
    token: UnlockedToken,
    anchors: TrustAnchors,
    accepted: Accepted,
}

impl Somebody {
    /// Makes this person's token.
    pub(crate) fn new(workshop: &Workshop, name: &'static str) -> anyhow::Result<Self> {
        workshop.make(name)?;
        let local = LocalTokens::new(
            &workshop.tokens(),
            workshop.at_rest.clone(),
            Some(workshop.factory()),
        )?;
        let mut token = local.open(name)?;
        initialise(&mut token, Pin::new(PIN)?, SoPin::from_hex(SO_PIN)?)?;
        let token = token.unlock(&pins(workshop.path(), name)?)?;
        let accepted = Accepted::load(&workshop.path().join("custodians"), name)?;
        Ok(Self {
            name,
            token,
            anchors: workshop.anchors()?,
            accepted,
        })
    }

    /// Signs what was drafted for this person.
    pub(crate) fn sign(
        &mut self,
        installation: InstallationId,
        draft: &[u8],
        verb: &str,
    ) -> anyhow::Result<SignedAct> {
        let shown = ShownAct::read(draft, installation, self.name, verb)?;
        Ok(sign_act(&mut self.token, &shown)?)
    }

    /// What a request for this person carries.
    pub(crate) fn application(&mut self, role: Role) -> anyhow::Result<PersonAdd> {
        let evidence = act_key(&mut self.token, &self.anchors)?;
        Ok(PersonAdd {
            name: self.name.to_owned(),
            roles: vec![role],
            chain: Base64(evidence.chain),
            key_request: Base64(evidence.key_request),
        })
    }

    /// What a request for this person to become custodian carries.
    pub(crate) fn custodian(&mut self, hsm: &str) -> anyhow::Result<CustodianRegister> {
        let evidence = custodian_key(&mut self.token, &self.anchors)?;
        Ok(CustodianRegister {
            person: self.name.to_owned(),
            hsms: vec![hsm.to_owned()],
            chain: Base64(evidence.chain),
            key_request: Base64(evidence.key_request),
        })
    }

    /// Answers an HSM's challenge.
    pub(crate) fn answer(&mut self, hsm: &str, view: UnlockChallengeView) -> anyhow::Result<UnlockAnswer> {
        let known = AcceptedHsm::from_chain(hsm, &view.chain.0, &self.anchors)?;
        self.accepted.accept(hsm, known)?;
        let signature = answer_challenge(&mut self.token, &self.accepted, &self.anchors, hsm, &view)?;
        Ok(UnlockAnswer {
            hsm: view.hsm,
            session: view.session,
            signature: Base64(signature),
        })
    }

    /// Agrees to a lease for every HSM of it.
    pub(crate) fn agree<N>(
        self,
        workshop: &Workshop,
        node: &mut N,
        installation: InstallationId,
        lease: &LeaseView,
    ) -> anyhow::Result<(Self, Vec<Answered>)>
    where
        N: LeaseNode<Error = anyhow::Error>,
    {
        let Self {
            name,
            token,
            anchors,
            accepted,
        } = self;
        let shown = ShownLease::read(lease, installation, &accepted)?;
        let log = SeenLog::load(&workshop.path().join("custodians"), name)?;
        let mut custodian = Custodian::new(name, token, &accepted, &anchors, log)?;
        let answered = custodian.decide(node, &shown, &LeaseDecision::Agree)?;
        // The token went with the custodian.
        drop(custodian);
        let local = LocalTokens::new(
            &workshop.tokens(),
            workshop.at_rest.clone(),
            Some(workshop.factory()),
        )?;
        let token = local.open(name)?.unlock(&pins(workshop.path(), name)?)?;
        let somebody = Self {
            name,
            token,
            anchors,
            accepted,
        };
        Ok((somebody, answered))
    }

    /// An installation with this person as its first manager.
    pub(crate) fn found(&mut self) -> anyhow::Result<Installation> {
        let evidence = act_key(&mut self.token, &self.anchors)?;
        let request = AuthenticatedRequest::parse(&evidence.key_request)?;
        let key = request.request().public_key().to_spki_der()?;
        let id = InstallationId::new(uuid::Uuid::from_bytes([0x11; 16]));
        let person = PersonDocument {
            id: PersonId::new(uuid::Uuid::from_bytes([0x22; 16])),
            name: self.name.to_owned(),
            roles: vec![Role::TrustcenterManager],
            key: Hash32::of(&key),
            device: request.outer_car().to_string(),
        };
        let payload = ActPayload {
            v: 1,
            installation: id,
            act: ActId::new(uuid::Uuid::from_bytes([0x33; 16])),
            nonce: Hash32([0x44; 32]),
            time: "2026-11-21T00:00:00Z".into(),
            person: person.id,
            name: person.name.clone(),
            decision: Decision::Init { person },
        };
        Ok(Installation {
            v: 1,
            id,
            rehearsal: true,
            first_manager: self.token.sign_first_act(&payload)?,
            first_manager_key: Base64(key),
            first_manager_chain: Base64(evidence.chain),
            first_manager_request: Base64(evidence.key_request),
        })
    }
}

fn pins(directory: &Path, name: &str) -> anyhow::Result<PinSource> {
    let mut pins = RehearsalPins::default();
    let own = TokenPins {
        user_pin: Some(SecretText::new(PIN.to_owned())),
        so_pin: SecretText::new(SO_PIN.to_owned()),
    };
    pins.tokens.insert(name.to_owned(), own);
    let path = directory.join(format!("{name}.pins.json"));
    pins.save(&path).context("writing a PIN file")?;
    Ok(PinSource::Rehearsal(path))
}
