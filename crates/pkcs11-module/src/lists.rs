//! The lists of functions that programs ask for.

use cryptoki_sys as ck;

use crate::functions::{crypto, general, object, session, slot, unsupported};

/// The name of the standard's interface, with its final zero.
pub(crate) const NAME: &[u8] = b"PKCS 11\0";

/// What `C_GetFunctionList` gives.
pub(crate) const VERSION_2_40: ck::CK_VERSION = ck::CK_VERSION { major: 2, minor: 40 };
const VERSION_3_0: ck::CK_VERSION = ck::CK_VERSION { major: 3, minor: 0 };
const VERSION_3_2: ck::CK_VERSION = ck::CK_VERSION { major: 3, minor: 2 };

/// An interface of `C_GetInterface`.
pub(crate) struct Interface(pub(crate) ck::CK_INTERFACE, ck::CK_VERSION);

// SAFETY: the pointers inside are to statics that nobody changes.
unsafe impl Sync for Interface {}

/// All interfaces; the first one is what a caller gets who does not say which.
pub(crate) static INTERFACES: [Interface; 3] = [
    Interface::new((&raw const LIST_3_2).cast(), VERSION_3_2),
    Interface::new((&raw const LIST_3_0).cast(), VERSION_3_0),
    Interface::new((&raw const LIST_2_40).cast(), VERSION_2_40),
];

impl Interface {
    const fn new(list: *const std::ffi::c_void, version: ck::CK_VERSION) -> Self {
        Self(
            ck::CK_INTERFACE {
                pInterfaceName: NAME.as_ptr().cast_mut(),
                pFunctionList: list.cast_mut(),
                flags: 0,
            },
            version,
        )
    }

    /// Of its list.
    pub(crate) const fn version(&self) -> ck::CK_VERSION {
        self.1
    }
}

/// The list of `C_GetFunctionList`. It is constant, whatever the type of the pointer says.
pub(crate) fn version_2_40() -> *mut ck::CK_FUNCTION_LIST {
    (&raw const LIST_2_40).cast_mut()
}

/// A list of functions: those of version 2.40, which every list begins with, and the further ones of its version.
macro_rules! list {
    ($list:ident, $version:expr $(, $group:ident::$name:ident)* $(,)?) => {
        ck::$list {
            version: $version,
            C_Initialize: Some(general::C_Initialize),
            C_Finalize: Some(general::C_Finalize),
            C_GetInfo: Some(general::C_GetInfo),
            C_GetFunctionList: Some(general::C_GetFunctionList),
            C_GetSlotList: Some(slot::C_GetSlotList),
            C_GetSlotInfo: Some(slot::C_GetSlotInfo),
            C_GetTokenInfo: Some(slot::C_GetTokenInfo),
            C_GetMechanismList: Some(slot::C_GetMechanismList),
            C_GetMechanismInfo: Some(slot::C_GetMechanismInfo),
            C_InitToken: Some(unsupported::C_InitToken),
            C_InitPIN: Some(slot::C_InitPIN),
            C_SetPIN: Some(slot::C_SetPIN),
            C_OpenSession: Some(session::C_OpenSession),
            C_CloseSession: Some(session::C_CloseSession),
            C_CloseAllSessions: Some(session::C_CloseAllSessions),
            C_GetSessionInfo: Some(session::C_GetSessionInfo),
            C_GetOperationState: Some(unsupported::C_GetOperationState),
            C_SetOperationState: Some(unsupported::C_SetOperationState),
            C_Login: Some(session::C_Login),
            C_Logout: Some(session::C_Logout),
            C_CreateObject: Some(object::C_CreateObject),
            C_CopyObject: Some(unsupported::C_CopyObject),
            C_DestroyObject: Some(object::C_DestroyObject),
            C_GetObjectSize: Some(object::C_GetObjectSize),
            C_GetAttributeValue: Some(object::C_GetAttributeValue),
            C_SetAttributeValue: Some(object::C_SetAttributeValue),
            C_FindObjectsInit: Some(object::C_FindObjectsInit),
            C_FindObjects: Some(object::C_FindObjects),
            C_FindObjectsFinal: Some(object::C_FindObjectsFinal),
            C_EncryptInit: Some(unsupported::C_EncryptInit),
            C_Encrypt: Some(unsupported::C_Encrypt),
            C_EncryptUpdate: Some(unsupported::C_EncryptUpdate),
            C_EncryptFinal: Some(unsupported::C_EncryptFinal),
            C_DecryptInit: Some(crypto::C_DecryptInit),
            C_Decrypt: Some(crypto::C_Decrypt),
            C_DecryptUpdate: Some(crypto::C_DecryptUpdate),
            C_DecryptFinal: Some(crypto::C_DecryptFinal),
            C_DigestInit: Some(unsupported::C_DigestInit),
            C_Digest: Some(unsupported::C_Digest),
            C_DigestUpdate: Some(unsupported::C_DigestUpdate),
            C_DigestKey: Some(unsupported::C_DigestKey),
            C_DigestFinal: Some(unsupported::C_DigestFinal),
            C_SignInit: Some(crypto::C_SignInit),
            C_Sign: Some(crypto::C_Sign),
            C_SignUpdate: Some(crypto::C_SignUpdate),
            C_SignFinal: Some(crypto::C_SignFinal),
            C_SignRecoverInit: Some(unsupported::C_SignRecoverInit),
            C_SignRecover: Some(unsupported::C_SignRecover),
            C_VerifyInit: Some(unsupported::C_VerifyInit),
            C_Verify: Some(unsupported::C_Verify),
            C_VerifyUpdate: Some(unsupported::C_VerifyUpdate),
            C_VerifyFinal: Some(unsupported::C_VerifyFinal),
            C_VerifyRecoverInit: Some(unsupported::C_VerifyRecoverInit),
            C_VerifyRecover: Some(unsupported::C_VerifyRecover),
            C_DigestEncryptUpdate: Some(unsupported::C_DigestEncryptUpdate),
            C_DecryptDigestUpdate: Some(unsupported::C_DecryptDigestUpdate),
            C_SignEncryptUpdate: Some(unsupported::C_SignEncryptUpdate),
            C_DecryptVerifyUpdate: Some(unsupported::C_DecryptVerifyUpdate),
            C_GenerateKey: Some(unsupported::C_GenerateKey),
            C_GenerateKeyPair: Some(crypto::C_GenerateKeyPair),
            C_WrapKey: Some(unsupported::C_WrapKey),
            C_UnwrapKey: Some(unsupported::C_UnwrapKey),
            C_DeriveKey: Some(crypto::C_DeriveKey),
            C_SeedRandom: Some(session::C_SeedRandom),
            C_GenerateRandom: Some(session::C_GenerateRandom),
            C_GetFunctionStatus: Some(general::C_GetFunctionStatus),
            C_CancelFunction: Some(general::C_CancelFunction),
            C_WaitForSlotEvent: Some(slot::C_WaitForSlotEvent),
            $($name: Some($group::$name),)*
        }
    };
}

