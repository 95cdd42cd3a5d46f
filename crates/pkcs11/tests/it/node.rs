//! Slots of a node against a node that does what the test says: above all what a real one does rarely.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use chancery_api::{
    Base64, Condition, Failure, LeaseId, LeaseRequest, LeaseShow, LeaseState, LeaseView, SignatureView,
    SigningKeyView, SigningSign,
};
use chancery_client::ClientError;
use chancery_pkcs11_library::{
    Code, Error, Library, Mechanism, Output, Parameters, Pin, Room, SessionHandle, Template, User,
    config::Config,
    curve::CURVES,
    node::{Calls, Channels, NodeSlots, Teller},
    notice::Notices,
    public_key::PublicKey,
};
use cryptoki_sys as ck;
use zeroize::Zeroizing;

const MESSAGE: &[u8] = b"message";

/// What the node answers, in this order; the last answer stays.
#[derive(Default)]
struct Script {
    sign: VecDeque<Sign>,
    show: VecDeque<Show>,
    requests: Vec<LeaseRequest>,
    shown: usize,
}

#[derive(Clone, Copy)]
enum Sign {
    /// The signature.
    Made,
    /// A signature of another message.
    Wrong,
    /// Blocked, with this condition.
    Blocked(&'static str),
}

#[derive(Clone, Copy)]
enum Show {
    State(LeaseState),
    Silent,
}

struct Node {
    key: EcdsaKeyPair,
    script: Mutex<Script>,
}

struct Line(Arc<Node>);

impl Node {
    fn new(sign: &[Sign], show: &[Show]) -> Arc<Self> {
        Arc::new(Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            script: Mutex::new(Script {
                sign: sign.iter().copied().collect(),
                show: show.iter().copied().collect(),
                ..Script::default()
            }),
        })
    }

    fn requests(&self) -> usize {
        self.script.lock().unwrap().requests.len()
    }

    /// A program that uses this node, with these lines in the configuration.
    fn program(self: &Arc<Self>, more: &str) -> (Library, SessionHandle) {
        let config: Config =
            format!("[[node]]\nurl = \"https://n:1\"\nnode_cert = \"/n\"\nclient_cert = \"/c\"\n{more}\n")
                .parse()
                .unwrap();
        let teller = Arc::new(Teller::new(Channels {
            quiet: true,
            ..Channels::default()
        }));
        let slots = NodeSlots::of(Box::new(Line(Arc::clone(self))), config.node[0].clone(), teller);
        let library = Library::new(vec![Box::new(slots)], Notices::new(true));
        let slot = library.slots(true, true)[0];
        let session = library.open_session(slot, false).unwrap();
        (library, session)
    }
}

fn next<T: Copy>(answers: &mut VecDeque<T>) -> T {
    let answer = answers[0];
    if answers.len() > 1 {
        answers.pop_front();
    }
    answer
}

fn lease() -> LeaseId {
    LeaseId::from_slice(&[7; 16]).unwrap()
}

fn view(state: LeaseState) -> LeaseView {
    LeaseView {
        lease: lease(),
        text: Base64(Vec::new()),
        state,
        version: 1,
        agreed: vec!["alice".to_owned()],
        could: Vec::new(),
        needed: 2,
        because: Some("bob refused: no".to_owned()),
        node_enforced: false,
        used: 0,
        remaining_seconds: 1,
        hsms: Vec::new(),
    }
}

impl Calls for Line {
    fn name(&self) -> String {
        "n:1".to_owned()
    }

    fn keys(&self) -> Result<Vec<SigningKeyView>, ClientError> {
        let curve = CURVES.iter().find(|curve| curve.name == "prime256v1").unwrap();
        let public = PublicKey::Ec {
            curve,
            point: self.0.key.public_key().as_ref().to_vec(),
        };
        Ok(vec![SigningKeyView {
            name: "release".to_owned(),
            algorithm: "ec:P-256".to_owned(),
            public_key: Base64(public.to_spki()),
            key_id: 1,
            key_domain: String::new(),
            certificate: None,
            replicas: Vec::new(),
        }])
    }

