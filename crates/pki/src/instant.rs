//! Conversion between `time` and X.509 times (RFC 5280 4.1.2.5), whole seconds.

use core::time::Duration;

use der::DateTime;
use time::OffsetDateTime;
use x509_cert::time::Time;

use crate::element::Element;

/// The X.509 form of a moment: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 4.1.2.5).
/// Parts of a second are cut off.
pub(crate) fn to_x509(moment: OffsetDateTime) -> der::Result<Time> {
    let seconds = u64::try_from(moment.unix_timestamp()).map_err(|_| der::ErrorKind::DateTime)?;
    Ok(Time::from(DateTime::from_unix_duration(Duration::from_secs(
        seconds,
    ))?))
}

/// The moment of an X.509 time.
pub(crate) fn from_x509(time: Time) -> der::Result<OffsetDateTime> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| der::ErrorKind::DateTime)?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| der::ErrorKind::DateTime.into())
}

/// The moment of a UTCTime or GeneralizedTime element.
pub(crate) fn from_element(element: &Element<'_>) -> der::Result<OffsetDateTime> {
    from_x509(element.decode::<Time>()?)
}

/// The moment without its part of a second, or nothing outside of the representable years.
pub(crate) fn whole_seconds(moment: OffsetDateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(moment.unix_timestamp()).ok()
}
