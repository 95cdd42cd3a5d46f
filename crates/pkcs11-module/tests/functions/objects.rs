//! Objects and their handles.

use std::ptr::null_mut;

use cryptoki_sys as ck;

use crate::support::{Module, attribute, c};

#[test]
fn objects_come_and_go_and_handles_are_not_used_again() {
    let module = Module::new();
    let list = module.list;
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (public, private) = module.generate(session, false);
    assert_eq!(module.find(session, ck::CKO_PRIVATE_KEY), [private]);
    let mut label = b"another".to_vec();
    let mut change = [attribute(ck::CKA_LABEL, &mut label)];
    assert_eq!(
        c!(
            list,
            C_SetAttributeValue(session, private, change.as_mut_ptr(), 1)
        ),
        ck::CKR_OK
    );
    assert_eq!(module.read(session, public, ck::CKA_LABEL).unwrap(), b"another");
    assert_eq!(c!(list, C_Logout(session)), ck::CKR_OK);
    assert!(module.find(session, ck::CKO_PRIVATE_KEY).is_empty());
    assert_eq!(module.find(session, ck::CKO_PUBLIC_KEY), [public]);
    assert_eq!(
        module.read(session, private, ck::CKA_LABEL),
        Err(ck::CKR_OBJECT_HANDLE_INVALID)
    );
    assert_eq!(
        c!(list, C_DestroyObject(session, public)),
        ck::CKR_USER_NOT_LOGGED_IN
    );
    assert_eq!(module.login(session), ck::CKR_OK);
    assert_eq!(c!(list, C_DestroyObject(session, private)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_DestroyObject(session, private)),
        ck::CKR_OBJECT_HANDLE_INVALID
    );
    let (_, second) = module.generate(session, false);
    assert_ne!(second, private);

    // Objects of a session go with it.
    let other = module.session();
    let mut class = ck::CKO_DATA.to_ne_bytes().to_vec();
    let mut value = b"value".to_vec();
    let mut data = [
        attribute(ck::CKA_CLASS, &mut class),
        attribute(ck::CKA_VALUE, &mut value),
    ];
    let mut object = 0;
    assert_eq!(
        c!(list, C_CreateObject(other, data.as_mut_ptr(), 2, &mut object)),
        ck::CKR_OK
    );
    assert_eq!(module.find(session, ck::CKO_DATA), [object]);
    let mut size = 0;
    assert_eq!(c!(list, C_GetObjectSize(session, object, &mut size)), ck::CKR_OK);
    assert_eq!(size, 5);
    assert_eq!(c!(list, C_CloseSession(other)), ck::CKR_OK);
    assert!(module.find(session, ck::CKO_DATA).is_empty());
    // Looking is an operation, too.
    assert_eq!(
        c!(list, C_FindObjects(session, &mut object, 1, &mut size)),
        ck::CKR_OPERATION_NOT_INITIALIZED
    );
    assert_eq!(c!(list, C_FindObjectsInit(session, null_mut(), 0)), ck::CKR_OK);
    assert_eq!(
        c!(list, C_FindObjectsInit(session, null_mut(), 0)),
        ck::CKR_OPERATION_ACTIVE
    );
    assert_eq!(
        c!(list, C_FindObjects(session, null_mut(), 1, &mut size)),
        ck::CKR_ARGUMENTS_BAD
    );
    assert_eq!(c!(list, C_FindObjectsFinal(session)), ck::CKR_OK);
}
