//! A token in a slot of something that behaves like vpcd.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        atomic::Ordering,
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::common::{ATR, Echo};
use chancery_reader::{
    Inserted, Stop,
    vpcd::{Event, Slot, SlotError, TrustedUsers},
};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use rustix::process::getuid;
use time::macros::date;

/// vpcd's side of a slot.
struct Pcd(TcpStream);

impl Pcd {
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    /// Length and message in two writes, as vpcd does.
    fn send(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).unwrap();
        self.0.write_all(&length.to_be_bytes()).unwrap();
        self.0.write_all(message).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        self.0.read_exact(&mut message).unwrap();
        message
    }

    fn ask(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(message);
        self.receive()
    }

    fn sees_it_pulled(&mut self) {
        assert_eq!(self.0.read(&mut [0]).unwrap_or(0), 0);
    }
}

type Ended = Result<(), SlotError>;

fn plug<T: Inserted + 'static>(token: T, port: u16) -> (Stop, Receiver<Event>, JoinHandle<Ended>) {
    plug_into(token, Slot::new("localhost", port).unwrap())
}

fn plug_into<T: Inserted + 'static>(mut token: T, slot: Slot) -> (Stop, Receiver<Event>, JoinHandle<Ended>) {
    let stop = Stop::new();
    let (tell, told) = mpsc::channel();
    let ending = stop.clone();
    let thread = thread::spawn(move || {
        slot.keep_inserted(&mut token, &ending, |event| {
            // The test may have seen enough.
            let _ = tell.send(event);
        })
    });
    (stop, told, thread)
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn a_plugged_token_answers_and_every_loss_of_power_resets_it() {
    let (listener, port) = listener();
    let (token, resets) = Echo::new();
    let (stop, told, thread) = plug(token, port);
    let mut pcd = Pcd::accept(&listener);
    assert!(matches!(told.recv().unwrap(), Event::Inserted));
    pcd.send(&[0x01]);
    assert_eq!(pcd.ask(&[0x04]), ATR);
    for (number, control) in [(2, 0x02_u8), (3, 0x00), (4, 0x01)] {
        assert_eq!(pcd.ask(&[0, 0x20, 0, 0x81]), [1, 0, 0x20, 0, 0x81, 0x90, 0]);
        assert_eq!(pcd.ask(&[0x04]), ATR, "asking is not resetting");
        assert_eq!(pcd.ask(&[0, 0x84, 0, 0])[0], 1);
        pcd.send(&[control]);
        assert_eq!(pcd.ask(&[0, 0x84, 0, 0])[0], 0, "{control}");
        assert_eq!(resets.load(Ordering::SeqCst), number);
    }
    // Bytes that no reader sends get an answer too: nobody is left waiting.
    assert_eq!(pcd.ask(&[]), [0, 0x90, 0]);
    assert_eq!(pcd.ask(&[0x03]), [0, 3, 0x90, 0]);
    let long = [&[0, 0x84, 0, 0][..], &[7; 65_000]].concat();
    assert_eq!(pcd.ask(&long).len(), 65_000 + 4 + 3);
    stop.stop();
    pcd.sees_it_pulled();
    thread.join().unwrap().unwrap();
    assert!(told.try_recv().is_err(), "the end on request is no event");
}

#[test]
fn a_pcscd_that_comes_back_has_the_token_again_as_it_was_reset() {
    let (first, port) = listener();
    let (token, _) = Echo::new();
    let (stop, told, thread) = plug(token, port);
    let mut pcd = Pcd::accept(&first);
    assert_eq!(pcd.ask(&[0, 0x20, 0, 0x81])[0], 1);
    drop((pcd, first));
    assert!(matches!(told.recv().unwrap(), Event::Inserted));
    assert!(matches!(told.recv().unwrap(), Event::Ejected { .. }));
    assert!(matches!(told.recv().unwrap(), Event::Waiting { .. }));
    let again = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut pcd = Pcd::accept(&again);
    assert!(matches!(told.recv().unwrap(), Event::Inserted));
    assert_eq!(pcd.ask(&[0, 0x84, 0, 0])[0], 0, "it was pulled meanwhile");
    // Cut within a message: the same as pulled.
    pcd.0.write_all(&[0, 9, 1]).unwrap();
    drop(pcd);
    assert!(matches!(told.recv().unwrap(), Event::Ejected { error: Some(_) }));
    drop(Pcd::accept(&again));
    stop.stop();
    thread.join().unwrap().unwrap();
}

