//! Connections cut at every message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_gateway::ram::ConnectorChange;
use chancery_iso7816::TransportError;
use chancery_keys::Token;
use tokio::sync::broadcast;

use crate::agent::{Agent, Cut};
use crate::raw::{Client, bytes, hello};
use crate::server::{NAME, Server, TICKET, quick};

/// POSTs of the whole exchange below.
const POSTS: usize = 4;

/// A foreign client whose connection is cut at one POST, in one place.
async fn cut_client(server: &Server, at: usize, cut: Cut) {
    let mut client = Client::bearer(server.address, TICKET);
    let mut body = hello();
    for post in 0..POSTS {
        match cut {
            Cut::Request if post == at => return client.send_half(&[], &body).await,
            Cut::Answer if post == at => {
                client.send(&[], &body).await;
                // The command is out, or waits for somebody to send it to.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return client.cut();
            }
            _ => {}
        }
        let reply = client.post(&body).await;
        if reply.status != 200 {
            return;
        }
        body = if reply.body == bytes("AA00") {
            bytes("AB03800100")
        } else {
            bytes("AB07 23029000 800101")
        };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_cut_anywhere_is_lost_and_the_next_one_works() {
    for cut in [Cut::Request, Cut::Answer] {
        for at in 0..POSTS {
            let mut options = quick();
            // Every other client falls silent.
            options.limits.silence = Duration::from_millis(300);
            let mut server = Server::start_with(options).await;
            if (cut, at) == (Cut::Request, 0) {
                // Nothing has come about.
                cut_client(&server, at, cut).await;
            } else {
                let attached = server.connectors.changes();
                let (client, used) =
                    tokio::join!(cut_client(&server, at, cut), used_until_lost(&server, attached));
                let () = client;
                assert!(used.is_lost(), "cut {cut:?} at {at}: {used:?}");
                server.came().await;
                server.went().await;
            }
            // The next client finds everything as it should be.
            let agent = Agent::start(server.address, |_| bytes("9000"));
            server.came().await;
            let done = server.on_thread(|token| token.transmit(&bytes("0084000008")));
            assert_eq!(
                *done.await.unwrap().unwrap(),
                bytes("9000"),
                "cut {cut:?} at {at}"
            );
            agent.stop().await;
        }
    }
}

/// Uses the token as soon as it is there and as long as it works. With a command at a client only its time limit, half a
/// minute, would end the wait: the node gives the client up before.
async fn used_until_lost(
    server: &Server,
    mut changes: broadcast::Receiver<ConnectorChange>,
) -> TransportError {
    changes.recv().await.unwrap();
    let used = server.on_thread(|token| {
        loop {
            if let Err(error) = token.transmit(&bytes("0084000008")) {
                return error;
            }
        }
    });
    let given_up = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        server.connectors.disconnect(NAME, "given up");
    };
    let (used, ()) = tokio::join!(used, given_up);
    used.unwrap()
}

/// Sends numbered commands through the window and checks that the answers come in order.
fn stream(token: &mut dyn Token, count: u16) -> Result<(), TransportError> {
    let mut sent = 0;
    let mut received = 0;
    while received < count {
        while sent < count && sent - received < 5 {
            let [high, low] = sent.to_be_bytes();
            token.send(&[0x00, 0x84, high, low, 0x02])?;
            sent += 1;
        }
        let [high, low] = received.to_be_bytes();
        assert_eq!(*token.receive()?, [high, low, 0x90, 0x00]);
        received += 1;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn our_agent_goes_on_over_every_cut_and_no_command_runs_twice() {
    let mut server = Server::start_with(quick()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let card = {
        let seen = Arc::clone(&seen);
        move |command: &[u8]| {
            seen.lock().unwrap().push(command[2..4].to_vec());
            [&command[2..4], &[0x90, 0x00]].concat()
        }
    };
    // Two POSTs of three are cut, in either place.
    let cuts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&cuts);
    let agent = Agent::start_cut(
        server.address,
        card,
        Box::new(move |post| {
            let cut = [Cut::No, Cut::Request, Cut::Answer][usize::try_from(post * 7 / 4 % 3).unwrap()];
            if cut != Cut::No {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            cut
        }),
    );
    server.came().await;
    let done = server.on_thread(|token| {
        token.authenticated();
        token.lock_in(Some(Duration::from_secs(90)));
        stream(token, 300)
    });
    done.await.unwrap().unwrap();
    let expected: Vec<Vec<u8>> = (0u16..300).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert!(cuts.load(Ordering::SeqCst) > 50);
    let told = agent.stop().await;
    assert_eq!(told.status, 204);
    assert!(
        told.ran.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "{:?}",
        told.ran
    );
    let lock: u64 = told.lock_in.unwrap().parse().unwrap();
    assert!((60..=90).contains(&lock), "{lock}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_given_back_leaves_nothing_behind() {
    let mut server = Server::start().await;
    let agent = Agent::start(server.address, |command| {
        std::thread::sleep(Duration::from_millis(20));
        [&command[2..4], &[0x90, 0x00]].concat()
    });
    server.came().await;
    let done = server.on_thread(|token| {
        for n in 0..10 {
            token.send(&[0x00, 0x84, 0x00, n, 0x02]).unwrap();
        }
        token.receive().unwrap().to_vec()
    });
    assert_eq!(done.await.unwrap(), [0, 0, 0x90, 0x00]);
    // Nine answers of the first are still to come, or will never be asked for.
    let done = server.on_thread(|token| {
        assert!(token.receive().is_err(), "nothing was sent");
        token.transmit(&[0x00, 0x84, 0x01, 0x01, 0x02]).unwrap().to_vec()
    });
    assert_eq!(done.await.unwrap(), [1, 1, 0x90, 0x00]);
    agent.stop().await;
}
