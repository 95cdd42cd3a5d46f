//! Sessions, login and PINs.

use std::ptr::null_mut;

use cryptoki_sys as ck;

use crate::support::{Module, PIN, attribute, c};

#[test]
fn sessions_and_login_keep_their_order() {
    let module = Module::new();
    let list = module.list;
    let mut session = 0;
    assert_eq!(
        c!(list, C_OpenSession(0, 0, null_mut(), None, &mut session)),
        ck::CKR_SESSION_PARALLEL_NOT_SUPPORTED
    );
    assert_eq!(
        c!(
            list,
            C_OpenSession(7, ck::CKF_SERIAL_SESSION, null_mut(), None, &mut session)
        ),
        ck::CKR_SLOT_ID_INVALID
    );
    assert_eq!(
        c!(
            list,
            C_OpenSession(0, ck::CKF_SERIAL_SESSION, null_mut(), None, &mut session)
        ),
        ck::CKR_OK
    );
    let mut so_pin = b"3537363231383830".to_vec();
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_SESSION_READ_ONLY_EXISTS
    );
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_USER_NOT_LOGGED_IN);
    assert_eq!(
        c!(list, C_Login(session, 9, null_mut(), 0)),
        ck::CKR_USER_TYPE_INVALID
    );
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_USER, null_mut(), 0)),
        ck::CKR_ARGUMENTS_BAD
    );
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_CONTEXT_SPECIFIC, null_mut(), 0)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(module.login(session), ck::CKR_OK);
    assert_eq!(module.login(session), ck::CKR_USER_ALREADY_LOGGED_IN);
    assert_eq!(
        c!(list, C_Login(session, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_USER_ANOTHER_ALREADY_LOGGED_IN
    );
    // A session that only reads makes nothing.
    let mut class = ck::CKO_DATA.to_ne_bytes().to_vec();
    let mut yes = vec![1];
    let mut data = [
        attribute(ck::CKA_CLASS, &mut class),
        attribute(ck::CKA_TOKEN, &mut yes),
    ];
    let mut object = 0;
    assert_eq!(
        c!(list, C_CreateObject(session, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_SESSION_READ_ONLY
    );
    let writing = module.session();
    let state = |session| {
        let mut info = ck::CK_SESSION_INFO::default();
        assert_eq!(c!(list, C_GetSessionInfo(session, &mut info)), ck::CKR_OK);
        info.state
    };
    assert_eq!(state(session), ck::CKS_RO_USER_FUNCTIONS);
    assert_eq!(state(writing), ck::CKS_RW_USER_FUNCTIONS);
    assert_eq!(
        c!(list, C_CreateObject(writing, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_OK
    );
    assert_eq!(c!(list, C_CloseSession(session)), ck::CKR_OK);
    assert_eq!(c!(list, C_CloseSession(session)), ck::CKR_SESSION_HANDLE_INVALID);
    // With the last session the login is over.
    assert_eq!(c!(list, C_CloseSession(writing)), ck::CKR_OK);
    let again = module.session();
    assert_eq!(state(again), ck::CKS_RW_PUBLIC_SESSION);
    // The security officer gives the user another PIN, and it is the user's.
    assert_eq!(
        c!(list, C_Login(again, ck::CKU_SO, so_pin.as_mut_ptr(), 16)),
        ck::CKR_OK
    );
    let mut new = b"123456".to_vec();
    assert_eq!(c!(list, C_InitPIN(again, new.as_mut_ptr(), 6)), ck::CKR_OK);
    assert_eq!(c!(list, C_Logout(again)), ck::CKR_OK);
    assert_eq!(module.login(again), ck::CKR_PIN_INCORRECT);
    let mut info = ck::CK_TOKEN_INFO::default();
    assert_eq!(c!(list, C_GetTokenInfo(0, &mut info)), ck::CKR_OK);
    assert_ne!(info.flags & ck::CKF_USER_PIN_COUNT_LOW, 0);
    let mut old = PIN.to_vec();
    assert_eq!(
        c!(list, C_SetPIN(again, new.as_mut_ptr(), 6, old.as_mut_ptr(), 3)),
        ck::CKR_PIN_LEN_RANGE
    );
    assert_eq!(
        c!(list, C_SetPIN(again, new.as_mut_ptr(), 6, old.as_mut_ptr(), 6)),
        ck::CKR_OK
    );
    assert_eq!(module.login(again), ck::CKR_OK);
    assert_eq!(c!(list, C_Logout(again)), ck::CKR_OK);
    // Three wrong ones, and it is over.
    let mut wrong = b"000000".to_vec();
    let answers = [ck::CKR_PIN_INCORRECT, ck::CKR_PIN_INCORRECT, ck::CKR_PIN_LOCKED];
    for (tries, expected) in answers.into_iter().enumerate() {
        let answer = c!(list, C_Login(again, ck::CKU_USER, wrong.as_mut_ptr(), 6));
        assert_eq!(answer, expected, "try {tries}");
    }
    assert_eq!(c!(list, C_GetTokenInfo(0, &mut info)), ck::CKR_OK);
    assert_ne!(info.flags & ck::CKF_USER_PIN_LOCKED, 0);
}
