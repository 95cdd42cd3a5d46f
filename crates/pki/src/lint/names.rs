//! Checks of the subject alternative names (RFC 5280 4.2.1.6).

use super::{Parts, Report};
use crate::altname::{AltName, check_dns};
use crate::name;
use crate::oid;
use crate::profile::Profile;

impl Parts<'_> {
    pub(super) fn check_alt_names(&self, profile: &Profile, report: &mut Report) {
        let rule = &profile.names;
        let subject_empty = self.subject.raw == [0x30, 0];
        let Some(extension) = self.find(oid::SUBJECT_ALT_NAME) else {
            report.require(
                !rule.required,
                "alt-names-missing",
                "the profile requires alternative names",
            );
            report.require(
                !subject_empty,
                "alt-names-missing",
                "neither a subject nor alternative names",
            );
            return;
        };
        report.require(
            extension.critical == subject_empty,
            "alt-names-criticality",
            "alternative names are critical exactly when the subject is empty",
        );
        let elements = match AltName::elements(extension.value) {
            Ok(elements) => elements,
            Err(error) => {
                report.error("alt-names", error.to_string());
                return;
            }
        };
        if elements.len() > rule.max {
            report.error(
                "alt-names-count",
                format!("the profile takes at most {} names", rule.max),
            );
        }
        let mut names: Vec<AltName> = Vec::with_capacity(elements.len());
        for element in &elements {
            let name = match AltName::from_element(element) {
                Ok(name) => name,
                Err(error) => {
                    report.error("alt-name-syntax", error.to_string());
                    continue;
                }
            };
            if !rule.kinds.contains(&name.kind()) {
                report.error("alt-name-kind", format!("the profile does not take {name}"));
            }
            if name.is_wildcard() && !rule.wildcards {
                report.error("alt-name-wildcard", format!("the profile does not take {name}"));
            }
            if names.contains(&name) {
                report.error("alt-name-duplicate", format!("{name} is there twice"));
            }
            names.push(name);
        }
        self.check_common_name(profile, &names, report);
    }

    /// Clients look for a server's name in the alternative names only (RFC 9525 2).
    fn check_common_name(&self, profile: &Profile, names: &[AltName], report: &mut Report) {
        if !profile.extended_key_usage.contains(&oid::SERVER_AUTH) {
            return;
        }
        let Ok((_, attributes)) = name::read(self.subject.raw) else {
            return;
        };
        let Some(common_name) = name::common_name(&attributes) else {
            return;
        };
        let is_host = common_name.contains('.') && check_dns(common_name).is_ok();
        let listed =
            |name: &AltName| matches!(name, AltName::Dns(dns) if dns.eq_ignore_ascii_case(common_name));
        if is_host && !names.iter().any(listed) {
            let message = format!("the common name {common_name} is not among the alternative names");
            report.warning("common-name", message);
        }
    }
}
