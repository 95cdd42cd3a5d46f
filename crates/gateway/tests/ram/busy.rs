//! How busy a slow card is kept over a slow line by callers who wait for their answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use chancery_keys::Token;
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};

use crate::agent::Agent;
use crate::raw::{Client, bytes, hello};
use crate::relay::Relay;
use crate::server::{Server, TICKET};

/// Time of the card for a command.
const WORK: Duration = Duration::from_millis(80);
/// Delay of the line in each direction.
const DELAY: Duration = Duration::from_millis(25);
/// INS 68.
const SIGN: [u8; 5] = [0x80, 0x68, 0x01, 0x20, 0x00];

/// The time a card has worked, in microseconds: sleeping for a time takes a little longer than that.
type Worked = Arc<AtomicU64>;

fn work(worked: &Worked) {
    let began = Instant::now();
    std::thread::sleep(WORK);
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap();
    worked.fetch_add(micros, Ordering::SeqCst);
}

/// A foreign client with a slow card, until the server ends it.
async fn foreign(mut client: Client, worked: Worked) {
    let mut reply = client.post(&hello()).await;
    while reply.status == 200 {
        let objects = CommandTemplate::parse(&reply.body).unwrap().0;
        let mut results = Vec::new();
        for object in objects {
            if let CommandObject::Command(_) = object {
                tokio::task::block_in_place(|| work(&worked));
                results.push(ResponseObject::Response(bytes("9000").into()));
            }
        }
        let response = ResponseTemplate {
            executed: Some(i32::try_from(results.len()).unwrap()),
            results,
        };
        reply = client.post(&response.encode().unwrap()).await;
    }
}

/// Callers who each want `each` signatures, one after the other, of a token's thread that waits for them and for answers
/// at one place. The share of the time in which the card worked, from when all callers have joined.
fn share(token: &mut dyn Token, callers: usize, each: usize, worked: &Worked) -> f64 {
    enum Job {
        Sign(usize),
        Ready,
    }
    let (jobs, queue) = mpsc::channel();
    let ready = jobs.clone();
    assert!(token.on_ready(Arc::new(move || drop(ready.send(Job::Ready)))));
    let mut left = vec![each; callers];
    for caller in 0..callers {
        jobs.send(Job::Sign(caller)).unwrap();
    }
    let mut asked = std::collections::VecDeque::new();
    let mut done = 0;
    let mut counted = 0;
    let mut began = Instant::now();
    while done < callers * each {
        match queue.recv().unwrap() {
            Job::Sign(caller) => {
                token.send(&SIGN).unwrap();
                asked.push_back(caller);
            }
            Job::Ready => {}
        }
        while let Some(&caller) = asked.front() {
            let Some(answer) = token.try_receive().unwrap() else {
                break;
            };
            assert_eq!(*answer, bytes("9000"));
            asked.pop_front();
            done += 1;
            counted += 1;
            left[caller] -= 1;
            if left[caller] > 0 {
                jobs.send(Job::Sign(caller)).unwrap();
            }
            if done == callers {
                // Everybody has had one, and those of one template come together: from here on whole rounds are counted.
                began = Instant::now();
                counted = 0;
            }
        }
    }
    let elapsed = began.elapsed().as_secs_f64();
    let each = worked.load(Ordering::SeqCst) / u64::try_from(done).unwrap();
    Duration::from_micros(each).as_secs_f64() * f64::from(u32::try_from(counted).unwrap()) / elapsed
}

/// The best of a few: other tests use the same processors.
async fn measure(callers: usize, rounds: usize, wanted: f64, own: bool) {
    let mut best = 0.0f64;
    for _ in 0..3 {
        let mut server = Server::start().await;
        let line = Relay::start(server.address, DELAY).await;
        let worked = Worked::default();
        let of_card = Arc::clone(&worked);
        let (agent, task) = if own {
            let card = move |_: &[u8]| {
                work(&of_card);
                bytes("9000")
            };
            (Some(Agent::start(line.address, card)), None)
        } else {
            (
                None,
                Some(tokio::spawn(foreign(
                    Client::bearer(line.address, TICKET),
                    of_card,
                ))),
            )
        };
        server.came().await;
        let share = server.on_thread(move |token| share(token, callers, rounds, &worked));
        best = best.max(share.await.unwrap());
        server.connectors.close();
        if let Some(agent) = agent {
            agent.ended().await;
        }
        if let Some(task) = task {
            task.await.unwrap();
        }
        if best >= wanted {
            return;
        }
    }
    panic!("{callers} callers kept the card busy {best:.3} of the time, not {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_callers_of_a_foreign_client_keep_the_card_busy() {
    measure(8, 5, 0.90, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_callers_of_a_foreign_client_keep_the_card_busier() {
    measure(16, 4, 0.94, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_of_our_agent_hardly_ever_let_it_rest() {
    measure(2, 20, 0.95, true).await;
}
