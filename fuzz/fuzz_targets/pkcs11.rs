//! A sequence of calls of the C functions of the PKCS#11 module, as a careless program makes them: nulls, wrong handles, wrong
//! order, small buffers, templates and mechanisms of any content. Never a panic, nothing written past a buffer; the answer is
//! never `CKR_GENERAL_ERROR`.
//!
//! Input: each call is a byte that chooses the function and bytes for its arguments.
#![no_main]

use std::{ffi::c_void, ptr::null_mut, sync::Arc};

use chancery_pkcs11::{function_list_3_2, initialise_with};
use chancery_pkcs11_library::{
    Attributes, Code, Decipher, KeyKind, Library, Manage, Object, ObjectId, Offer, Pin, Result, SignInput,
    Slot, SlotDescription, Source, Template, TokenDescription, User, Wanted, notice::Notices,
};
use cryptoki_sys as ck;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

fuzz_target!(|bytes: &[u8]| {
    let list = function_list_3_2();
    let library = Library::new(vec![Box::new(Only(Arc::new(Fake)))], Notices::new(true));
    assert_eq!(initialise_with(library), ck::CKR_OK);
    let mut program = Program { rest: bytes };
    for _ in 0..MOST_CALLS {
        let Some(function) = program.byte() else { break };
        let answer = program.call(list, function);
        assert_ne!(answer, ck::CKR_GENERAL_ERROR, "function {function}");
    }
    // SAFETY: null is what the standard wants here.
    let answer = unsafe { list.C_Finalize.unwrap()(null_mut()) };
    assert!(answer == ck::CKR_OK || answer == ck::CKR_CRYPTOKI_NOT_INITIALIZED);
});

/// More than the longest story of a program.
const MOST_CALLS: usize = 64;
/// What buffers end with; it must stay.
const CANARY: [u8; 8] = *b"untouch!";

struct Program<'a> {
    rest: &'a [u8],
}

/// Bytes for a call, or a null pointer.
struct Buffer(Vec<u8>, bool);

impl Buffer {
    fn pointer(&mut self) -> *mut u8 {
        if self.1 { null_mut() } else { self.0.as_mut_ptr() }
    }

