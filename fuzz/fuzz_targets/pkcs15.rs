//! Bytes to the readers of what a token says about itself: PKCS#15 descriptions, token information, states, file lists.
//! Never a panic; what was read and is written again reads the same.
#![no_main]

use chancery_schsm::{
    CertificateDescription, DataDescription, KeyDomainStatus, PkaStatus, PrivateKeyDescription, TokenInfo,
    fid,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(description) = PrivateKeyDescription::parse(bytes) {
        assert_eq!(
            PrivateKeyDescription::parse(&description.encode()).as_ref(),
            Ok(&description)
        );
    }
    if let Ok(description) = CertificateDescription::parse(bytes) {
        assert_eq!(
            CertificateDescription::parse(&description.encode()).as_ref(),
            Ok(&description)
        );
    }
    if let Ok(description) = DataDescription::parse(bytes) {
        assert_eq!(
            DataDescription::parse(&description.encode()).as_ref(),
            Ok(&description)
        );
    }
    if let Ok(info) = TokenInfo::parse(bytes) {
        assert_eq!(TokenInfo::parse(&info.encode()).as_ref(), Ok(&info));
    }
    if let Ok(status) = KeyDomainStatus::parse(bytes) {
        let _ = (status.is_complete(), status.encode());
    }
    if let Ok(status) = PkaStatus::parse(bytes) {
        let _ = (
            status.registered(),
            status.is_configured(),
            status.is_satisfied(),
            status.encode(),
        );
    }
    for file in fid::parse_list(bytes) {
        assert_eq!(fid::Fid::from_parts(file.prefix(), file.low()), file);
    }
});
