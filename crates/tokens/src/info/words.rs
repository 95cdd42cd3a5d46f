//! Options and platforms in words.

use chancery_schsm::InitializeOptions;

/// Each option that is set, in words, lowest bit first. Bits that are not known are named by their value.
#[must_use]
pub fn option_words(options: InitializeOptions) -> Vec<String> {
    let has = |option| options.contains(option);
    let mut words = Vec::new();
    let mut known = 0;
    for (option, meaning) in WORDS {
        known |= option.0;
        if has(*option) {
            words.push((*meaning).to_owned());
        }
    }
    // Session PIN and replaceable keys share a bit: with both set it is a session PIN that lasts until it is cleared.
    if has(InitializeOptions::SESSION_PIN) {
        words.push(if has(InitializeOptions::REPLACE_PUBLIC_KEYS) {
            "a session PIN stays until it is cleared".to_owned()
        } else {
            "a session PIN ends with a reset".to_owned()
        });
    } else if has(InitializeOptions::REPLACE_PUBLIC_KEYS) {
        words.push("registered custodian keys may be replaced".to_owned());
    }
    known |= InitializeOptions::SESSION_PIN.0 | InitializeOptions::REPLACE_PUBLIC_KEYS.0;
    let unknown = options.0 & !known;
    if unknown != 0 {
        words.push(format!("bits of unknown meaning: {unknown:04X}"));
    }
    words
}

const WORDS: &[(InitializeOptions, &str)] = &[
    (
        InitializeOptions::RESET_RETRY_COUNTER,
        "the SO-PIN can unblock the PIN",
    ),
    (
        InitializeOptions::TRANSPORT_PIN,
        "the first PIN is a transport PIN and has to be changed before use",
    ),
    (
        InitializeOptions::PIN_AND_PUBLIC_KEYS,
        "PIN and custodians are both needed",
    ),
    (
        InitializeOptions::RESET_WITHOUT_NEW_PIN,
        "unblocking gives the tries back and cannot set another PIN",
    ),
];

/// The platform byte in words.
#[must_use]
pub fn platform_words(platform: Option<u8>) -> String {
    match platform {
        None => "not told".to_owned(),
        Some(0x00) => "JCOP".to_owned(),
        Some(0x01) => "demonstration JCOP".to_owned(),
        Some(0xFF) => "Pico HSM (open firmware on a microcontroller, not a secure element)".to_owned(),
        Some(other) => format!("{other:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_said_once() {
        let words = |options| option_words(InitializeOptions(options)).join("; ");
        assert_eq!(words(0x0001), "the SO-PIN can unblock the PIN");
        assert_eq!(words(0x0004), "a session PIN ends with a reset");
        assert_eq!(words(0x000C), "a session PIN stays until it is cleared");
        assert_eq!(words(0x0008), "registered custodian keys may be replaced");
        assert_eq!(words(0x0700), "bits of unknown meaning: 0700");
        assert_eq!(words(0), "");
        assert_eq!(option_words(InitializeOptions(0x0033)).len(), 4);
    }
}