#[test]
fn a_token_that_is_gone_is_pulled() {
    let (listener, port) = listener();
    let (token, _) = Echo::new();
    let (_stop, _told, thread) = plug(token, port);
    let mut pcd = Pcd::accept(&listener);
    pcd.send(&[0, 0x77, 0, 0]);
    pcd.sees_it_pulled();
    let error = thread.join().unwrap().unwrap_err();
    assert!(matches!(error, SlotError::Token(error) if error.is_lost()));
}

#[test]
fn whoever_is_not_trusted_is_told_nothing() {
    let (listener, port) = listener();
    let own = getuid().as_raw();
    let (token, resets) = Echo::new();
    let slot = Slot::new("127.0.0.1", port).unwrap();
    let of_others = slot.clone().of_users(TrustedUsers::only([own + 1]));
    let (_stop, told, thread) = plug_into(token, of_others);
    // Asked before it looks, and after.
    let mut pcd = Pcd::accept(&listener);
    let _ = pcd.0.write_all(&[0, 1, 0x04]);
    pcd.sees_it_pulled();
    let error = thread.join().unwrap().unwrap_err();
    assert!(
        matches!(error, SlotError::Stranger { user, port: at } if (user.uid, at) == (own, port)),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("user {own}")), "{error}");
    assert!(told.try_recv().is_err(), "it was never inserted");
    assert_eq!(resets.load(Ordering::SeqCst), 0);

    // The same user, named.
    let named = slot.of_users(TrustedUsers::only([own + 1]).and([own]));
    let (stop, _told, thread) = plug_into(Echo::new().0, named);
    let mut pcd = Pcd::accept(&listener);
    assert_eq!(pcd.ask(&[0x04]), ATR);
    stop.stop();
    thread.join().unwrap().unwrap();
}

#[test]
fn it_stops_while_nobody_listens() {
    let (listener, port) = listener();
    drop(listener);
    let (token, _) = Echo::new();
    let (stop, told, thread) = plug(token, port);
    assert!(matches!(told.recv().unwrap(), Event::Waiting { .. }));
    stop.stop();
    thread.join().unwrap().unwrap();
}

#[test]
fn small_messages_are_not_held_back() {
    let (listener, port) = listener();
    let (token, _) = Echo::new();
    let (stop, _told, thread) = plug(token, port);
    let mut pcd = Pcd::accept(&listener);
    let start = Instant::now();
    for _ in 0..250 {
        pcd.ask(&[0, 0x84, 0, 0, 8]);
    }
    // Held back 40 ms each they would take 10 s.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    stop.stop();
    thread.join().unwrap().unwrap();
}

#[test]
fn a_virtual_token_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
    let today = date!(2026 - 11 - 21);
    let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today).unwrap();
    let tokens = dir.path().join("tokens");
    factory
        .create(&tokens, &TokenName::new("one").unwrap(), today)
        .unwrap();
    let token = VirtualToken::open(&tokens.join("one"), &at_rest).unwrap();
    let atr = token.atr().to_vec();
    let (listener, port) = listener();
    let (stop, _told, thread) = plug(chancery_reader::WithAtr::new(token, atr.clone()), port);
    let mut pcd = Pcd::accept(&listener);
    pcd.send(&[0x01]);
    assert_eq!(pcd.ask(&[0x04]), atr);
    let select = hex::decode("00A404000BE82B0601040181C31F020100").unwrap();
    assert!(pcd.ask(&select).ends_with(&[0x90, 0]));
    assert!(pcd.ask(&[0x03]).len() >= 2, "no silence, whatever comes");
    stop.stop();
    pcd.sees_it_pulled();
    thread.join().unwrap().unwrap();
}

#[test]
fn a_reader_that_has_another_token_is_waited_for() {
    let (listener, port) = listener();
    let (stop, told, thread) = plug(Echo::new().0, port);
    let mut pcd = Pcd::accept(&listener);
    assert!(matches!(told.recv().unwrap(), Event::Inserted));
    let (other_stop, other_told, other_thread) = plug(Echo::new().0, port);
    assert!(matches!(other_told.recv().unwrap(), Event::Occupied));
    stop.stop();
    pcd.sees_it_pulled();
    drop(pcd);
    thread.join().unwrap().unwrap();
    // Told once, then it is in.
    let mut pcd = Pcd::accept(&listener);
    assert!(matches!(other_told.recv().unwrap(), Event::Inserted));
    assert_eq!(pcd.ask(&[0x04]), ATR);
    other_stop.stop();
    other_thread.join().unwrap().unwrap();
}
