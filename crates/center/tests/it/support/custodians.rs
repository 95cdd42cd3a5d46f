//! Custodians: their keys, their answers.

use chancery_agent::{Accepted, AcceptedHsm, UnlockedToken, answer_challenge, custodian_key};
use chancery_api::{
    Base64, CustodianRegister, Failure, HsmView, Intent, UnlockAnswer, UnlockChallenge, UnlockChallengeView,
};

use super::World;

impl World {
    pub async fn register_custodians(&mut self) {
        for name in ["alice", "bob", "carol"] {
            self.register_custodian(name, &["hsm-a", "hsm-b"])
                .await
                .expect("a custodian");
        }
    }

    pub async fn register_custodian(&mut self, name: &str, hsms: &[&str]) -> Result<(), Failure> {
        let mut token = self
            .local
            .open(name)
            .expect("the token opens")
            .unlock(&self.pins)
            .expect("the PIN is right");
        let evidence = custodian_key(&mut token, self.local.anchors()).expect("a custodian key");
        drop(token);
        let call = CustodianRegister {
            person: name.to_owned(),
            hsms: hsms.iter().map(|hsm| (*hsm).to_owned()).collect(),
            chain: Base64(evidence.chain),
            key_request: Base64(evidence.key_request),
        };
        let request = self.center.custodian_register(call, 0).await?.request;
        self.act(
            "alice",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await?;
        Ok(())
    }

    /// One custodian answers one HSM.
    pub async fn unlock(&self, hsm: &str, name: &str) -> Result<HsmView, Failure> {
        let (session, signature) = self.answer(hsm, name).await?;
        self.hand_in(hsm, &session, &signature).await
    }

    /// A challenge of an HSM and a custodian's answer to it, not handed in.
    pub async fn answer(&self, hsm: &str, name: &str) -> Result<(String, Vec<u8>), Failure> {
        let call = UnlockChallenge {
            hsm: hsm.to_owned(),
            person: name.to_owned(),
        };
        let mut token = self
            .local
            .open(name)
            .expect("the token opens")
            .unlock(&self.pins)
            .expect("the PIN is right");
        let view = self.center.unlock_challenge(&call).await?;
        let signature = self.answer_to(&mut token, name, hsm, &view);
        Ok((view.session, signature))
    }

    /// The answer of a custodian's token to a challenge it takes for one of `hsm`.
    pub fn answer_to(
        &self,
        token: &mut UnlockedToken,
        name: &str,
        hsm: &str,
        view: &UnlockChallengeView,
    ) -> Vec<u8> {
        let mut accepted = Accepted::load(&self.dir.path().join("custodians"), name).expect("accepted HSMs");
        let known = AcceptedHsm::from_chain(hsm, &view.chain.0, self.local.anchors()).expect("an HSM");
        accepted.accept(hsm, known).expect("it is accepted");
        answer_challenge(token, &accepted, self.local.anchors(), hsm, view).expect("an answer")
    }

    /// Hands an answer in.
    pub async fn hand_in(&self, hsm: &str, session: &str, signature: &[u8]) -> Result<HsmView, Failure> {
        let answer = UnlockAnswer {
            hsm: hsm.to_owned(),
            session: session.to_owned(),
            signature: Base64(signature.to_vec()),
        };
        self.center.unlock_answer(&answer).await
    }

    /// A person's token, its PIN presented.
    pub fn token(&self, name: &str) -> UnlockedToken {
        self.local
            .open(name)
            .expect("the token opens")
            .unlock(&self.pins)
            .expect("the PIN is right")
    }

    pub async fn unlock_all(&self) {
        for hsm in ["hsm-a", "hsm-b"] {
            for name in ["alice", "bob"] {
                self.unlock(hsm, name).await.expect("an answer counts");
            }
        }
    }
}
