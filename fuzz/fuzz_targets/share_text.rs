//! Text to the reader of password shares, and on to what is made of it: never a panic, whatever somebody typed; and what our own
//! page says is read back as it was written.
#![no_main]

use chancery_dkek::{
    PasswordShare, SetId, Threshold,
    commitment::Nonce,
    page::SharePage,
    text::{IdReading, parse},
    typed::Typed,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(shares) = parse(text) else {
        return;
    };
    for share in &shares {
        for reading in [IdReading::Decimal, IdReading::Hexadecimal] {
            let (Some(read), _) = share.read(reading) else {
                continue;
            };
            assert_eq!(share.read_id(reading), Some(read.id));
            again(&read);
        }
    }
    // A few are enough: every share is read in the same way.
    if let Some(typed) = Typed::from_texts(shares.iter().take(4)) {
        typed.password().expect("arithmetic");
    }
});

/// Writes a share on a page and reads the page.
fn again(share: &PasswordShare) {
    let nonce = Nonce::new([0x5A; 16]);
    let page = SharePage {
        set: SetId([0x0F; 8]),
        how: Threshold::new(2, 3).expect("a way to split"),
        share,
        nonce: &nonce,
        salt: [0; 8],
        kcv: [0; 8],
    };
    for text in [page.secret_lines(), page.secret_text()] {
        let read = parse(&text).expect("a page");
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].read(IdReading::Decimal).0.as_ref(), Some(share));
    }
}
