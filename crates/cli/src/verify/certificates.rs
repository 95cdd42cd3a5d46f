//! Certificates and CRLs: what the log says and what the database says must be the same.

use std::collections::HashMap;

use chancery_api::{Decision, Hash32};

use super::{
    leaf::{Claimed, CrlEvent, Event, Issued},
    record::{CertificateRecord, CrlRecord},
};

/// A CA's name and a serial number, hexadecimal.
type Serial = (String, String);

/// What the log says so far.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    /// Index of the leaf, to-be-signed bytes.
    claimed: HashMap<Serial, (u64, Hash32)>,
    issued: HashMap<Serial, (u64, Hash32)>,
    crls_claimed: HashMap<(String, i64), Hash32>,
    crls_issued: HashMap<(String, i64), Hash32>,
}

impl Certificates {
    /// Number of certificates claimed.
    pub(crate) fn len(&self) -> usize {
        self.claimed.len()
    }

    /// Whether the log says that this certificate was issued.
    pub(crate) fn was_issued(&self, der: &[u8]) -> bool {
        let hash = Hash32::of(der);
        self.issued.values().any(|(_, issued)| *issued == hash)
    }

    /// Takes an event; `decision` is that of its act, where it has one in full.
    pub(crate) fn take(
        &mut self,
        index: u64,
        event: &Event,
        decision: Option<&Decision>,
    ) -> Result<(), String> {
        match event.event.as_str() {
            "certificates-claimed" => {
                let Some(Decision::RequestSign { items }) = decision else {
                    return Err("certificates were claimed without a decision to sign".to_owned());
                };
                for claimed in event.data::<Vec<Claimed>>(Some("certificates"))? {
                    let Claimed { ca, serial, tbs } = claimed;
                    if !items
                        .iter()
                        .any(|item| item.ca == ca && item.serial == serial && item.tbs == tbs)
                    {
                        return Err(format!(
                            "certificate {serial} of CA {ca} is not the one that was decided on"
                        ));
                    }
                    if self
                        .claimed
                        .insert((ca.clone(), serial.clone()), (index, tbs))
                        .is_some()
                    {
                        return Err(format!("serial number {serial} of CA {ca} was given twice"));
                    }
                }
            }
            "certificates-issued" => {
                for issued in event.data::<Vec<Issued>>(Some("certificates"))? {
                    let serial = (issued.ca, issued.serial);
                    if !self.claimed.contains_key(&serial) {
                        return Err(format!(
                            "certificate {} of CA {} was issued and never claimed",
                            serial.1, serial.0
                        ));
                    }
                    if self
                        .issued
                        .insert(serial.clone(), (index, issued.certificate))
                        .is_some()
                    {
                        return Err(format!(
                            "certificate {} of CA {} was issued twice",
                            serial.1, serial.0
                        ));
                    }
                }
            }
            "crl-claimed" => {
                let crl: CrlEvent = event.data(None)?;
                let bytes = crl.tbs.ok_or("a CRL was claimed without its bytes")?;
                match decision {
                    Some(Decision::CrlCreate { ca, number, tbs, .. })
                        if (ca, *number, *tbs) == (&crl.ca, crl.number, bytes) => {}
                    _ => {
                        return Err(format!(
                            "CRL {} of CA {} is not one that was decided on",
                            crl.number, crl.ca
                        ));
                    }
                }
                if self
                    .crls_claimed
                    .insert((crl.ca.clone(), crl.number), bytes)
                    .is_some()
                {
                    return Err(format!(
                        "CRL number {} of CA {} was given twice",
                        crl.number, crl.ca
                    ));
                }
            }
            "crl-issued" => {
                let crl: CrlEvent = event.data(None)?;
                let hash = crl.crl.ok_or("a CRL was issued without its hash")?;
                let number = (crl.ca, crl.number);
                if !self.crls_claimed.contains_key(&number) {
                    return Err(format!(
                        "CRL {} of CA {} was issued and never claimed",
                        number.1, number.0
                    ));
                }
                self.crls_issued.insert(number, hash);
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares with the database. Leaves from `rows_read_at` on may be newer than the rows.
    pub(crate) fn compare(
        &self,
        rows: &HashMap<Serial, CertificateRecord>,
        crls: &[CrlRecord],
        rows_read_at: u64,
        problems: &mut Vec<String>,
    ) {
        for ((ca, serial), row) in rows {
            let name = format!("certificate {serial} of CA {ca}");
            let key = (ca.clone(), serial.clone());
            match self.claimed.get(&key) {
                None => problems.push(format!("{name} is in the database and not in the log")),
                Some((_, tbs)) if *tbs != row.tbs => {
                    problems.push(format!("{name}: its to-be-signed bytes are not those in the log"));
                }
                Some(_) => {}
            }
            let signed = row.state != "signing";
            match (self.issued.get(&key), row.sha256) {
                (None, Some(_)) => problems.push(format!("{name} is signed and the log does not say so")),
                (Some((_, logged)), Some(hash)) if *logged != hash => {
                    problems.push(format!("{name} is another one than the log says"));
                }
                (Some((index, _)), None) if *index < rows_read_at => {
                    problems.push(format!("{name} was issued and the database has lost it"));
                }
                (_, None) if signed => problems.push(format!("{name} is {} without its bytes", row.state)),
                _ => {}
            }
        }
        for ((ca, serial), (index, _)) in &self.claimed {
            if *index < rows_read_at && !rows.contains_key(&(ca.clone(), serial.clone())) {
                problems.push(format!(
                    "certificate {serial} of CA {ca} is in the log and not in the database"
                ));
            }
        }
        for crl in crls {
            let name = format!("CRL {} of CA {}", crl.number, crl.ca);
            let key = (crl.ca.clone(), crl.number);
            if self.crls_claimed.get(&key) != Some(&crl.tbs) {
                problems.push(format!("{name} is not the one in the log"));
            }
            if crl.sha256.is_some() && self.crls_issued.get(&key) != crl.sha256.as_ref() {
                problems.push(format!("{name} is signed and the log does not say so"));
            }
        }
    }
}
