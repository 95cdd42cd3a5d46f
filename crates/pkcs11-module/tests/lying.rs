//! A token that answers with more than it was asked for.

#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::atomic::Ordering;

use cryptoki_sys as ck;
use support::{Module, c, mechanism};

/// Length of a signature by the key.
const MODULUS: usize = 256;

#[test]
fn output_longer_than_the_callers_room_reaches_nothing() {
    let module = Module::new();
    let session = module.session();
    assert_eq!(module.login(session), ck::CKR_OK);
    let (_, private) = module.generate(session, true);
    let sign = |buffer: &mut [u8]| {
        // Raw RSA: the module cannot tell a right signature from a wrong one by its digest.
        let mut how = mechanism(ck::CKM_RSA_X_509);
        assert_eq!(
            c!(module.list, C_SignInit(session, &mut how, private)),
            ck::CKR_OK
        );
        let mut block = [1; MODULUS];
        block[0] = 0;
        let mut length = u64::try_from(MODULUS).unwrap();
        let answer = c!(
            module.list,
            C_Sign(
                session,
                block.as_mut_ptr(),
                length,
                buffer.as_mut_ptr(),
                &mut length
            )
        );
        (answer, length)
    };
    // The room is the first part; what lies behind it is somebody else's.
    let mut memory = vec![0x11_u8; 4 * MODULUS];
    assert_eq!(sign(&mut memory), (ck::CKR_OK, 256));
    assert_ne!(memory[..MODULUS], [0x11; MODULUS]);
    assert!(memory[MODULUS..].iter().all(|byte| *byte == 0x11));

    module.served.lies.store(true, Ordering::Release);
    let mut memory = vec![0x11_u8; 4 * MODULUS];
    let (answer, _) = sign(&mut memory);
    assert_eq!(answer, ck::CKR_DEVICE_ERROR);
    assert!(memory.iter().all(|byte| *byte == 0x11), "nothing is written");
}
