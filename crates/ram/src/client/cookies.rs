//! Cookies of a server that is not ours.

use zeroize::Zeroizing;

use super::post::Reply;

/// Names and values. Every POST of a session goes to one address, so neither path nor domain is looked at.
#[derive(Clone, Default)]
pub(super) struct Cookies(Vec<(String, Zeroizing<String>)>);

const MOST: usize = 16;
const LONGEST: usize = 4096;

impl Cookies {
    /// Takes what an answer sets.
    pub(super) fn take(&mut self, reply: &Reply) {
        for cookie in &reply.cookies {
            let mut parts = cookie.split(';');
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            let printable = |text: &str| text.bytes().all(|byte| matches!(byte, 0x20..=0x7E));
            if name.is_empty() || name.len() + value.len() > LONGEST || !printable(name) || !printable(value)
            {
                continue;
            }
            self.0.retain(|(known, _)| known != name);
            let gone = parts.any(|attribute| {
                attribute
                    .split_once('=')
                    .is_some_and(|(key, age)| key.trim().eq_ignore_ascii_case("max-age") && age.trim() == "0")
            });
            if !gone && self.0.len() < MOST {
                self.0.push((name.to_owned(), Zeroizing::new(value.to_owned())));
            }
        }
    }

    /// The header to send.
    pub(super) fn header(&self) -> Option<Zeroizing<String>> {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| Zeroizing::new(format!("{name}={}", value.as_str())))
            .collect();
        let pairs: Vec<&str> = pairs.iter().map(|pair| pair.as_str()).collect();
        (!pairs.is_empty()).then(|| Zeroizing::new(pairs.join("; ")))
    }
}
