//! The module in programs: what it exports and links, forks, threads and exit handlers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    process::{Command, Output},
    ptr::null_mut,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use chancery_pkcs11 as module;
use cryptoki_sys as ck;
use support::{Module, Served, c, mechanism, shared_object};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn atexit(handler: extern "C" fn()) -> i32;
}

/// Names the part a child process plays.
const PART: &str = "CHANCERY_TEST_PART";

/// Plays a test of this program in a child process.
fn play(test: &str, served: &Served) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PART, test)
        .env("CHANCERY_PKCS11_CONFIG", served.config())
        .env("XDG_CACHE_HOME", served.dir.path().join("cache"))
        .output()
        .unwrap()
}

fn is_part(test: &str) -> bool {
    std::env::var(PART).is_ok_and(|part| part == test)
}

#[test]
fn only_the_standards_symbols_are_exported() {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(shared_object())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names.len(), 104, "{names:?}");
    for name in names {
        assert!(name.starts_with("C_"), "{name}");
    }
}

#[test]
fn no_openssl_is_linked_and_the_library_stays_loaded() {
    let output = Command::new("readelf")
        .arg("--dynamic")
        .arg(shared_object())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("libc.so"), "{text}");
    for foreign in ["libssl", "libcrypto", "libpcsclite", "libsqlite"] {
        assert!(!text.contains(foreign), "{text}");
    }
    assert!(text.contains("NODELETE"), "{text}");
}

#[test]
fn it_can_be_loaded_unloaded_and_loaded_again() {
    for _ in 0..2 {
        // SAFETY: the library runs no code when it is loaded.
        let library = unsafe { libloading::Library::new(shared_object()) }.unwrap();
        type GetFunctionList = unsafe extern "C" fn(*mut *mut ck::CK_FUNCTION_LIST) -> ck::CK_RV;
        // SAFETY: the standard says what the type is.
        let function = unsafe { library.get::<GetFunctionList>(b"C_GetFunctionList") }.unwrap();
        let mut list = null_mut();
        // SAFETY: there is room for one pointer.
        assert_eq!(unsafe { function(&mut list) }, ck::CKR_OK);
        assert!(!list.is_null());
    }
}

#[test]
fn a_forked_child_starts_with_nothing_and_leaves_its_parent_alone() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (_, key) = module.generate(session, false);
    // SAFETY: the child calls the module and _exit, nothing else.
    let child = unsafe { fork() };
    if child == 0 {
        let code = in_child(list, session);
        // SAFETY: ends the child without running what its parent registered.
        unsafe { _exit(code) };
    }
    let mut status = 0;
    // SAFETY: there is room for the status.
    assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "what the child saw: {}", status >> 8);
    // The parent goes on where it was.
    let mut ecdsa = mechanism(ck::CKM_ECDSA_SHA256);
    assert_eq!(c!(list, C_SignInit(session, &mut ecdsa, key)), ck::CKR_OK);
    let (mut data, mut signature, mut room) = ([1], [0; 64], 64);
    assert_eq!(
        c!(
            list,
            C_Sign(session, data.as_mut_ptr(), 1, signature.as_mut_ptr(), &mut room)
        ),
        ck::CKR_OK
    );
}

/// 0 when everything is as it should be, else the number of the step.
fn in_child(list: &ck::CK_FUNCTION_LIST_3_2, session: u64) -> i32 {
    let mut info = ck::CK_SESSION_INFO::default();
    if c!(list, C_GetSessionInfo(session, &mut info)) != ck::CKR_CRYPTOKI_NOT_INITIALIZED {
        return 1;
    }
    if c!(list, C_Finalize(null_mut())) != ck::CKR_CRYPTOKI_NOT_INITIALIZED {
        return 2;
    }
    if c!(list, C_Initialize(null_mut())) != ck::CKR_OK {
        return 3;
    }
    let mut count = 0;
    if c!(list, C_GetSlotList(1, null_mut(), &mut count)) != ck::CKR_OK || count != 1 {
        return 4;
    }
    if c!(list, C_GetSessionInfo(session, &mut info)) != ck::CKR_SESSION_HANDLE_INVALID {
        return 5;
    }
    if c!(list, C_Finalize(null_mut())) != ck::CKR_OK {
        return 6;
    }
    0
}