    fn sign(&self, call: &SigningSign) -> Result<Vec<SignatureView>, ClientError> {
        let answer = next(&mut self.0.script.lock().unwrap().sign);
        let message = match answer {
            Sign::Made => MESSAGE,
            Sign::Wrong => b"another",
            Sign::Blocked(code) => {
                let condition = Condition::new(code, "what", "remedy", Vec::new());
                return Err(Failure::blocked("nothing is signed", vec![condition]).into());
            }
        };
        let signature = self.0.key.sign(&SystemRandom::new(), message).unwrap();
        Ok(vec![SignatureView {
            digest: call.digests[0].clone(),
            signature: Base64(signature.as_ref().to_vec()),
            lease: lease(),
            hsm: "hsm-a".to_owned(),
        }])
    }

    fn request(&self, call: &LeaseRequest) -> Result<LeaseView, ClientError> {
        self.0.script.lock().unwrap().requests.push(call.clone());
        Ok(view(LeaseState::Waiting))
    }

    fn show(&self, _: &LeaseShow) -> Result<LeaseView, ClientError> {
        thread::sleep(Duration::from_millis(5));
        let mut script = self.0.script.lock().unwrap();
        script.shown += 1;
        match next(&mut script.show) {
            Show::State(state) => Ok(view(state)),
            Show::Silent => Err(ClientError::Lost {
                node: "n:1".to_owned(),
                method: "lease.show",
                source: io::Error::from(io::ErrorKind::ConnectionReset),
            }),
        }
    }
}

fn sign(library: &Library, session: SessionHandle) -> Result<Output, Error> {
    let class = ck::CKO_PRIVATE_KEY.to_ne_bytes().to_vec();
    library
        .find_begin(
            session,
            &Template::new(vec![(ck::CKA_CLASS, Zeroizing::new(class))]),
        )
        .unwrap();
    let keys = library.find_next(session, 2).unwrap();
    library.find_end(session).unwrap();
    let mechanism = Mechanism {
        kind: ck::CKM_ECDSA_SHA256,
        parameters: Parameters::None,
    };
    library.sign_begin(session, &mechanism, keys[0]).unwrap();
    library.sign(session, MESSAGE, Room::Bytes(64))
}

#[track_caller]
fn told(outcome: Result<Output, Error>) -> (Code, String) {
    match outcome.unwrap_err() {
        Error::Told { code, reason } => (code, reason),
        other => panic!("{other} tells nobody why"),
    }
}

#[test]
fn a_login_costs_nothing_and_a_signature_asks_for_its_digest() {
    let node = Node::new(
        &[Sign::Blocked("lease"), Sign::Made],
        &[Show::State(LeaseState::Waiting), Show::State(LeaseState::Live)],
    );
    let (library, session) = node.program("count = 3");
    let slot = library.session_info(session).unwrap().slot;
    let flags = library.token_info(slot).unwrap().token.flags;
    assert_ne!(flags & ck::CKF_PROTECTED_AUTHENTICATION_PATH, 0);
    let refused = library.login(session, User::SecurityOfficer, None).unwrap_err();
    assert!(matches!(
        refused.code(),
        Code::USER_TYPE_INVALID | Code::SESSION_READ_ONLY_EXISTS
    ));
    library
        .login(session, User::User, Some(&Pin::new(b"any PIN at all")))
        .unwrap();
    assert_eq!(node.requests(), 0);
    assert!(matches!(sign(&library, session), Ok(Output::Done(_))));
    let script = node.script.lock().unwrap();
    let request = &script.requests[0];
    assert_eq!((script.requests.len(), request.digests.len()), (1, 1));
    assert_eq!((request.further, request.reuse), (2, true));
    assert!(request.attended_seconds.is_some());
}

