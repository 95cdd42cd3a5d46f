//! Which readers pcscd needs for so many tokens.

use std::path::{Path, PathBuf};

/// The port of Debian's reader.
pub const DEFAULT_PORT: u16 = 35_963;
/// Slots of one reader: it listens on its port and on the next.
pub const SLOTS: u16 = 2;
/// Where pcscd looks for readers.
pub const READER_CONF: &str = "/etc/reader.conf.d";
/// The driver, as Debian's package `vsmartcard-vpcd` installs it.
pub const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// A reader that pcscd is told of in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderEntry {
    /// Port of its first slot.
    pub port: u16,
    /// The driver. Two readers of one driver file mix up their slots: each further one needs a copy under another name.
    pub driver: PathBuf,
}

impl ReaderEntry {
    /// The entries that `tokens` tokens need from `port` on, beyond the one that Debian's package brings for
    /// [`DEFAULT_PORT`]. Copies of the driver are under `drivers`. `None` when there are not so many ports.
    #[must_use]
    pub fn needed(port: u16, tokens: usize, drivers: &Path) -> Option<Vec<Self>> {
        let readers = u16::try_from(tokens.div_ceil(usize::from(SLOTS))).ok()?;
        let entries = (0..readers).map(|number| {
            let port = port.checked_add(number.checked_mul(SLOTS)?)?;
            port.checked_add(SLOTS - 1)?;
            Some(Self {
                port,
                driver: drivers.join(format!("libifdvpcd-{port}.so")),
            })
        });
        entries
            .filter(|entry| entry.as_ref().is_none_or(|entry| entry.port != DEFAULT_PORT))
            .collect()
    }

    /// The slot of the token with this number, counted from 0.
    #[must_use]
    pub fn slot_port(port: u16, number: usize) -> Option<u16> {
        port.checked_add(u16::try_from(number).ok()?)
    }

    /// Whether the slot on this port is one of its own.
    #[must_use]
    pub fn has_slot(&self, port: u16) -> bool {
        port.checked_sub(self.port).is_some_and(|number| number < SLOTS)
    }

    /// Name of its file.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("chancery-{}", self.port)
    }

    /// The entry, in the form of reader.conf(5).
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "FRIENDLYNAME \"Virtual PCD {port}\"\nDEVICENAME   /dev/null:{port}\nLIBPATH      {driver}\nCHANNELID    {port}\n",
            port = self.port,
            driver = self.driver.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_package_brings_serves_two_tokens_and_each_further_pair_needs_an_entry() {
        let entries = |port, tokens| ReaderEntry::needed(port, tokens, Path::new("/drivers"));
        let ports = |port, tokens| {
            let entries = entries(port, tokens).unwrap();
            entries.iter().map(|entry| entry.port).collect::<Vec<_>>()
        };
        for tokens in 0..=2 {
            assert_eq!(ports(DEFAULT_PORT, tokens), [0; 0]);
        }
        assert_eq!(ports(DEFAULT_PORT, 3), [35_965]);
        assert_eq!(ports(DEFAULT_PORT, 4), [35_965]);
        assert_eq!(ports(DEFAULT_PORT, 5), [35_965, 35_967]);
        // Another port has none of the package's.
        assert_eq!(ports(100, 1), [100]);
        assert_eq!(entries(65_533, 4), None, "there is no port 65536");
        assert_eq!(entries(65_535, 1), None);
        assert_eq!(ports(65_532, 4), [65_532, 65_534]);
        let entry = &entries(100, 3).unwrap()[1];
        assert_eq!(
            entry.text(),
            "FRIENDLYNAME \"Virtual PCD 102\"\nDEVICENAME   /dev/null:102\n\
             LIBPATH      /drivers/libifdvpcd-102.so\nCHANNELID    102\n"
        );
        assert!(!entry.has_slot(101) && entry.has_slot(102) && entry.has_slot(103) && !entry.has_slot(104));
    }
}
