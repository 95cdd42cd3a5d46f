//! Signatures: their order, their buffers, and how they are cancelled.

use std::ptr::null_mut;

use cryptoki_sys as ck;
use openssl::{hash::MessageDigest, pkey::PKey, sign::Verifier};

use crate::support::{Module, c, mechanism};

#[test]
fn signatures_keep_their_order_and_buffers() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, true);
    let spki = module.read(session, public, ck::CKA_PUBLIC_KEY_INFO).unwrap();
    let key = PKey::public_key_from_der(&spki).unwrap();
    let judge = |signature: &[u8], message: &[u8]| {
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        verifier.verify_oneshot(signature, message).unwrap()
    };
    let mut data = b"what is signed".to_vec();
    let length = u64::try_from(data.len()).unwrap();
    let mut signature = vec![0; 300];
    let mut room = 300;
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    // What does not fit is refused at the beginning.
    let mut sha256 = mechanism(ck::CKM_SHA256_RSA_PKCS);
    for (kind, key, expected) in [
        (ck::CKM_ECDSA, private, ck::CKR_KEY_TYPE_INCONSISTENT),
        (ck::CKM_MD5, private, ck::CKR_MECHANISM_INVALID),
        (ck::CKM_SHA256_RSA_PKCS, public, ck::CKR_KEY_HANDLE_INVALID),
        (ck::CKM_SHA256_RSA_PKCS, 4711, ck::CKR_KEY_HANDLE_INVALID),
        (
            ck::CKM_SHA256_RSA_PKCS_PSS,
            private,
            ck::CKR_MECHANISM_PARAM_INVALID,
        ),
    ] {
        let mut wrong = mechanism(kind);
        assert_eq!(
            c!(list, C_SignInit(session, &mut wrong, key)),
            expected,
            "{kind:#x}"
        );
    }
    assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_SignInit(session, &mut sha256, private)),
        ck::CKR_OPERATION_ACTIVE
    );
    // Neither a question nor a small buffer ends it.
    assert_eq!(
        c!(
            list,
            C_Sign(session, data.as_mut_ptr(), length, null_mut(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 256);
    room = 255;
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(room, 256);
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OK
    );
    assert!(judge(&signature[..256], &data));
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    // In parts.
    assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
    for part in data.chunks_mut(5) {
        let length = u64::try_from(part.len()).unwrap();
        assert_eq!(
            c!(list, C_SignUpdate(session, part.as_mut_ptr(), length)),
            ck::CKR_OK
        );
    }
    assert_eq!(
        c!(
            list,
            C_Sign(
                session,
                data.as_mut_ptr(),
                length,
                signature.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_ACTIVE
    );
    assert_eq!(c!(list, C_SignFinal(session, null_mut(), &mut room)), ck::CKR_OK);
    room = 1;
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_BUFFER_TOO_SMALL
    );
    signature.fill(0);
    assert_eq!(
        c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
        ck::CKR_OK
    );
    assert!(judge(&signature[..256], &data));
    // Cancelled, both ways.
    for cancel in [0, 1] {
        assert_eq!(c!(list, C_SignInit(session, &mut sha256, private)), ck::CKR_OK);
        if cancel == 0 {
            assert_eq!(c!(list, C_SignInit(session, null_mut(), 0)), ck::CKR_OK);
        } else {
            assert_eq!(c!(list, C_SessionCancel(session, ck::CKF_SIGN)), ck::CKR_OK);
        }
        assert_eq!(
            c!(list, C_SignFinal(session, signature.as_mut_ptr(), &mut room)),
            ck::CKR_OPERATION_NOT_INITIALIZED
        );
    }
    // Too long for the modulus: the operation is over.
    let mut raw = mechanism(ck::CKM_RSA_PKCS);
    let mut long = vec![1; 250];
    assert_eq!(c!(list, C_SignInit(session, &mut raw, private)), ck::CKR_OK);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_Sign(session, long.as_mut_ptr(), 250, signature.as_mut_ptr(), &mut room)
        ),
        ck::CKR_DATA_LEN_RANGE
    );
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_SignInit(session, &mut raw, private)),
        ck::CKR_USER_NOT_LOGGED_IN
    );
}