#[test]
fn a_login_waits_for_a_number_when_it_is_told_to() {
    let node = Node::new(&[Sign::Made], &[Show::State(LeaseState::Refused)]);
    let (library, session) = node.program("wait = \"login\"\ncount = 5");
    let refused = library.login(session, User::User, None).unwrap_err();
    assert_eq!(refused.code(), Code::FUNCTION_CANCELED);
    assert!(refused.to_string().contains("bob refused: no"), "{refused}");
    {
        let script = node.script.lock().unwrap();
        assert_eq!(
            (script.requests[0].digests.len(), script.requests[0].further),
            (0, 5)
        );
    }
    // The next one is let in; a lease that is over ends the login.
    node.script.lock().unwrap().show = [Show::State(LeaseState::Live)].into();
    library.login(session, User::User, None).unwrap();
    node.script.lock().unwrap().sign = [Sign::Blocked("lease-over")].into();
    assert_eq!(told(sign(&library, session)).0, Code::USER_NOT_LOGGED_IN);
    assert_eq!(
        library.session_info(session).unwrap().state,
        ck::CKS_RO_PUBLIC_SESSION
    );
    assert_eq!(node.requests(), 2, "a signature asks nobody in this wait");
}

#[test]
fn a_node_that_is_silent_for_a_while_is_waited_for() {
    let node = Node::new(
        &[Sign::Blocked("quorum"), Sign::Made],
        &[Show::Silent, Show::State(LeaseState::Live)],
    );
    let (library, session) = node.program("");
    library.login(session, User::User, None).unwrap();
    assert!(matches!(sign(&library, session), Ok(Output::Done(_))));
    assert_eq!(node.script.lock().unwrap().shown, 2);
}

#[test]
fn a_number_that_is_used_up_is_a_limit_for_the_process_that_had_it() {
    let spent = [
        Sign::Blocked("lease-spent"),
        Sign::Made,
        Sign::Blocked("lease-spent"),
    ];
    let live = [Show::State(LeaseState::Live)];
    // An earlier process used a lease up: this one asks for its own, and then goes without.
    let node = Node::new(&spent, &live);
    let (library, session) = node.program("count = 2");
    library.login(session, User::User, None).unwrap();
    assert!(matches!(sign(&library, session), Ok(Output::Done(_))));
    let (code, reason) = told(sign(&library, session));
    assert_eq!(code, Code::FUNCTION_CANCELED);
    assert_eq!(reason, "release: nothing is signed; what; remedy");
    assert_eq!(node.requests(), 1);
    // Where nobody set a number each digest is asked for.
    let node = Node::new(&[spent[0], spent[1], spent[2], Sign::Made], &live);
    let (library, session) = node.program("");
    library.login(session, User::User, None).unwrap();
    for _ in 0..2 {
        assert!(matches!(sign(&library, session), Ok(Output::Done(_))));
    }
    assert_eq!(node.requests(), 2);
}

#[test]
fn a_signature_of_something_else_does_not_reach_the_program() {
    let node = Node::new(&[Sign::Wrong], &[Show::Silent]);
    let (library, session) = node.program("");
    library.login(session, User::User, None).unwrap();
    let (code, reason) = told(sign(&library, session));
    assert_eq!(code, Code::DEVICE_ERROR);
    assert!(reason.contains("not of this key"), "{reason}");
}

#[test]
fn who_ends_the_module_waits_for_nobody() {
    let node = Node::new(&[Sign::Blocked("lease")], &[Show::State(LeaseState::Waiting)]);
    let (library, session) = node.program("");
    library.login(session, User::User, None).unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| sign(&library, session));
        let began = Instant::now();
        while node.script.lock().unwrap().shown == 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "nobody waits");
        }
        library.close();
        let ended = waits.join().unwrap().unwrap_err();
        assert_eq!(ended.code(), Code::CRYPTOKI_NOT_INITIALIZED);
    });
}