/// As before, with those of version 3.0.
macro_rules! list_3 {
    ($list:ident, $version:expr $(, $group:ident::$name:ident)* $(,)?) => {
        list!(
            $list,
            $version,
            general::C_GetInterfaceList,
            general::C_GetInterface,
            session::C_LoginUser,
            session::C_SessionCancel,
            unsupported::C_MessageEncryptInit,
            unsupported::C_EncryptMessage,
            unsupported::C_EncryptMessageBegin,
            unsupported::C_EncryptMessageNext,
            unsupported::C_MessageEncryptFinal,
            unsupported::C_MessageDecryptInit,
            unsupported::C_DecryptMessage,
            unsupported::C_DecryptMessageBegin,
            unsupported::C_DecryptMessageNext,
            unsupported::C_MessageDecryptFinal,
            unsupported::C_MessageSignInit,
            unsupported::C_SignMessage,
            unsupported::C_SignMessageBegin,
            unsupported::C_SignMessageNext,
            unsupported::C_MessageSignFinal,
            unsupported::C_MessageVerifyInit,
            unsupported::C_VerifyMessage,
            unsupported::C_VerifyMessageBegin,
            unsupported::C_VerifyMessageNext,
            unsupported::C_MessageVerifyFinal,
            $($group::$name,)*
        )
    };
}

static LIST_2_40: ck::CK_FUNCTION_LIST = list!(CK_FUNCTION_LIST, VERSION_2_40);

static LIST_3_0: ck::CK_FUNCTION_LIST_3_0 = list_3!(CK_FUNCTION_LIST_3_0, VERSION_3_0);

static LIST_3_2: ck::CK_FUNCTION_LIST_3_2 = list_3!(
    CK_FUNCTION_LIST_3_2,
    VERSION_3_2,
    unsupported::C_EncapsulateKey,
    unsupported::C_DecapsulateKey,
    unsupported::C_VerifySignatureInit,
    unsupported::C_VerifySignature,
    unsupported::C_VerifySignatureUpdate,
    unsupported::C_VerifySignatureFinal,
    unsupported::C_GetSessionValidationFlags,
    unsupported::C_AsyncComplete,
    unsupported::C_AsyncGetID,
    unsupported::C_AsyncJoin,
    unsupported::C_WrapKeyAuthenticated,
    unsupported::C_UnwrapKeyAuthenticated,
);

/// The list of version 2.40.
pub(crate) fn list_2_40() -> &'static ck::CK_FUNCTION_LIST {
    &LIST_2_40
}

/// The list of version 3.2.
pub(crate) fn list_3_2() -> &'static ck::CK_FUNCTION_LIST_3_2 {
    &LIST_3_2
}