#[test]
fn threads_share_a_login_and_none_is_lost() {
    let module = Module::new();
    let list = module.list;
    let first = module.session();
    assert_eq!(module.login(first), ck::CKR_OK);
    let (_, key) = module.generate(first, false);
    let signed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let session = module.session();
                for number in 0..20_u8 {
                    let mut ecdsa = mechanism(ck::CKM_ECDSA_SHA256);
                    assert_eq!(c!(list, C_SignInit(session, &mut ecdsa, key)), ck::CKR_OK);
                    let (mut data, mut signature, mut room) = ([number], [0; 64], 64);
                    assert_eq!(
                        c!(
                            list,
                            C_Sign(session, data.as_mut_ptr(), 1, signature.as_mut_ptr(), &mut room)
                        ),
                        ck::CKR_OK
                    );
                    signed.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(c!(list, C_CloseSession(session)), ck::CKR_OK);
            });
        }
    });
    assert_eq!(signed.load(Ordering::Relaxed), 160);
}

/// Set by the exit handler.
static CLOSED: AtomicU64 = AtomicU64::new(0);

extern "C" fn close_all() {
    let list = module::function_list();
    let sessions = c!(list, C_CloseAllSessions(0));
    let end = c!(list, C_Finalize(null_mut()));
    // The harness's output is not for exit handlers; the exit code is.
    let fine = sessions == ck::CKR_OK && end == ck::CKR_OK;
    CLOSED.store(u64::from(fine), Ordering::SeqCst);
    // SAFETY: ends the process.
    unsafe { _exit(if fine { 17 } else { 18 }) };
}

#[test]
fn exit_handlers_close_everything_while_a_thread_is_at_work() {
    let name = "exit_handlers_close_everything_while_a_thread_is_at_work";
    if is_part(name) {
        exit_at_work();
    }
    let served = Served::new();
    let began = Instant::now();
    let output = play(name, &served);
    assert_eq!(output.status.code(), Some(17), "{output:?}");
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Ends the process in the middle of generating a key.
fn exit_at_work() -> ! {
    let list = module::function_list_3_2();
    assert_eq!(c!(list, C_Initialize(null_mut())), ck::CKR_OK);
    let mut count = 0;
    assert_eq!(c!(list, C_GetSlotList(1, null_mut(), &mut count)), ck::CKR_OK);
    let mut session = 0;
    let flags = ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION;
    assert_eq!(
        c!(list, C_OpenSession(0, flags, null_mut(), None, &mut session)),
        ck::CKR_OK
    );
    let mut pin = support::PIN.to_vec();
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_USER, pin.as_mut_ptr(), 6)),
        ck::CKR_OK
    );
    // SAFETY: the handler has the type of one.
    assert_eq!(unsafe { atexit(close_all) }, 0);
    let (started, has_started) = std::sync::mpsc::channel();
    thread::spawn(move || {
        started.send(()).unwrap();
        let mut random = vec![0; 1024];
        while c!(list, C_GenerateRandom(session, random.as_mut_ptr(), 1024)) == ck::CKR_OK {}
    });
    has_started.recv().unwrap();
    std::process::exit(1);
}

#[test]
fn a_program_that_forgets_to_finalise_ends_well() {
    let name = "a_program_that_forgets_to_finalise_ends_well";
    if is_part(name) {
        let list = module::function_list();
        assert_eq!(c!(list, C_Initialize(null_mut())), ck::CKR_OK);
        let mut count = 0;
        assert_eq!(c!(list, C_GetSlotList(1, null_mut(), &mut count)), ck::CKR_OK);
        assert_eq!(count, 1);
        std::process::exit(0);
    }
    let served = Served::new();
    for _ in 0..2 {
        let output = play(name, &served);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}
