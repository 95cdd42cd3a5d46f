//! Whole virtual tokens behind the endpoint, driven as if they were here.

use chancery_cvc::{Curve, Reference};
use chancery_driver::{Card, Initialize, KeyAlgorithm, KeySpec, Pin, SoPin};
use chancery_iso7816::Transport;
use chancery_keys::Token;
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KeyId};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use time::macros::date;

use crate::agent::Agent;
use crate::raw::{Client, hello};
use crate::server::Server;

/// A new virtual token, and where it lives.
fn token() -> (VirtualToken, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
    let factory =
        Factory::open_or_create(&dir.path().join("factory"), &at_rest, date!(2026 - 11 - 21)).unwrap();
    let name = TokenName::new("shed").unwrap();
    factory
        .create(&dir.path().join("tokens"), &name, date!(2026 - 11 - 21))
        .unwrap();
    let token = VirtualToken::open(&dir.path().join("tokens").join("shed"), &at_rest).unwrap();
    (token, dir)
}

/// Sets the token up, reads its chain, makes a key and signs.
fn use_it(token: &mut dyn Token) {
    let pin = Pin::new("648219").unwrap();
    let mut card = Card::new(&mut *token)
        .select()
        .map_err(|failed| failed.error)
        .unwrap();
    let chain = card.device_chain().unwrap();
    card.initialize(&Initialize {
        options: InitializeOptions::RESET_RETRY_COUNTER,
        user_pin: Some(pin.clone()),
        so_pin: SoPin::from_hex("3537363231383830").unwrap(),
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    })
    .unwrap();
    let mut card = card.verify_pin(&pin).map_err(|failed| failed.error).unwrap();
    let key = card
        .generate(&KeySpec {
            id: KeyId(1),
            algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
            chr: Reference::new("UTTESTKEY00001").unwrap(),
            algorithms: AlgorithmList::default(),
            key_domain: None,
            use_counter: None,
        })
        .unwrap();
    assert!(card.proves(KeyId(1), &key.public_key).unwrap());
    let signature = card.sign(KeyId(1), Algorithm::EcdsaSha256, b"message").unwrap();
    assert_eq!(signature.first(), Some(&0x30));
    drop(card);

    // A reset takes the PIN away; the token is the same.
    token.reset().unwrap();
    let mut card = Card::new(token).select().map_err(|failed| failed.error).unwrap();
    assert_eq!(
        format!("{:?}", card.device_chain().unwrap()),
        format!("{chain:?}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_at_a_foreign_client_is_set_up_and_signs() {
    let mut server = Server::start().await;
    let path = server.ticket("00112233445566778899aabbccddeeff");
    let (mut token, _dir) = token();
    let mut client = Client::new(server.address, &path);
    let task = tokio::spawn(async move {
        let mut reply = client.post(&hello()).await;
        while reply.status == 200 {
            let mut results = Vec::new();
            for object in CommandTemplate::parse(&reply.body).unwrap().0 {
                match object {
                    CommandObject::Command(command) => {
                        results.push(ResponseObject::Response(token.transmit(&command).unwrap()));
                    }
                    CommandObject::Reset => {
                        token.power_cycle();
                        results.push(ResponseObject::Atr(token.atr().to_vec()));
                    }
                    _ => {}
                }
            }
            // Such clients always say 1.
            let response = ResponseTemplate {
                results,
                executed: Some(1),
            };
            reply = client.post(&response.encode().unwrap()).await;
        }
        reply.status
    });
    server.came().await;
    server.on_thread(use_it).await.unwrap();
    server.connectors.close();
    assert_eq!(task.await.unwrap(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_at_our_agent_is_set_up_and_signs() {
    let mut server = Server::start().await;
    let (mut token, _dir) = token();
    let agent = Agent::start(server.address, move |command| {
        // A reset comes as no command to this card: the next SELECT does as much.
        token.transmit(command).unwrap().to_vec()
    });
    server.came().await;
    server.on_thread(use_it).await.unwrap();
    agent.stop().await;
}
