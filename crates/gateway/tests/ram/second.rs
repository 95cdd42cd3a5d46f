//! A second session on the ticket of a connector that is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chancery_gateway::ram::ConnectorChange;
use chancery_iso7816::Transport;

use crate::agent::Agent;
use crate::raw::{Client, bytes, hello};
use crate::server::{NAME, Server, TICKET, quick};

/// What stands for chip authentication here: the card says who it is, and the prover compares.
const WHO: &str = "80CA000000";

/// A card that calls itself so.
fn card(name: u8) -> impl FnMut(&[u8]) -> Vec<u8> + Send + 'static {
    move |command| {
        if command == bytes(WHO) {
            vec![name, 0x90, 0x00]
        } else {
            bytes("9000")
        }
    }
}

fn prove_by_name(server: &Server, forgetful: bool) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    server
        .connectors
        .set_prover(Arc::new(move |provisional, mut token| {
            assert_eq!(provisional.connector, NAME);
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = token.transmit(&bytes(WHO)).map_err(|error| error.to_string())?;
            if answer.first() != Some(&1) {
                return Err("it is another device".to_owned());
            }
            if !forgetful {
                token.authenticated();
            }
            Ok(())
        }));
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn another_device_on_the_ticket_is_refused_and_the_first_goes_on() {
    let mut server = Server::start_with(quick()).await;
    let proofs = prove_by_name(&server, false);
    let first = Agent::start(server.address, card(1));
    server.came().await;
    let mut token = server.token();
    let other = Agent::start(server.address, card(2));
    let told = other.ended().await;
    assert_eq!(told.notices, ["it is another device"]);
    assert_eq!(proofs.load(Ordering::SeqCst), 1);
    let answer = tokio::task::spawn_blocking(move || token.transmit(&bytes(WHO)));
    assert_eq!(*answer.await.unwrap().unwrap(), [1, 0x90, 0x00]);
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prover_that_saw_no_chip_authentication_proves_nothing() {
    let mut server = Server::start_with(quick()).await;
    prove_by_name(&server, true);
    let first = Agent::start(server.address, card(1));
    server.came().await;
    let second = Agent::start(server.address, card(1));
    assert_eq!(second.ended().await.notices, ["chip authentication was not done"]);
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_device_takes_the_place_of_the_first() {
    let mut server = Server::start_with(quick()).await;
    prove_by_name(&server, false);
    let first = Agent::start(server.address, card(1));
    server.came().await;
    let mut token = server.token();
    let second = Agent::start(server.address, card(1));
    // The first is lost to whoever holds it, and told so.
    let told = first.ended().await;
    assert_eq!(
        told.notices,
        ["another session of this connector has proven the same device"]
    );
    server.came().await;
    let lost = tokio::task::spawn_blocking(move || token.transmit(&bytes(WHO)).map(drop));
    assert!(lost.await.unwrap().unwrap_err().is_lost());
    let answer = server.on_thread(|token| token.transmit(&bytes(WHO)));
    assert_eq!(*answer.await.unwrap().unwrap(), [1, 0x90, 0x00]);
    assert!(server.connectors.status(NAME).unwrap().connected.is_some());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_prover_a_second_session_waits_until_the_first_is_gone() {
    let mut server = Server::start_with(quick()).await;
    let first = Agent::start(server.address, card(1));
    server.came().await;
    let second = Agent::start(server.address, card(2));
    // Only so many wait.
    let mut others: Vec<Client> = Vec::new();
    while server.connectors.status(NAME).unwrap().waiting < 4 {
        let waiting = server.connectors.status(NAME).unwrap().waiting;
        let mut other = Client::bearer(server.address, TICKET);
        other.send(&[], &hello()).await;
        while server.connectors.status(NAME).unwrap().waiting == waiting {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        others.push(other);
    }
    assert_eq!(
        Client::bearer(server.address, TICKET).post(&hello()).await.status,
        503
    );
    first.stop().await;
    assert!(matches!(server.change().await, ConnectorChange::Went { .. }));
    server.came().await;
    drop(others);
    drop(second);
}
