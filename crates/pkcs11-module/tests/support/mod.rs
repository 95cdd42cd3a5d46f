//! A virtual token behind a socket, and the module at work on it.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    fs,
    path::PathBuf,
    ptr::null_mut,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use chancery_iso7816::{Transport, TransportError};
use chancery_pkcs11 as module;
use chancery_reader::{
    Stop, WithAtr,
    socket::{Offer, SocketReader},
};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use cryptoki_sys as ck;
use tempfile::TempDir;
use time::macros::date;
use zeroize::Zeroizing;

pub(crate) const PIN: &[u8] = b"648219";
/// INITIALIZE: PIN 648219, SO-PIN 3537363231383830, three tries, one key domain of its own.
const INITIALISE: &[u8] =
    b"\x80\x50\x00\x00\x1C\x80\x02\x00\x01\x81\x06648219\x82\x08\x35\x37\x36\x32\x31\x38\x38\x30\x91\x01\x03\x92\x01\x00";

/// Calls a function of a list.
macro_rules! c {
    ($list:expr, $name:ident($($argument:expr),* $(,)?)) => {{
        let function = $list.$name.expect("every function is in the list");
        #[allow(clippy::macro_metavars_in_unsafe, reason = "arguments are plain values")]
        // SAFETY: pointers are null or to values of the test that outlive the call.
        unsafe {
            function($($argument),*)
        }
    }};
}
pub(crate) use c;

/// A token that, when it is told to, answers signatures with far too many bytes.
struct Liar {
    token: VirtualToken,
    lies: Arc<AtomicBool>,
}

