//! What an agent lets through: any command, judged by a policy that the first bytes choose, against a reading of the
//! command of its own.
//!
//! Bytes 0 and 1 of the input are the policy and the key it names, the rest is the command.
#![no_main]

use chancery_ram::policy::{Header, Policy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[choice, key], command)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let management = choice & 1 == 1;
    let channel = choice & 2 == 2;
    let mut policy = Policy::new().with_key(key);
    if management {
        policy = policy.with_management();
    }
    let verdict = policy.judge(command, channel);
    let &[class, instruction, p1, p2, ref body @ ..] = command else {
        assert!(verdict.is_err(), "no header, no command");
        return;
    };
    match verdict {
        Err(refusal) => {
            assert_eq!(refusal.header, Header::of(command));
            assert!(matches!(refusal.answer(), [0x69 | 0x68, 0x82]));
            assert!(!refusal.to_string().is_empty());
        }
        Ok(shape) => {
            let protected = class & 0x0C != 0;
            assert!(matches!(class, 0x00 | 0x80 | 0x0C | 0x8C));
            assert_eq!(shape.is_protected(), protected);
            assert!(channel || !protected);
            // Four bytes and a short or extended Le at most: there is no room for data.
            let bare = matches!(body, [] | [_] | [0, _, _]);
            assert!(protected || shape.has_data() != bare);
            // A PIN has no way in, plain or protected.
            assert!(!matches!(instruction, 0x24 | 0x2C | 0x5A));
            assert!(instruction != 0x20 || !shape.has_data() && p1 == 0);
            if !management {
                assert!(!matches!(
                    instruction,
                    0x46 | 0x48 | 0x50 | 0x72 | 0x74 | 0x76 | 0x78 | 0xD6 | 0xD7 | 0xE4
                ));
                if matches!(instruction, 0x68 | 0x62) {
                    assert!(p1 == key && key != 0 && p2 != 0x84);
                }
                if matches!(instruction, 0x52 | 0x54) {
                    assert!(!shape.has_data() && matches!((instruction, p1), (_, 0) | (0x54, 2)));
                }
                if instruction == 0xB1 {
                    assert!(!matches!((p1, p2), (0xCC | 0xCD, _) | (0, 0) | (0x2F, 0x10)));
                }
            }
        }
    }
});
