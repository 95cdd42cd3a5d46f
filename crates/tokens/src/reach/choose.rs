//! The token a person means.

use crate::reach::{Found, Presence, ReachError, Survey};

/// What a token is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To look: the only token there is need not be named.
    Read,
    /// To change something or use a key: the token must be named.
    Change,
}

impl Survey {
    /// Finds the token called `wanted`: its device id (with or without the sequence digits), its label, or its name as a
    /// virtual token. `device:`, `label:` and `name:` before it say which of these is meant. Letters of device ids match in
    /// either case.
    ///
    /// # Errors
    /// [`ReachError::NoTokens`], [`ReachError::NotFound`], [`ReachError::Ambiguous`], [`ReachError::Unnamed`].
    pub fn choose(&self, wanted: Option<&str>, intent: Intent) -> Result<&Found, ReachError> {
        if self.tokens.is_empty() {
            return Err(ReachError::NoTokens {
                remarks: self.remarks.clone(),
            });
        }
        let called = |tokens: &[&Found]| tokens.iter().map(|token| token.called()).collect::<Vec<_>>();
        let all: Vec<&Found> = self.tokens.iter().collect();
        let Some(wanted) = wanted else {
            return match (all.as_slice(), intent) {
                ([only], Intent::Read) => Ok(only),
                _ => Err(ReachError::Unnamed {
                    candidates: called(&all),
                }),
            };
        };
        let fitting: Vec<&Found> = self.tokens.iter().filter(|token| token.is(wanted)).collect();
        match fitting.as_slice() {
            [] => Err(ReachError::NotFound {
                wanted: wanted.to_owned(),
                present: called(&all),
                remarks: self.remarks.clone(),
            }),
            [only] => Ok(only),
            several => Err(ReachError::Ambiguous {
                wanted: wanted.to_owned(),
                candidates: called(several),
            }),
        }
    }
}

impl Found {
    /// Whether a person can mean this token by these words.
    #[must_use]
    pub fn is(&self, wanted: &str) -> bool {
        match wanted.split_once(':') {
            Some(("device", id)) => self.has_device_id(id),
            Some(("label", label)) => self.has_label(label),
            Some(("name", name)) => self.has_name(name),
            _ => self.has_device_id(wanted) || self.has_label(wanted) || self.has_name(wanted),
        }
    }

    /// Whether it can be used now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.presence == Presence::Ready
    }

    fn has_device_id(&self, wanted: &str) -> bool {
        self.device
            .as_ref()
            .is_some_and(|device| same_device(device, wanted))
    }

    fn has_label(&self, wanted: &str) -> bool {
        self.label.as_deref() == Some(wanted)
    }

    fn has_name(&self, wanted: &str) -> bool {
        self.way
            .virtual_name()
            .is_some_and(|name| name.as_str() == wanted)
    }
}

/// Whether `wanted` is this device id, or this device id with five sequence digits.
fn same_device(device: &str, wanted: &str) -> bool {
    wanted.eq_ignore_ascii_case(device)
        || wanted
            .split_at_checked(device.len())
            .is_some_and(|(id, sequence)| {
                id.eq_ignore_ascii_case(device)
                    && sequence.len() == 5
                    && sequence.bytes().all(|byte| byte.is_ascii_digit())
            })
}

#[cfg(test)]
mod tests {
    use chancery_vtoken::TokenName;

    use super::*;
    use crate::reach::Way;

    fn token(name: &str, device: &str, label: &str) -> Found {
        Found {
            way: Way::Virtual {
                name: TokenName::new(name).unwrap(),
            },
            device: Some(device.to_owned()),
            label: (!label.is_empty()).then(|| label.to_owned()),
            presence: Presence::Ready,
        }
    }

    fn survey(tokens: &[Found]) -> Survey {
        Survey {
            tokens: tokens.to_vec(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_token_is_meant_by_device_id_label_or_name() {
        let survey = survey(&[
            token("hsm-a", "UTCHDAAAAAA", "signer"),
            token("hsm-b", "UTCHDBBBBBB", ""),
        ]);
        for wanted in [
            "hsm-a",
            "UTCHDAAAAAA",
            "utchdaaaaaa",
            "UTCHDAAAAAA00000",
            "signer",
            "label:signer",
            "name:hsm-a",
            "device:UTCHDAAAAAA",
        ] {
            let found = survey.choose(Some(wanted), Intent::Change).unwrap();
            assert_eq!(found.device.as_deref(), Some("UTCHDAAAAAA"), "{wanted}");
        }
        for wanted in [
            "",
            "0",
            "hsm",
            "label:hsm-a",
            "name:signer",
            "UTCHDAAAAAA0000",
            "UTCHDAAAAAAxxxxx",
        ] {
            assert!(
                matches!(
                    survey.choose(Some(wanted), Intent::Read),
                    Err(ReachError::NotFound { .. })
                ),
                "{wanted}"
            );
        }
    }

    #[test]
    fn words_that_fit_two_tokens_choose_none() {
        let survey = survey(&[
            token("hsm-a", "UTCHDAAAAAA", "UTCHDBBBBBB"),
            token("hsm-b", "UTCHDBBBBBB", "hsm-b"),
        ]);
        let error = survey.choose(Some("UTCHDBBBBBB"), Intent::Change).unwrap_err();
        assert!(matches!(&error, ReachError::Ambiguous { candidates, .. } if candidates.len() == 2));
        assert!(error.to_string().contains("UTCHDAAAAAA"), "{error}");
        let sure = survey.choose(Some("device:UTCHDBBBBBB"), Intent::Change).unwrap();
        assert_eq!(sure.way.virtual_name().unwrap().as_str(), "hsm-b");
        assert!(survey.choose(Some("hsm-b"), Intent::Change).is_ok());
    }

    #[test]
    fn the_only_token_is_taken_without_a_name_only_to_look() {
        let one = survey(&[token("hsm-a", "UTCHDAAAAAA", "")]);
        assert!(one.choose(None, Intent::Read).is_ok());
        assert!(matches!(
            one.choose(None, Intent::Change),
            Err(ReachError::Unnamed { .. })
        ));
        let two = survey(&[
            token("hsm-a", "UTCHDAAAAAA", ""),
            token("hsm-b", "UTCHDBBBBBB", ""),
        ]);
        assert!(matches!(
            two.choose(None, Intent::Read),
            Err(ReachError::Unnamed { .. })
        ));
        assert!(matches!(
            survey(&[]).choose(None, Intent::Read),
            Err(ReachError::NoTokens { .. })
        ));
    }
}
