//! What people are told when nothing is signed, and what becomes of requests whose programs are gone.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    pkcs11::module,
    terminal::Terminal,
    world::{Custodians, Waits, World, until, uri},
};

const SIGN: [&str; 12] = [
    "pkeyutl",
    "-engine",
    "pkcs11",
    "-keyform",
    "engine",
    "-sign",
    "-in",
    "digest",
    "-out",
    "signature",
    "-pkeyopt",
    "digest:sha256",
];

#[test]
fn a_refusal_and_a_time_out_are_told_in_plain_words() {
    let world = World::with_custodians();
    fs::write(world.path("digest"), [7; 32]).unwrap();
    let key = uri("firmware");
    let words = [&SIGN[..], &["-inkey", &key]].concat();
    world.set(Custodians::Refuse("wrong kernel version"));
    for (configuration, count) in [
        (world.waiting(Waits::AtSign, 1), 0),
        (world.waiting(Waits::AtLogin, 3), 3),
    ] {
        let refused = world.openssl(&configuration, &words);
        assert_ne!(refused.code, 0, "{}", refused.err);
        // It is the last line, too.
        let last = refused.err.lines().last().unwrap();
        for part in [
            "chancery-pkcs11: firmware: ",
            "carol",
            "wrong kernel version",
            "1 of 2 had agreed: alice",
        ] {
            assert!(last.contains(part), "{part}: {}", refused.err);
        }
        let status = status_file(&world);
        assert_eq!(status["state"], "refused", "{status}");
        assert_eq!(status["signer"], "firmware");
        assert_eq!(status["further"], count);
        assert!(
            status["message"]
                .as_str()
                .unwrap()
                .contains("wrong kernel version")
        );
    }

    // Where a script throws away what programs say, the terminal still shows it.
    let shell = ["sh", "-c", "openssl \"$@\" >/dev/null 2>&1", "sh"];
    for waits in Waits::BOTH {
        let mut shell = world.program(&world.waiting(waits, 1), &[&shell[..], &words].concat());
        shell.env("OPENSSL_CONF", world.path("openssl.cnf"));
        let (code, screen) = Terminal::start(&shell, 200, 40).end();
        assert_eq!(code, 1, "{screen}");
        assert!(screen.contains("carol refused: wrong kernel version"), "{screen}");
    }

    world.set(Custodians::Silent);
    let impatient = world.configuration("impatient.toml", "wait_seconds = 1");
    let late = world.openssl(&impatient, &words);
    assert_ne!(late.code, 0, "{}", late.err);
    assert!(
        late.err
            .lines()
            .last()
            .unwrap()
            .contains("did not answer in time"),
        "{}",
        late.err
    );
    assert_eq!(status_file(&world)["state"], "timed-out");
}

