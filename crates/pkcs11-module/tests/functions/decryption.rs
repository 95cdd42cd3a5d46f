//! Decryption: its order, its buffers, and what stays secret.

use std::ptr::null_mut;

use cryptoki_sys as ck;
use openssl::{pkey::PKey, rsa::Padding};

use crate::support::{Module, attribute, c, mechanism};

#[test]
fn decryption_keeps_its_order_and_buffers() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, true);
    let spki = module.read(session, public, ck::CKA_PUBLIC_KEY_INFO).unwrap();
    let key = PKey::public_key_from_der(&spki).unwrap().rsa().unwrap();
    let mut cryptogram = vec![0; 256];
    key.public_encrypt(b"secret", &mut cryptogram, Padding::PKCS1)
        .unwrap();
    let mut pkcs1 = mechanism(ck::CKM_RSA_PKCS);
    let mut plain = [0; 256];
    let mut room = 3;
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
    assert_eq!(
        c!(
            list,
            C_Decrypt(session, cryptogram.as_mut_ptr(), 256, null_mut(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 256);
    room = 3;
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(room, 6);
    assert_eq!(
        c!(
            list,
            C_Decrypt(
                session,
                cryptogram.as_mut_ptr(),
                256,
                plain.as_mut_ptr(),
                &mut room
            )
        ),
        ck::CKR_OK
    );
    assert_eq!(&plain[..6], b"secret");
    // In parts; a damaged cryptogram; one that is too short.
    assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
    let (one, two) = cryptogram.split_at_mut(100);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_DecryptUpdate(session, one.as_mut_ptr(), 100, plain.as_mut_ptr(), &mut room)
        ),
        ck::CKR_OK
    );
    assert_eq!(room, 0);
    room = 256;
    assert_eq!(
        c!(
            list,
            C_DecryptUpdate(session, two.as_mut_ptr(), 156, plain.as_mut_ptr(), &mut room)
        ),
        ck::CKR_OK
    );
    room = 256;
    assert_eq!(
        c!(list, C_DecryptFinal(session, plain.as_mut_ptr(), &mut room)),
        ck::CKR_OK
    );
    assert_eq!(room, 6);
    for (length, expected) in [
        (256, ck::CKR_ENCRYPTED_DATA_INVALID),
        (255, ck::CKR_ENCRYPTED_DATA_LEN_RANGE),
    ] {
        assert_eq!(c!(list, C_DecryptInit(session, &mut pkcs1, private)), ck::CKR_OK);
        cryptogram[200] ^= 1;
        room = 256;
        assert_eq!(
            c!(
                list,
                C_Decrypt(
                    session,
                    cryptogram.as_mut_ptr(),
                    length,
                    plain.as_mut_ptr(),
                    &mut room
                )
            ),
            expected
        );
    }
    // Secret attributes stay.
    assert_eq!(
        module.read(session, private, ck::CKA_PRIVATE_EXPONENT),
        Err(ck::CKR_ATTRIBUTE_SENSITIVE)
    );
    assert_eq!(
        module.read(session, private, ck::CKA_VENDOR_DEFINED),
        Err(ck::CKR_ATTRIBUTE_TYPE_INVALID)
    );
    // All attributes are filled in, whatever is wrong with one.
    let mut small = [0; 1];
    let mut number = [0; 8];
    let mut wanted = [
        attribute(ck::CKA_MODULUS, &mut small),
        attribute(ck::CKA_KEY_TYPE, &mut number),
    ];
    assert_eq!(
        c!(
            list,
            C_GetAttributeValue(session, private, wanted.as_mut_ptr(), 2)
        ),
        ck::CKR_BUFFER_TOO_SMALL
    );
    assert_eq!(wanted[0].ulValueLen, ck::CK_UNAVAILABLE_INFORMATION);
    assert_eq!(number, ck::CKK_RSA.to_ne_bytes());
}
