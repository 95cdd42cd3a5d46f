//! One custodian's page, as text.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::checks::{self, Number};
use crate::commitment::{Commitment, Nonce};
use crate::{PasswordShare, SetId, Threshold};

/// Longest line of what is shown on a screen, in columns.
pub const SCREEN_WIDTH: u16 = 64;

/// Lines that a share takes on a screen, with what is around it.
pub const SCREEN_HEIGHT: u16 = 16;

/// All that belongs on one custodian's page.
pub struct SharePage<'a> {
    /// The set.
    pub set: SetId,
    /// How it was split.
    pub how: Threshold,
    /// The custodian's share.
    pub share: &'a PasswordShare,
    /// Opens the share's commitment.
    pub nonce: &'a Nonce,
    /// Salt of the share file that the set opens.
    pub salt: [u8; 8],
    /// Key check value of the share in the file.
    pub kcv: [u8; 8],
}

impl SharePage<'_> {
    /// The lines that have to be kept: what is shown on a screen, and the head of a printed page. Secret text.
    #[must_use]
    pub fn secret_lines(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(CAPACITY));
        self.write_lines(&mut text);
        text
    }

    fn write_lines(&self, text: &mut String) {
        let share = self.share;
        let value_checks = checks::groups(Number::Value, share.value.secret_bytes());
        let prime_checks = checks::groups(Number::Prime, &share.prime.0);
        let page_check = checks::page(Some(self.set), self.how.threshold(), share);
        let set = self.set;
        let nonce = self.nonce.secret_bytes();
        let _ = writeln!(text, "Set          : {set}");
        let _ = writeln!(
            text,
            "Needed       : {} of {} shares",
            self.how.threshold(),
            self.how.shares()
        );
        let _ = writeln!(
            text,
            "Prime        : {}  check {}",
            share.prime,
            Digits(&prime_checks, " ", 1)
        );
        let _ = writeln!(text, "Share ID     : {}", share.id);
        let _ = writeln!(
            text,
            "Share value  : {}  check {}",
            share.value.secret_text().as_str(),
            Digits(&value_checks, " ", 1)
        );
        let _ = writeln!(text, "Page check   : {}", Digits(&page_check, "", 1));
        let _ = writeln!(text, "Nonce        : {}", Digits(nonce, " ", 2));
    }

    /// The whole page. Secret text.
    #[must_use]
    pub fn secret_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(CAPACITY));
        text.push_str(
            "PASSWORD SHARE OF A KEY BACKUP                                  SECRET\n\
             ======================================================================\n\n",
        );
        self.write_lines(&mut text);
        let (share, set) = (self.share, self.set);
        let _ = writeln!(text, "\nShare file   : salt {}", Digits(&self.salt, "", 1));
        let _ = writeln!(
            text,
            "Check value  : {} (KCV of the share in that file)",
            Upper(&self.kcv)
        );
        let commitment = Commitment::to(self.nonce, set, share);
        let _ = writeln!(text, "Commitment   : {commitment}");
        let _ = write!(
            text,
            "\n\
             HOW TO USE IT\n\
             {threshold} of the {shares} custodians of this set together open the share file; fewer learn nothing\n\
             of its password. Typed into `chancery dkek import`, or into OpenSC's\n\
             `sc-hsm-tool --import-dkek-share FILE --pwd-shares-total {threshold}`, which asks for prime,\n\
             share ID and share value. The check digits behind each number, two for each\n\
             group of four, and the page check say which group was mistyped; only\n\
             chancery asks for them.\n\
             \n\
             HOW TO CHECK IT AT HOME\n\
             `chancery dkek check COMMITMENTS-FILE` on a machine you trust, or by hand:\n\
             the commitment is the SHA-256 of nonce, set, share ID (two digits) and share\n\
             value, as bytes in this order. It must be in the commitments file of the set.\n\
             \n\
             WHAT THAT PROVES\n\
             That this page holds the number that was fixed when the set was made: that it\n\
             was not copied wrongly, swapped or altered since the commitments were\n\
             published.\n\
             \n\
             WHAT IT DOES NOT PROVE\n\
             That the shares together open the share file: only {threshold} custodians together can\n\
             show that, with `chancery dkek inspect`. Nor who else has seen this page, or\n\
             that whoever made the set kept no copy.\n\
             The commitment tells nobody the share as long as the nonce stays on this page:\n\
             keep both as secret as each other.\n",
            threshold = self.how.threshold(),
            shares = self.how.shares(),
        );
        text
    }
}

/// More than any page has, in bytes: text with a secret never moves.
const CAPACITY: usize = 8 * 1024;

/// Bytes as digits, so many in a group.
struct Digits<'a>(&'a [u8], &'static str, usize);

impl std::fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 && index % self.2 == 0 {
                f.write_str(self.1)?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Bytes in capital digits.
struct Upper<'a>(&'a [u8]);

impl std::fmt::Display for Upper<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Prime, ShareValue, text};

    fn with_page<R>(look: impl FnOnce(&SharePage<'_>) -> R) -> R {
        let share = PasswordShare {
            prime: Prime([0xE2, 0x8C, 0x4E, 0x2A, 0x93, 0xCC, 0xA8, 0x77]),
            id: 2,
            value: ShareValue::new([0x0D, 0xD4, 0x9D, 0x69, 0x82, 0x04, 0x8A, 0x5B]),
        };
        let nonce = Nonce::new([0xA5; 16]);
        look(&SharePage {
            set: SetId([7; 8]),
            how: Threshold::new(2, 4).unwrap(),
            share: &share,
            nonce: &nonce,
            salt: [1; 8],
            kcv: [0xAB; 8],
        })
    }

    #[test]
    fn what_is_shown_fits_its_screen_and_is_read_back() {
        with_page(|page| {
            let text = page.secret_lines();
            assert!(
                text.lines().all(|line| line.len() <= usize::from(SCREEN_WIDTH)),
                "{}",
                *text
            );
            assert!(text.lines().count() + 8 <= usize::from(SCREEN_HEIGHT));
            for text in [text, page.secret_text()] {
                assert!(text.len() <= CAPACITY);
                let [read] = <[_; 1]>::try_from(text::parse(&text).unwrap()).unwrap();
                let (share, faults) = read.read(text::IdReading::Decimal);
                assert!(faults.is_empty(), "{faults:?}");
                assert_eq!(share.as_ref(), Some(page.share));
                assert_eq!((read.set, read.needed), (Some(page.set), Some(2)));
                assert_eq!(read.nonce.unwrap().secret_bytes(), page.nonce.secret_bytes());
            }
        });
    }

    #[test]
    fn a_page_fits_paper() {
        with_page(|page| {
            let text = page.secret_text();
            assert!(text.lines().all(|line| line.chars().count() <= 92), "{}", *text);
            assert!(text.lines().count() <= 60);
            assert!(text.contains("WHAT IT DOES NOT PROVE"));
        });
    }
}
