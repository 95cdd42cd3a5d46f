//! What a token is to be, asked one question after the other.

use super::{
    ask,
    options::{SetupArgs, Unblocking, quorum},
};
use crate::{context::Context, error::CliError};

/// Asks. An empty answer is the one shown in brackets; nonsense is asked again.
pub(super) fn ask_all(context: &Context, called: &str) -> Result<SetupArgs, CliError> {
    context.tell(format!(
        "Setting up {called}. Everything but its device key will be erased."
    ));
    let mut args = SetupArgs::default();
    let label = question(context, "Label, shown by other software, too [none]:", |text| {
        (text.len() <= 64).then(|| text.to_owned())
    })?;
    args.label = Some(label).filter(|label| !label.is_empty());
    let opened = question(
        context,
        "Who opens it? 1 a PIN, 2 a transport PIN that its owner replaces, 3 custodians, 4 a PIN and custodians [1]:",
        |text| choice(text, 4, 1),
    )?;
    args.transport_pin = opened == 2;
    args.no_pin = opened == 3;
    args.pin_and_quorum = opened == 4;
    if opened >= 3 {
        let quorum = question(context, "How many custodians, such as 2of3 [2of3]:", |text| {
            quorum(if text.is_empty() { "2of3" } else { text }).ok()
        })?;
        args.quorum = Some(quorum);
    }
    let backup = question(
        context,
        "Backup: 1 keys never leave it, 2 one key encryption key from shares, 3 several key domains [2]:",
        |text| choice(text, 3, 2),
    )?;
    match backup {
        2 => {
            let shares = question(context, "Of how many shares [2]:", |text| number(text, 2))?;
            args.dkek_shares = Some(shares);
        }
        3 => {
            args.domain_shares = question(context, "Shares of each domain, such as 1,3 [1,1]:", |text| {
                let text = if text.is_empty() { "1,1" } else { text };
                text.split(',')
                    .map(|part| part.trim().parse().ok().filter(|shares| *shares > 0))
                    .collect()
            })?;
        }
        _ => {}
    }
    if !args.no_pin {
        let unblock = question(
            context,
            "A blocked PIN: 1 the SO-PIN sets a new one, 2 the SO-PIN gives its tries back, 3 stays blocked [1]:",
            |text| choice(text, 3, 1),
        )?;
        args.unblock = match unblock {
            1 => Unblocking::NewPin,
            2 => Unblocking::Tries,
            _ => Unblocking::Nothing,
        };
    }
    Ok(args)
}

fn question<T>(context: &Context, text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, CliError> {
    loop {
        let answer = ask(text, "flags, see chancery token init --help")?;
        if let Some(value) = read(&answer) {
            return Ok(value);
        }
        context.tell(format!("{answer:?} is no answer to that."));
    }
}

fn choice(text: &str, most: u8, default: u8) -> Option<u8> {
    number(text, default).filter(|number| *number <= most)
}

fn number(text: &str, default: u8) -> Option<u8> {
    if text.is_empty() {
        return Some(default);
    }
    text.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_stay_within_their_choices() {
        assert_eq!(choice("", 4, 2), Some(2));
        assert_eq!(choice("4", 4, 2), Some(4));
        for bad in ["0", "5", "x", "-1", "256"] {
            assert_eq!(choice(bad, 4, 2), None, "{bad}");
        }
    }
}
