//! Showing each custodian a share, and having a part of it typed back.

use chancery_agent::PrivateScreen;
use chancery_api::FailureKind;
use chancery_dkek::{RandomError, page::SharePage};

use super::{protect::fill, sources::scheme, typing::failed};
use crate::error::CliError;

/// How often a share is shown before this is given up.
const SHOWINGS: usize = 5;

/// Shows one share alone, and lets two of its groups be typed back.
pub(super) fn share(screen: &mut PrivateScreen, page: &SharePage<'_>, printed: bool) -> Result<(), CliError> {
    let (id, shares) = (page.share.id, page.how.shares());
    screen
        .show(&format!(
            "Share {id} of {shares}: this screen is for one custodian alone.\nNobody else looks. It is cleared afterwards.\n\n"
        ))
        .map_err(failed)?;
    screen
        .ask("Press Enter to see your share. ", true)
        .map_err(failed)?;
    let mut notice = "";
    for _ in 0..SHOWINGS {
        let keep = if printed {
            "Compare it with your page"
        } else {
            "Write down every line"
        };
        screen
            .show(&format!(
                "{notice}Share {id} of {shares}\n\n{}\n{keep}, then press Enter. ",
                page.secret_lines().as_str()
            ))
            .map_err(failed)?;
        screen.ask("", false).map_err(failed)?;
        if typed_back(screen, page)? {
            screen.show("").map_err(failed)?;
            return Ok(());
        }
        notice = "That was not right; here it is once more.\n\n";
    }
    Err(CliError::new(
        FailureKind::Invalid,
        format!("share {id} was not typed back right {SHOWINGS} times: nothing was written"),
    ))
}

/// Asks for two groups of the value, chosen at random, while nothing is shown.
fn typed_back(screen: &mut PrivateScreen, page: &SharePage<'_>) -> Result<bool, CliError> {
    let mut drawn = [0; 2];
    fill(&mut drawn).map_err(|RandomError(why)| scheme(&RandomError(why).into()))?;
    let [first, second] = drawn;
    let first = usize::from(first % 4);
    let second = (first + 1 + usize::from(second % 3)) % 4;
    let (first, second) = (first.min(second), first.max(second));
    screen
        .show(&format!(
            "Share {}: to be sure that it was noted, type two parts of its share value from your paper.\n\
             The value has four groups of four digits (aa:bb is one group).\n\n",
            page.share.id
        ))
        .map_err(failed)?;
    for group in [first, second] {
        let typed = screen
            .ask(&format!("Group {} : ", group + 1), true)
            .map_err(failed)?;
        let digits: zeroize::Zeroizing<String> = typed
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect::<String>()
            .into();
        let value = page.share.value.secret_bytes();
        let expected = value.get(2 * group..2 * group + 2).unwrap_or_default();
        if *digits != hex::encode(expected) {
            return Ok(false);
        }
    }
    Ok(true)
}
