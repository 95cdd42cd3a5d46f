//! Finds a share file that a wrong share opens to nonsense with good padding, as about one in 256 does, and prints it with the shares:
//! `cargo run -p chancery-dkek --example find_wrong_share`.
//!
//! With a fixed salt two derivations are enough, one for the right password and one for the wrong one; the share in the file varies.

use std::process::ExitCode;

use chancery_dkek::text::{ShareText, parse};
use chancery_dkek::typed::Typed;
use chancery_schsm::{Kek, KekShare, ShareFile, ShareFileKey};

/// Shares 1 to 3 of the published set over E28C4E2A93CCA877 with threshold 4 hide its secret with share 4; here the fourth digit pair of
/// share 2 is mistyped.
const TYPED: &str = "e2:8c:4e:2a:93:cc:a8:77\n\
    1\nbe:d9:2a:f6:96:43:c4:41\n\
    2\n8d:d4:9d:96:82:04:8a:5b\n\
    3\n08:3e:cb:ce:3e:4a:d6:b6\n\
    4\n84:5d:7a:40:86:3e:4c:32\n";
const SECRET: [u8; 8] = [0x27, 0x92, 0xFE, 0x84, 0x53, 0xAD, 0x89, 0xFF];
const SALT: [u8; 8] = *b"chancery";

fn main() -> ExitCode {
    match find() {
        Some(text) => {
            #[expect(clippy::print_stdout, reason = "its output")]
            {
                print!("{text}");
            }
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

fn find() -> Option<String> {
    let texts: Vec<ShareText> = parse(TYPED).ok()?;
    let wrong = Typed::from_texts(&texts)?.password().ok()??;
    let empty = ShareFile::seal(
        &KekShare::new([0; 32]),
        SALT,
        &ShareFileKey::from_parts([0; 32], [0; 16]),
    );
    let right_key = empty.derive(&SECRET, |_| ());
    let wrong_key = empty.derive(&wrong, |_| ());
    for counter in 0_u32..100_000 {
        // Public test data: any bytes do.
        let mut bytes = [0; 32];
        for (index, part) in bytes.chunks_mut(4).enumerate() {
            let index = u32::try_from(index).ok()?;
            part.copy_from_slice(
                &(counter.wrapping_mul(0x9E37_79B9) ^ index.wrapping_mul(0x85EB_CA6B)).to_be_bytes(),
            );
        }
        let share = KekShare::new(bytes);
        let file = ShareFile::seal(&share, SALT, &right_key);
        if let Some(imported) = file.open_by_padding_alone(&wrong_key) {
            return Some(format!(
                "{}\nright KCV {}\nimported KCV {}\n",
                hex::encode_upper(file.to_bytes()),
                Kek::from(share).kcv(),
                Kek::from(imported).kcv()
            ));
        }
    }
    None
}
