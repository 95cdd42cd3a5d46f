//! What a token is to be, from flags.

use chancery_schsm::InitializeOptions as Options;
use chancery_tokens::initialise::Blueprint;
use clap::{Args, ValueEnum};

use crate::error::CliError;

/// What a token is to be.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SetupArgs {
    /// Label, shown by other software, too
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// One key encryption key (DKEK) from this many shares; 0 for a random one that never leaves
    #[arg(long, value_name = "SHARES", conflicts_with_all = ["domains", "domain_shares"])]
    pub(crate) dkek_shares: Option<u8>,
    /// Places for this many key domains (1 to 16), made later
    #[arg(long, value_name = "COUNT")]
    pub(crate) domains: Option<u8>,
    /// Make key domains at once, with these numbers of shares: 1,3 makes two
    #[arg(long, value_name = "SHARES,..", value_delimiter = ',')]
    pub(crate) domain_shares: Vec<u8>,
    /// Custodians open the token, such as 2of3
    #[arg(long, value_name = "NofM", value_parser = quorum)]
    pub(crate) quorum: Option<(u8, u8)>,
    /// No PIN: the custodians alone open it
    #[arg(long, requires = "quorum", conflicts_with_all = ["transport_pin", "pin_and_quorum", "pin_file"])]
    pub(crate) no_pin: bool,
    /// PIN and custodians are both needed
    #[arg(long, requires = "quorum")]
    pub(crate) pin_and_quorum: bool,
    /// The PIN is a transport PIN: its owner has to replace it before first use
    #[arg(long)]
    pub(crate) transport_pin: bool,
    /// Tries of the PIN [default: as many as its length permits: 6 characters 3, 7 characters 5, more 10]
    #[arg(long, value_name = "COUNT")]
    pub(crate) tries: Option<u8>,
    /// What the SO-PIN may do for a blocked PIN
    #[arg(long, value_enum, default_value = "new-pin", value_name = "WHAT")]
    pub(crate) unblock: Unblocking,
    /// Session PIN: at-reset or explicit
    #[arg(long, value_enum, value_name = "ENDS")]
    pub(crate) session_pin: Option<SessionPin>,
    /// Registered custodian keys may be replaced
    #[arg(long, requires = "quorum", conflicts_with = "session_pin")]
    pub(crate) replace_custodians: bool,
}

/// What the SO-PIN may do for a blocked PIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unblocking {
    /// Nothing: a blocked PIN stays blocked
    Nothing,
    /// Give its tries back
    Tries,
    /// Give its tries back and set another PIN
    #[default]
    NewPin,
}

/// When a session PIN ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SessionPin {
    /// With a reset
    AtReset,
    /// When it is cleared
    Explicit,
}

impl SetupArgs {
    /// The blueprint, its tries still open.
    pub(crate) fn blueprint(&self) -> Result<Blueprint, CliError> {
        let mut options = match self.unblock {
            Unblocking::Nothing => Options::NONE,
            Unblocking::Tries => Options::RESET_RETRY_COUNTER | Options::RESET_WITHOUT_NEW_PIN,
            Unblocking::NewPin => Options::RESET_RETRY_COUNTER,
        };
        let mut set = |wanted: bool, option: Options| {
            if wanted {
                options = options | option;
            }
        };
        set(self.transport_pin, Options::TRANSPORT_PIN);
        set(self.session_pin.is_some(), Options::SESSION_PIN);
        set(
            self.session_pin == Some(SessionPin::Explicit) || self.replace_custodians,
            Options::REPLACE_PUBLIC_KEYS,
        );
        set(self.pin_and_quorum, Options::PIN_AND_PUBLIC_KEYS);
        let made = u8::try_from(self.domain_shares.len())
            .map_err(|_| CliError::Usage("more key domains than a token has places for".to_owned()))?;
        let domains = match (self.domains, made) {
            (None, 0) => None,
            (None, made) => Some(made),
            (Some(places), _) => Some(places),
        };
        Ok(Blueprint {
            options: options.0,
            with_pin: !self.no_pin,
            retry: 0,
            dkek_shares: self.dkek_shares,
            domains,
            domain_shares: self.domain_shares.clone(),
            quorum: self.quorum,
            label: self.label.clone(),
        })
    }
}

/// Reads `2of3`, `2-of-3` and `2/3`.
pub(super) fn quorum(text: &str) -> Result<(u8, u8), String> {
    let wrong = || format!("{text:?} is no quorum, such as 2of3");
    let (required, total) = text
        .split_once("-of-")
        .or_else(|| text.split_once("of"))
        .or_else(|| text.split_once('/'))
        .ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u8>().map_err(|_| wrong());
    let (required, total) = (number(required)?, number(total)?);
    if 1 <= required && required <= total && total <= 90 {
        Ok((required, total))
    } else {
        Err(format!("a quorum is 1 <= n <= m <= 90, not {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_read_in_three_ways() {
        for text in ["2of3", "2-of-3", "2/3", "2 of 3"] {
            assert_eq!(quorum(text), Ok((2, 3)), "{text}");
        }
        for bad in ["", "3of2", "0of1", "2", "of", "2of91", "2of300", "-1of2"] {
            assert!(quorum(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_become_the_option_word() {
        let options = |args: SetupArgs| args.blueprint().unwrap().options;
        assert_eq!(options(SetupArgs::default()), 0x0001);
        let args = SetupArgs {
            unblock: Unblocking::Tries,
            transport_pin: true,
            session_pin: Some(SessionPin::Explicit),
            ..SetupArgs::default()
        };
        assert_eq!(options(args), 0x002F);
        let args = SetupArgs {
            unblock: Unblocking::Nothing,
            quorum: Some((2, 3)),
            pin_and_quorum: true,
            replace_custodians: true,
            ..SetupArgs::default()
        };
        assert_eq!(options(args), 0x0018);
    }

    #[test]
    fn domains_that_are_made_need_no_further_count() {
        let args = SetupArgs {
            domain_shares: vec![1, 3],
            ..SetupArgs::default()
        };
        assert_eq!(args.blueprint().unwrap().domains, Some(2));
    }
}
