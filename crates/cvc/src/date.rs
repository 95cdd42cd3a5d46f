//! Dates of certificates.

use time::{Date, Month};

/// A date of the years 2000 to 2099, the only ones a certificate can name (reference: BSI TR-03110-3 D.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CardDate {
    date: Date,
    digits: [u8; LEN],
}

impl CardDate {
    /// Takes a date; `None` outside 2000..=2099.
    pub(crate) fn new(date: Date) -> Option<Self> {
        let year = u8::try_from(date.year().checked_sub(2000)?)
            .ok()
            .filter(|year| *year < 100)?;
        let (month, day) = (u8::from(date.month()), date.day());
        let digits = [year / 10, year % 10, month / 10, month % 10, day / 10, day % 10];
        Some(Self { date, digits })
    }

    /// Reads six bytes, one decimal digit each, or three bytes of packed digits as some issuers write them. `None`
    /// when that is no date.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let digits: [u8; LEN] = match bytes {
            [a, b, c] => [a >> 4, a & 0x0F, b >> 4, b & 0x0F, c >> 4, c & 0x0F],
            _ => bytes.try_into().ok()?,
        };
        if digits.iter().any(|digit| *digit > 9) {
            return None;
        }
        let [y1, y0, m1, m0, d1, d0] = digits;
        let month = Month::try_from(m1 * 10 + m0).ok()?;
        let date = Date::from_calendar_date(2000 + i32::from(y1 * 10 + y0), month, d1 * 10 + d0).ok()?;
        Some(Self { date, digits })
    }

    pub(crate) fn date(self) -> Date {
        self.date
    }

    /// One decimal digit a byte: YYMMDD.
    pub(crate) fn digits(&self) -> &[u8; LEN] {
        &self.digits
    }
}

const LEN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_packed_digits() {
        let date = Date::from_calendar_date(2024, Month::January, 27).unwrap();
        assert_eq!(
            CardDate::parse(&[2, 4, 0, 1, 2, 7]).map(CardDate::date),
            Some(date)
        );
        assert_eq!(CardDate::parse(&[0x24, 0x01, 0x27]), CardDate::new(date));
        assert_eq!(CardDate::new(date).unwrap().digits(), &[2, 4, 0, 1, 2, 7]);
    }

    #[test]
    fn refuses_what_is_no_date() {
        for bad in [
            &[][..],
            &[2, 4, 1, 3, 0, 1],
            &[2, 3, 0, 2, 2, 9],
            &[2, 4, 0, 1, 2, 10],
            &[2, 4, 0, 1, 2],
            &[0x2A, 1, 1],
        ] {
            assert_eq!(CardDate::parse(bad), None, "{bad:?}");
        }
        assert_eq!(
            CardDate::new(Date::from_calendar_date(2100, Month::January, 1).unwrap()),
            None
        );
        assert_eq!(
            CardDate::new(Date::from_calendar_date(1999, Month::January, 1).unwrap()),
            None
        );
    }
}