#[test]
fn a_program_that_is_killed_takes_its_request_back_and_others_do_not_share_it() {
    let world = World::new();
    fs::write(world.path("digest"), [8; 32]).unwrap();
    let key = uri("release");
    let words = [&["openssl"], &SIGN[..], &["-inkey", &key]].concat();
    let configuration = world.waiting(Waits::AtSign, 1);
    let start = || {
        let mut command = world.program(&configuration, &words);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let waiting = || {
        let leases = world.leases("waiting");
        (!leases.is_empty()).then_some(leases)
    };
    // Two processes that want the same share one request, which lives as long as one of them.
    let (first, second) = (start(), start());
    let leases = until("a request", waiting);
    let both = until("both wait", || {
        let status = fs::read_dir(world.path("run/chancery/pkcs11")).ok()?.count();
        (status > 0).then_some(status)
    });
    assert_eq!(both, 1);
    kill(&first, Signal::TERM);
    let ended = first.wait_with_output().unwrap();
    assert_eq!(
        ended.status.signal(),
        Some(15),
        "the program's own handling of signals is left alone"
    );
    assert_eq!(world.leases("waiting"), leases);
    kill(&second, Signal::KILL);
    second.wait_with_output().unwrap();
    until("the request is withdrawn", || {
        world.leases("waiting").is_empty().then_some(())
    });
    let (_, lease) = world.home.json(&["lease", "show", &leases[0]]);
    assert_eq!(lease["state"], "withdrawn", "{lease}");
    assert_eq!(lease["because"], "its requester is gone", "{lease}");
}

/// A program that logs in in one thread, and ends the module in another when it is told to.
const LOGS_IN: &str = r#"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
typedef unsigned long ck;
static ck session;
static ck (*login)(ck, ck, unsigned char *, ck);
static void *logs_in(void *nothing) {
    printf("login %lx\n", login(session, 1, 0, 0));
    fflush(stdout);
    return nothing;
}
int main(int count, char **words) {
    void *module = dlopen(words[1], RTLD_NOW);
    struct { void *mutexes[4]; ck flags; void *reserved; } locking;
    memset(&locking, 0, sizeof locking);
    locking.flags = 2;
    ck (*initialize)(void *) = dlsym(module, "C_Initialize");
    ck (*finalize)(void *) = dlsym(module, "C_Finalize");
    ck (*slots)(unsigned char, ck *, ck *) = dlsym(module, "C_GetSlotList");
    ck (*open)(ck, ck, void *, void *, ck *) = dlsym(module, "C_OpenSession");
    login = dlsym(module, "C_Login");
    ck list[16], length = 16;
    if (initialize(&locking) || slots(1, list, &length) || !length || open(list[0], 4, 0, 0, &session)) return 9;
    pthread_t thread;
    pthread_create(&thread, 0, logs_in, 0);
    getchar();
    finalize(0);
    pthread_join(thread, 0);
    return 0;
}
"#;

#[test]
fn a_program_that_ends_the_module_leaves_the_request_to_others_who_wait_for_it() {
    let world = World::new();
    fs::write(world.path("login.c"), LOGS_IN).unwrap();
    let made = Command::new("cc")
        .current_dir(world.home.dir.path())
        .args(["-o", "login", "login.c", "-ldl", "-lpthread"])
        .status();
    assert!(made.unwrap().success());
    let (program, module) = (world.path("login"), module());
    let words = [program.to_str().unwrap(), module.to_str().unwrap()];
    let configuration = world.waiting(Waits::AtLogin, 3);
    let waiting = || world.leases("waiting");
    let start = |name: &str| {
        let mut command = world.program(&configuration, &words);
        let err = world.path(name);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(fs::File::create(&err).unwrap());
        let started = command.spawn().unwrap();
        until("it waits", || {
            let said = fs::read_to_string(&err).unwrap();
            said.contains("waiting for custodians").then_some(())
        });
        started
    };
    let (mut maker, mut finder) = (start("maker"), start("finder"));
    let leases = waiting();
    assert_eq!(leases.len(), 1);
    // Whoever made it ends, then somebody else who found it.
    maker.stdin.take();
    let ended = maker.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "login 190\n");
    assert_eq!(waiting(), leases);
    let mut another = start("another");
    another.stdin.take();
    another.wait_with_output().unwrap();
    assert_eq!(waiting(), leases);
    for who in ["alice", "bob"] {
        world.home.run(&["approve", &leases[0], "--as", who]).ok();
    }
    let mut line = String::new();
    BufReader::new(finder.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "login 0\n");
    finder.stdin.take();
    finder.wait().unwrap();
}

#[test]
fn a_node_that_is_away_a_client_that_is_not_enrolled_and_a_strange_node_are_told() {
    let world = World::new();
    let module = module().display().to_string();
    let list = ["pkcs11-tool", "--module", &module, "-L"];
    let good = world.waiting(Waits::AtSign, 1);
    let text = fs::read_to_string(&good).unwrap();

    world.home.run(&["client", "key", "--out", "other.key"]).ok();
    fs::write(world.path("other.toml"), text.replace("build.key", "other.key")).unwrap();
    let stranger = world.run(&world.path("other.toml"), &list);
    assert!(
        stranger.err.contains("does not accept this client"),
        "{}",
        stranger.err
    );

    let own = world.path("build.key.crt").display().to_string();
    let node = world.home.data().join("network/node.pem").display().to_string();
    fs::write(world.path("pinned.toml"), text.replace(&node, &own)).unwrap();
    let strange = world.run(&world.path("pinned.toml"), &list);
    assert!(
        strange.err.contains("is not the node that is trusted"),
        "{}",
        strange.err
    );

    fs::write(
        world.path("missing.toml"),
        format!("{text}signers = [\"nobody\"]\n"),
    )
    .unwrap();
    let missing = world.run(&world.path("missing.toml"), &list);
    assert!(missing.err.contains("has no signer nobody"), "{}", missing.err);

    world.home.run(&["stop"]).ok();
    let away = world.run(&good, &list);
    assert!(away.err.contains("cannot be reached"), "{}", away.err);
}

fn kill(process: &std::process::Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The one status file of the slot that was used.
fn status_file(world: &World) -> Value {
    let folder = world.path("run/chancery/pkcs11");
    let files: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    assert_eq!(files.len(), 1, "one slot was used");
    serde_json::from_slice(&fs::read(files[0].path()).unwrap()).unwrap()
}
