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
    /// The entries for `tokens` tokens from `port` on, without the first, which the package brings (or the administrator,
    /// for another port). Copies of the driver are under `drivers`. `None` when the ports do not suffice.
    #[must_use]
    pub fn beyond_the_first(port: u16, tokens: usize, drivers: &Path) -> Option<Vec<Self>> {
        let readers = u16::try_from(tokens.div_ceil(usize::from(SLOTS))).ok()?;
        (1..readers)
            .map(|number| {
                let port = port.checked_add(number.checked_mul(SLOTS)?)?;
                port.checked_add(SLOTS - 1)?;
                Some(Self {
                    port,
                    driver: drivers.join(format!("libifdvpcd-{port}.so")),
                })
            })
            .collect()
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
    fn two_tokens_need_no_entry_and_each_further_pair_one() {
        let entries = |port, tokens| ReaderEntry::beyond_the_first(port, tokens, Path::new("/drivers"));
        for tokens in 0..=2 {
            assert_eq!(entries(35_963, tokens), Some(Vec::new()));
        }
        let ports = |tokens| {
            let entries = entries(35_963, tokens).unwrap();
            entries.iter().map(|entry| entry.port).collect::<Vec<_>>()
        };
        assert_eq!(ports(3), [35_965]);
        assert_eq!(ports(4), [35_965]);
        assert_eq!(ports(5), [35_965, 35_967]);
        assert_eq!(entries(65_533, 4), None, "there is no port 65536");
        assert_eq!(entries(65_532, 4).unwrap()[0].port, 65_534);
        assert_eq!(
            entries(100, 3).unwrap()[0].text(),
            "FRIENDLYNAME \"Virtual PCD 102\"\nDEVICENAME   /dev/null:102\n\
             LIBPATH      /drivers/libifdvpcd-102.so\nCHANNELID    102\n"
        );
    }
}