    fn len(&self) -> u64 {
        if self.1 {
            0
        } else {
            (self.0.len() - CANARY.len()) as u64
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        assert!(
            self.0.ends_with(&CANARY),
            "something was written past the end of a buffer"
        );
    }
}

impl Program<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or_default()
    }

    fn buffer(&mut self) -> Buffer {
        let length = self.number();
        let null = length == u8::MAX;
        let length = usize::from(length);
        let (some, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        let mut bytes = some.to_vec();
        bytes.resize(length, 0xA5);
        bytes.extend_from_slice(&CANARY);
        Buffer(bytes, null)
    }

    /// Kinds that matter and others, values of the right length and others.
    fn template(&mut self) -> (Vec<Buffer>, Vec<ck::CK_ATTRIBUTE>) {
        let count = self.number() % 6;
        let mut values = Vec::new();
        let mut template = Vec::new();
        for _ in 0..count {
            let kind = self.number();
            let number = u64::from(self.number()).to_ne_bytes();
            let mut value = match kind & 0xC0 {
                0x00 => Buffer([&number[..], &CANARY].concat(), false),
                0x40 => Buffer([&[number[0] & 1][..], &CANARY].concat(), false),
                _ => self.buffer(),
            };
            template.push(ck::CK_ATTRIBUTE {
                type_: KINDS[usize::from(kind & 0x3F) % KINDS.len()],
                pValue: value.pointer().cast(),
                ulValueLen: value.len(),
            });
            values.push(value);
        }
        (values, template)
    }

    fn mechanism(&mut self, run: impl FnOnce(&mut Self, *mut ck::CK_MECHANISM) -> ck::CK_RV) -> ck::CK_RV {
        let kind = MECHANISMS[usize::from(self.number()) % MECHANISMS.len()];
        let (hash, mask) = (u64::from(self.number()) | 0x200, u64::from(self.number() % 7));
        let mut bytes = self.buffer();
        let mut oaep = ck::CK_RSA_PKCS_OAEP_PARAMS {
            hashAlg: hash,
            mgf: mask,
            source: 1,
            pSourceData: bytes.pointer().cast(),
            ulSourceDataLen: bytes.len(),
        };
        let mut pss = ck::CK_RSA_PKCS_PSS_PARAMS {
            hashAlg: hash,
            mgf: mask,
            sLen: u64::from(self.number()),
        };
        let mut ecdh = ck::CK_ECDH1_DERIVE_PARAMS {
            kdf: mask,
            ulSharedDataLen: 0,
            pSharedData: null_mut(),
            ulPublicDataLen: bytes.len(),
            pPublicData: bytes.pointer(),
        };
        // Whoever gives a structure with pointers gives the one that goes with the mechanism: others would point anywhere.
        let (parameter, length): (*mut c_void, usize) = match (self.number() % 3, kind) {
            (0, _) => (null_mut(), 0),
            (1, ck::CKM_RSA_PKCS_OAEP) => ((&raw mut oaep).cast(), size_of_val(&oaep)),
            (1, ck::CKM_ECDH1_DERIVE) => ((&raw mut ecdh).cast(), size_of_val(&ecdh)),
            (1, _) => ((&raw mut pss).cast(), size_of_val(&pss)),
            _ => {
                let length = bytes.len() as usize;
                let is_structure = length == size_of_val(&oaep) || length == size_of_val(&ecdh);
                (bytes.pointer().cast(), length - usize::from(is_structure))
            }
        };
        let mut mechanism = ck::CK_MECHANISM {
            mechanism: kind,
            pParameter: parameter,
            ulParameterLen: length as u64,
        };
        run(self, &raw mut mechanism)
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each function")]
    fn call(&mut self, list: &ck::CK_FUNCTION_LIST_3_2, function: u8) -> ck::CK_RV {
        // Handles are small numbers, and so are these.
        let session = u64::from(self.number() % 24);
        let object = u64::from(self.number() % 24);
        let mut data = self.buffer();
        let mut out = self.buffer();
        // The room a caller names is never more than it has.
        let mut room = out.len().saturating_sub(u64::from(self.number() % 3) * 100);
        let (mut one, mut two) = (0, 0);
        // SAFETY: pointers are null, or to buffers of the lengths that go with them, which outlive the call.
        unsafe {
            match function % 32 {
                0 => list.C_OpenSession.unwrap()(
                    object % 3,
                    ck::CKF_SERIAL_SESSION | (room & 2),
                    null_mut(),
                    None,
                    &mut one,
                ),
                1 => list.C_CloseSession.unwrap()(session),
                2 => list.C_CloseAllSessions.unwrap()(object % 3),
                3 => list.C_Login.unwrap()(session, object % 4, data.pointer(), data.len()),
                4 => list.C_Logout.unwrap()(session),
                5 => list.C_Sign.unwrap()(session, data.pointer(), data.len(), out.pointer(), &mut room),
                6 => list.C_SignUpdate.unwrap()(session, data.pointer(), data.len()),
                7 => list.C_SignFinal.unwrap()(session, out.pointer(), &mut room),
                8 => list.C_Decrypt.unwrap()(session, data.pointer(), data.len(), out.pointer(), &mut room),
                9 => list.C_DecryptUpdate.unwrap()(
                    session,
                    data.pointer(),
                    data.len(),
                    out.pointer(),
                    &mut room,
                ),
                10 => list.C_DecryptFinal.unwrap()(session, out.pointer(), &mut room),
                11 => list.C_FindObjectsFinal.unwrap()(session),
                12 => {
                    let (_values, mut template) = self.template();
                    list.C_FindObjectsInit.unwrap()(session, template.as_mut_ptr(), template.len() as u64)
                }
                13 => {
                    let mut found = [0; 8];
                    list.C_FindObjects.unwrap()(session, found.as_mut_ptr(), room % 9, &mut one)
                }
                14 => {
                    let (_values, mut template) = self.template();
                    list.C_GetAttributeValue.unwrap()(
                        session,
                        object,
                        template.as_mut_ptr(),
                        template.len() as u64,
                    )
                }
                15 => {
                    let (_values, mut template) = self.template();
                    list.C_SetAttributeValue.unwrap()(
                        session,
                        object,
                        template.as_mut_ptr(),
                        template.len() as u64,
                    )
                }
                16 => {
                    let (_values, mut template) = self.template();
                    list.C_CreateObject.unwrap()(
                        session,
                        template.as_mut_ptr(),
                        template.len() as u64,
                        &mut one,
                    )
                }
                17 => list.C_DestroyObject.unwrap()(session, object),
                18 => list.C_GetObjectSize.unwrap()(session, object, &mut one),
                19 => self.mechanism(|_, mechanism| list.C_SignInit.unwrap()(session, mechanism, object)),
                20 => self.mechanism(|_, mechanism| list.C_DecryptInit.unwrap()(session, mechanism, object)),
                21 => self.mechanism(|program, mechanism| {
                    let (_values, mut template) = program.template();
                    let count = template.len() as u64;
                    list.C_DeriveKey.unwrap()(
                        session,
                        mechanism,
                        object,
                        template.as_mut_ptr(),
                        count,
                        &mut one,
                    )
                }),
                22 => self.mechanism(|program, mechanism| {
                    let (_values, mut public) = program.template();
                    let (_more, mut private) = program.template();
                    list.C_GenerateKeyPair.unwrap()(
                        session,
                        mechanism,
                        public.as_mut_ptr(),
                        public.len() as u64,
                        private.as_mut_ptr(),
                        private.len() as u64,
                        &mut one,
                        &mut two,
                    )
                }),
                23 => list.C_GenerateRandom.unwrap()(session, out.pointer(), out.len()),
                24 => list.C_SeedRandom.unwrap()(session, data.pointer(), data.len()),
                25 => list.C_SetPIN.unwrap()(session, data.pointer(), data.len(), out.pointer(), out.len()),
                26 => list.C_InitPIN.unwrap()(session, data.pointer(), data.len()),
                27 => list.C_SessionCancel.unwrap()(session, room),
                28 => list.C_GetSlotList.unwrap()(1, null_mut(), &mut one),
                29 => {
                    let mut info = ck::CK_TOKEN_INFO::default();
                    list.C_GetTokenInfo.unwrap()(object % 3, &mut info)
                }
                30 => list.C_LoginUser.unwrap()(
                    session,
                    1,
                    data.pointer(),
                    data.len(),
                    out.pointer(),
                    out.len(),
                ),
                _ => {
                    let mut info = ck::CK_SESSION_INFO::default();
                    list.C_GetSessionInfo.unwrap()(session, &mut info)
                }
            }
        }
    }
}

const KINDS: [ck::CK_ATTRIBUTE_TYPE; 16] = [
    ck::CKA_CLASS,
    ck::CKA_TOKEN,
    ck::CKA_PRIVATE,
    ck::CKA_LABEL,
    ck::CKA_ID,
    ck::CKA_KEY_TYPE,
    ck::CKA_VALUE,
    ck::CKA_VALUE_LEN,
    ck::CKA_MODULUS,
    ck::CKA_MODULUS_BITS,
    ck::CKA_EC_PARAMS,
    ck::CKA_EC_POINT,
    ck::CKA_SENSITIVE,
    ck::CKA_EXTRACTABLE,
    ck::CKA_MODIFIABLE,
    ck::CKA_PRIVATE_EXPONENT,
];

const MECHANISMS: [ck::CK_MECHANISM_TYPE; 12] = [
    ck::CKM_RSA_PKCS,
    ck::CKM_RSA_X_509,
    ck::CKM_SHA256_RSA_PKCS,
    ck::CKM_RSA_PKCS_PSS,
    ck::CKM_SHA384_RSA_PKCS_PSS,
    ck::CKM_RSA_PKCS_OAEP,
    ck::CKM_ECDSA,
    ck::CKM_ECDSA_SHA1,
    ck::CKM_ECDH1_DERIVE,
    ck::CKM_RSA_PKCS_KEY_PAIR_GEN,
    ck::CKM_EC_KEY_PAIR_GEN,
    ck::CKM_MD5,
];

/// A slot with an RSA key, an EC key and nothing behind them.
struct Fake;

struct Only(Arc<dyn Slot>);

impl Source for Only {
    fn slots(&self) -> Vec<Arc<dyn Slot>> {
        vec![Arc::clone(&self.0)]
    }
}

impl Slot for Fake {
    fn description(&self) -> SlotDescription {
        SlotDescription {
            description: "fake".to_owned(),
            manufacturer: String::new(),
            removable: false,
            hardware: false,
        }
    }

    fn is_present(&self) -> bool {
        true
    }

    fn token(&self) -> Result<TokenDescription> {
        Ok(TokenDescription {
            label: "fake".repeat(20),
            manufacturer: String::new(),
            model: String::new(),
            serial: "1".to_owned(),
            flags: 0,
            pin_length: (0, 8),
            firmware: (1, 0),
        })
    }

    fn mechanisms(&self) -> Vec<Offer> {
        let flags = ck::CKF_SIGN | ck::CKF_DECRYPT | ck::CKF_DERIVE | ck::CKF_GENERATE_KEY_PAIR;
        let offered = MECHANISMS.into_iter().filter(|kind| *kind != ck::CKM_MD5);
        offered
            .map(|kind| Offer {
                kind,
                least: 256,
                most: 4096,
                flags,
            })
            .collect()
    }

    fn login(&self, _: User, pin: Option<&Pin>, _: Option<ObjectId>) -> Result<()> {
        match pin {
            Some(pin) if pin.secret_bytes().len() > 16 => Err(Code::PIN_INCORRECT.because("too long")),
            _ => Ok(()),
        }
    }

    fn logout(&self) {}

    fn objects(&self, wanted: &Wanted) -> Result<Vec<Arc<Object>>> {
        let key = |id: u64, kind, bits| {
            let attributes = Attributes::new()
                .number(
                    ck::CKA_CLASS,
                    if id < 2 {
                        ck::CKO_PRIVATE_KEY
                    } else {
                        ck::CKO_PUBLIC_KEY
                    },
                )
                .number(ck::CKA_KEY_TYPE, kind)
                .flag(ck::CKA_TOKEN, true)
                .flag(ck::CKA_PRIVATE, id < 2)
                .flag(ck::CKA_SIGN, true)
                .flag(ck::CKA_DECRYPT, true)
                .flag(ck::CKA_DERIVE, true)
                .flag(ck::CKA_ALWAYS_AUTHENTICATE, id == 1)
                .sensitive(ck::CKA_PRIVATE_EXPONENT);
            Arc::new(Object {
                id: ObjectId(id),
                attributes,
                key_bits: bits,
            })
        };
        let all = [
            key(0, ck::CKK_RSA, 1024),
            key(1, ck::CKK_EC, 256),
            key(2, ck::CKK_RSA, 1024),
        ];
        Ok(all
            .into_iter()
            .filter(|object| wanted.private || !object.is_private())
            .collect())
    }

    fn sign(&self, key: ObjectId, _: &SignInput<'_>) -> Result<Vec<u8>> {
        Ok(vec![1; if key.0 == 1 { 64 } else { 128 }])
    }

    fn random(&self, out: &mut [u8]) -> Result<()> {
        out.fill(4);
        Ok(())
    }

    fn decipher(&self) -> Option<&dyn Decipher> {
        Some(self)
    }

    fn manage(&self) -> Option<&dyn Manage> {
        Some(self)
    }

    fn close(&self) {}
}

impl Decipher for Fake {
    fn decrypt_raw(&self, _: ObjectId, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(cryptogram.to_vec()))
    }

    fn agree(&self, _: ObjectId, _: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(vec![7; 32]))
    }
}

impl Manage for Fake {
    fn generate(&self, _: KeyKind<'_>, _: &Template, _: &Template) -> Result<(ObjectId, ObjectId)> {
        Ok((ObjectId(2), ObjectId(0)))
    }

    fn create(&self, _: &Template) -> Result<ObjectId> {
        Ok(ObjectId(2))
    }

    fn destroy(&self, _: ObjectId) -> Result<()> {
        Ok(())
    }

    fn change(&self, _: ObjectId, _: &Template) -> Result<()> {
        Ok(())
    }

    fn set_pin(&self, _: User, _: &Pin, _: &Pin) -> Result<()> {
        Err(Code::USER_NOT_LOGGED_IN.into())
    }

    fn init_pin(&self, _: &Pin) -> Result<()> {
        Ok(())
    }
}