impl Transport for Liar {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.token.transmit(command)?;
        if command.get(1) == Some(&0x68) && self.lies.load(Ordering::Acquire) {
            let mut long = vec![0xA5; 600];
            long.extend_from_slice(&[0x90, 0x00]);
            return Ok(Zeroizing::new(long));
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

/// A token that is served on a socket, and a configuration that names it.
pub(crate) struct Served {
    pub(crate) dir: TempDir,
    /// Has the token lie about signatures.
    pub(crate) lies: Arc<AtomicBool>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let day = date!(2026 - 11 - 21);
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, day).unwrap();
        let name = TokenName::new("one").unwrap();
        factory.create(&dir.path().join("tokens"), &name, day).unwrap();
        let mut token = VirtualToken::open(&dir.path().join("tokens/one"), &at_rest).unwrap();
        let select = b"\x00\xA4\x04\x0C\x0B\xE8\x2B\x06\x01\x04\x01\x81\xC3\x1F\x02\x01";
        for command in [&select[..], INITIALISE] {
            assert_eq!(token.transmit(command).unwrap()[..], [0x90, 0x00]);
        }
        token.reset().unwrap();
        let atr = token.atr().to_vec();
        let socket = dir.path().join("r/one.sock");
        let reader = SocketReader::bind(&socket).unwrap();
        let lies = Arc::new(AtomicBool::new(false));
        let token = Liar {
            token,
            lies: Arc::clone(&lies),
        };
        let stop = Stop::new();
        let ending = stop.clone();
        let thread = thread::spawn(move || {
            let offer = Offer::Token(WithAtr::new(token, atr));
            reader.serve("one", offer, &ending).unwrap();
        });
        let config = format!(
            "[tokens]\nreaders = \"none\"\nsockets = [{:?}]\nwait_seconds = 20\n[notices]\nquiet = true\n",
            socket.display().to_string()
        );
        fs::write(dir.path().join("config.toml"), config).unwrap();
        Self {
            dir,
            lies,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

static ALONE: Mutex<()> = Mutex::new(());

/// The module in this process, initialised, with the token in slot 0. One test at a time.
pub(crate) struct Module {
    pub(crate) list: &'static ck::CK_FUNCTION_LIST_3_2,
    pub(crate) served: Served,
    _alone: MutexGuard<'static, ()>,
}

impl Module {
    pub(crate) fn new() -> Self {
        let module = Self::not_initialised();
        assert_eq!(c!(module.list, C_Initialize(null_mut())), ck::CKR_OK);
        let mut count = 0;
        assert_eq!(
            c!(module.list, C_GetSlotList(1, null_mut(), &mut count)),
            ck::CKR_OK
        );
        assert_eq!(count, 1);
        module
    }

    pub(crate) fn not_initialised() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let served = Served::new();
        // SAFETY: tests that read or write the environment hold the lock.
        unsafe {
            std::env::set_var("CHANCERY_PKCS11_CONFIG", served.config());
            std::env::set_var("XDG_CACHE_HOME", served.dir.path().join("cache"));
        }
        Self {
            list: module::function_list_3_2(),
            served,
            _alone: alone,
        }
    }

    /// A session that may write.
    pub(crate) fn session(&self) -> ck::CK_SESSION_HANDLE {
        let mut session = 0;
        let flags = ck::CKF_SERIAL_SESSION | ck::CKF_RW_SESSION;
        assert_eq!(
            c!(self.list, C_OpenSession(0, flags, null_mut(), None, &mut session)),
            ck::CKR_OK
        );
        session
    }

    pub(crate) fn login(&self, session: ck::CK_SESSION_HANDLE) -> ck::CK_RV {
        let mut pin = PIN.to_vec();
        c!(self.list, C_Login(session, ck::CKU_USER, pin.as_mut_ptr(), 6))
    }

    /// A key pair: public, private.
    pub(crate) fn generate(&self, session: ck::CK_SESSION_HANDLE, rsa: bool) -> (u64, u64) {
        let mut kind = mechanism(if rsa {
            ck::CKM_RSA_PKCS_KEY_PAIR_GEN
        } else {
            ck::CKM_EC_KEY_PAIR_GEN
        });
        let mut bits = 2048_u64.to_ne_bytes().to_vec();
        let mut curve = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07".to_vec();
        let mut public = if rsa {
            [attribute(ck::CKA_MODULUS_BITS, &mut bits)]
        } else {
            [attribute(ck::CKA_EC_PARAMS, &mut curve)]
        };
        let mut label = b"key".to_vec();
        let mut private = [attribute(ck::CKA_LABEL, &mut label)];
        let (mut a, mut b) = (0, 0);
        let answer = c!(
            self.list,
            C_GenerateKeyPair(
                session,
                &mut kind,
                public.as_mut_ptr(),
                1,
                private.as_mut_ptr(),
                1,
                &mut a,
                &mut b
            )
        );
        assert_eq!(answer, ck::CKR_OK);
        (a, b)
    }

    /// Bytes of an attribute.
    pub(crate) fn read(
        &self,
        session: u64,
        object: u64,
        kind: ck::CK_ATTRIBUTE_TYPE,
    ) -> Result<Vec<u8>, ck::CK_RV> {
        let mut wanted = ck::CK_ATTRIBUTE {
            type_: kind,
            pValue: null_mut(),
            ulValueLen: 0,
        };
        match c!(self.list, C_GetAttributeValue(session, object, &mut wanted, 1)) {
            ck::CKR_OK => {}
            other => return Err(other),
        }
        let length = usize::try_from(wanted.ulValueLen).map_err(|_| ck::CKR_GENERAL_ERROR)?;
        let mut value = vec![0; length];
        wanted.pValue = value.as_mut_ptr().cast();
        match c!(self.list, C_GetAttributeValue(session, object, &mut wanted, 1)) {
            ck::CKR_OK => Ok(value),
            other => Err(other),
        }
    }

    /// Objects of a class.
    pub(crate) fn find(&self, session: u64, class: ck::CK_OBJECT_CLASS) -> Vec<u64> {
        let mut class = class.to_ne_bytes().to_vec();
        let mut template = [attribute(ck::CKA_CLASS, &mut class)];
        assert_eq!(
            c!(self.list, C_FindObjectsInit(session, template.as_mut_ptr(), 1)),
            ck::CKR_OK
        );
        let (mut found, mut count) = ([0; 16], 0);
        assert_eq!(
            c!(
                self.list,
                C_FindObjects(session, found.as_mut_ptr(), 16, &mut count)
            ),
            ck::CKR_OK
        );
        assert_eq!(c!(self.list, C_FindObjectsFinal(session)), ck::CKR_OK);
        found[..usize::try_from(count).unwrap()].to_vec()
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = c!(self.list, C_Finalize(null_mut()));
    }
}

pub(crate) fn mechanism(kind: ck::CK_MECHANISM_TYPE) -> ck::CK_MECHANISM {
    ck::CK_MECHANISM {
        mechanism: kind,
        pParameter: null_mut(),
        ulParameterLen: 0,
    }
}

pub(crate) fn attribute(kind: ck::CK_ATTRIBUTE_TYPE, value: &mut [u8]) -> ck::CK_ATTRIBUTE {
    ck::CK_ATTRIBUTE {
        type_: kind,
        pValue: value.as_mut_ptr().cast(),
        ulValueLen: u64::try_from(value.len()).unwrap(),
    }
}

/// The library as programs load it, built with the tests.
pub(crate) fn shared_object() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.with_file_name("libchancery_pkcs11.so");
    assert!(path.exists(), "{} is built with the tests", path.display());
    path
}
