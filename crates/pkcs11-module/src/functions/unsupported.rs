//! Functions that neither tokens nor nodes have a use for: encryption, verification and digests are better done by the caller,
//! and keys neither come nor go this way.

use cryptoki_sys as ck;

use crate::guard::unsupported;

unsupported! {
    C_InitToken(arg1: ck::CK_SLOT_ID, arg2: *mut ck::CK_UTF8CHAR, arg3: ck::CK_ULONG, arg4: *mut ck::CK_UTF8CHAR);
    C_GetOperationState(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: *mut ck::CK_ULONG);
    C_SetOperationState(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: ck::CK_OBJECT_HANDLE,
        arg5: ck::CK_OBJECT_HANDLE
    );
    C_CopyObject(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: ck::CK_OBJECT_HANDLE,
        arg3: *mut ck::CK_ATTRIBUTE,
        arg4: ck::CK_ULONG,
        arg5: *mut ck::CK_OBJECT_HANDLE
    );
    C_EncryptInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_Encrypt(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_EncryptUpdate(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_EncryptFinal(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: *mut ck::CK_ULONG);
    C_DigestInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM);
    C_Digest(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_DigestUpdate(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: ck::CK_ULONG);
    C_DigestKey(arg1: ck::CK_SESSION_HANDLE, arg2: ck::CK_OBJECT_HANDLE);
    C_DigestFinal(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: *mut ck::CK_ULONG);
    C_SignRecoverInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_SignRecover(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_VerifyInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_Verify(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG
    );
    C_VerifyUpdate(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: ck::CK_ULONG);
    C_VerifyFinal(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: ck::CK_ULONG);
    C_VerifyRecoverInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_VerifyRecover(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_DigestEncryptUpdate(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_DecryptDigestUpdate(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_SignEncryptUpdate(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_DecryptVerifyUpdate(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_BYTE,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: *mut ck::CK_ULONG
    );
    C_GenerateKey(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: *mut ck::CK_ATTRIBUTE,
        arg4: ck::CK_ULONG,
        arg5: *mut ck::CK_OBJECT_HANDLE
    );
    C_WrapKey(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: ck::CK_OBJECT_HANDLE,
        arg5: *mut ck::CK_BYTE,
        arg6: *mut ck::CK_ULONG
    );
    C_UnwrapKey(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_ATTRIBUTE,
        arg7: ck::CK_ULONG,
        arg8: *mut ck::CK_OBJECT_HANDLE
    );
    C_MessageEncryptInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_EncryptMessage(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: ck::CK_ULONG,
        arg8: *mut ck::CK_BYTE,
        arg9: *mut ck::CK_ULONG
    );
    C_EncryptMessageBegin(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG
    );
    C_EncryptMessageNext(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: *mut ck::CK_ULONG,
        arg8: ck::CK_FLAGS
    );
    C_MessageEncryptFinal(arg1: ck::CK_SESSION_HANDLE);
    C_MessageDecryptInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_DecryptMessage(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: ck::CK_ULONG,
        arg8: *mut ck::CK_BYTE,
        arg9: *mut ck::CK_ULONG
    );
    C_DecryptMessageBegin(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG
    );
    C_DecryptMessageNext(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: *mut ck::CK_ULONG,
        arg8: ck::CK_FLAGS
    );
    C_MessageDecryptFinal(arg1: ck::CK_SESSION_HANDLE);
    C_MessageSignInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_SignMessage(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: *mut ck::CK_ULONG
    );
    C_SignMessageBegin(arg1: ck::CK_SESSION_HANDLE, arg2: *mut std::ffi::c_void, arg3: ck::CK_ULONG);
    C_SignMessageNext(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: *mut ck::CK_ULONG
    );
    C_MessageSignFinal(arg1: ck::CK_SESSION_HANDLE);
    C_MessageVerifyInit(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_MECHANISM, arg3: ck::CK_OBJECT_HANDLE);
    C_VerifyMessage(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: ck::CK_ULONG
    );
    C_VerifyMessageBegin(arg1: ck::CK_SESSION_HANDLE, arg2: *mut std::ffi::c_void, arg3: ck::CK_ULONG);
    C_VerifyMessageNext(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut std::ffi::c_void,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: ck::CK_ULONG
    );
    C_MessageVerifyFinal(arg1: ck::CK_SESSION_HANDLE);
    C_EncapsulateKey(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: *mut ck::CK_ATTRIBUTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: *mut ck::CK_ULONG,
        arg8: *mut ck::CK_OBJECT_HANDLE
    );
    C_DecapsulateKey(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: *mut ck::CK_ATTRIBUTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_BYTE,
        arg7: ck::CK_ULONG,
        arg8: *mut ck::CK_OBJECT_HANDLE
    );
    C_VerifySignatureInit(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG
    );
    C_VerifySignature(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: ck::CK_ULONG);
    C_VerifySignatureUpdate(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_BYTE, arg3: ck::CK_ULONG);
    C_VerifySignatureFinal(arg1: ck::CK_SESSION_HANDLE);
    C_GetSessionValidationFlags(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: ck::CK_SESSION_VALIDATION_FLAGS_TYPE,
        arg3: *mut ck::CK_FLAGS
    );
    C_AsyncComplete(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_UTF8CHAR, arg3: *mut ck::CK_ASYNC_DATA);
    C_AsyncGetID(arg1: ck::CK_SESSION_HANDLE, arg2: *mut ck::CK_UTF8CHAR, arg3: *mut ck::CK_ULONG);
    C_AsyncJoin(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_UTF8CHAR,
        arg3: ck::CK_ULONG,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG
    );
    C_WrapKeyAuthenticated(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: ck::CK_OBJECT_HANDLE,
        arg5: *mut ck::CK_BYTE,
        arg6: ck::CK_ULONG,
        arg7: *mut ck::CK_BYTE,
        arg8: *mut ck::CK_ULONG
    );
    C_UnwrapKeyAuthenticated(
        arg1: ck::CK_SESSION_HANDLE,
        arg2: *mut ck::CK_MECHANISM,
        arg3: ck::CK_OBJECT_HANDLE,
        arg4: *mut ck::CK_BYTE,
        arg5: ck::CK_ULONG,
        arg6: *mut ck::CK_ATTRIBUTE,
        arg7: ck::CK_ULONG,
        arg8: *mut ck::CK_BYTE,
        arg9: ck::CK_ULONG,
        arg10: *mut ck::CK_OBJECT_HANDLE
    );
}
