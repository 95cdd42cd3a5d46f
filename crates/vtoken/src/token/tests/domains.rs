//! A key domain that got keys before its last share, as earlier versions let it.

use super::*;
use crate::secret::SecretBytes;
use crate::state::{Change, KeyKind, KeyRecord};

#[test]
fn its_key_encryption_key_cannot_be_completed_by_anybody() {
    let mut bench = Bench::without_share();
    let key = KeyRecord {
        kind: KeyKind::Aes,
        secret: SecretBytes::from(&[7u8; 32][..]),
        algorithms: None,
        use_counter: None,
        key_domain: Some(0),
        made_here: true,
    };
    bench.token.card.commit(&[Change::PutKey { id: 1, key }]).unwrap();
    let mark = bench.token.mark();
    assert_eq!(bench.status(SHARE), 0x6A89);
    assert_eq!(bench.status("80720192000000"), 0x6985);
    assert_eq!(bench.token.mark(), mark);
    // Without the key it is an empty domain again.
    bench.ok("00E4020002CC01");
    bench.ok(SHARE);
    bench.ok(GENERATE);
    bench.ok("80720192000000");
}
