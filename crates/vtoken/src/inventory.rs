//! The tokens of an installation.

use std::error::Error;
use std::io;
use std::path::Path;

use time::Date;

use crate::error::{ManageError, StoreFailure};
use crate::files::{Files, RealFiles};
use crate::name::TokenName;
use crate::token_dir;

/// What can be said of a token without its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSummary {
    /// Name of the token.
    pub name: TokenName,
    /// Holder reference of the device certificate. A label: the proof is in the token.
    pub device_id: String,
    /// Day on which the token was made.
    pub created: Date,
    /// The process that has the token open, if one has.
    pub in_use_by: Option<u32>,
}

/// A token whose description cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableToken {
    /// Name of the token.
    pub name: TokenName,
    /// Why, in a sentence for people.
    pub why: String,
}

/// What is in a directory of tokens, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Tokens that can be described.
    pub tokens: Vec<TokenSummary>,
    /// Tokens that are there and cannot be described. They take nothing from the others.
    pub unreadable: Vec<UnreadableToken>,
}

/// The tokens in a directory. A directory that does not exist has none; nothing is written, so that it may be read-only.
///
/// # Errors
/// [`ManageError::Store`] when the directory itself cannot be read.
pub fn inventory(tokens_dir: &Path) -> Result<Inventory, ManageError> {
    inventory_on(&RealFiles, tokens_dir)
}

/// The tokens in a directory that can be described, by name: [`Inventory::tokens`].
///
/// # Errors
/// As [`inventory`].
pub fn list(tokens_dir: &Path) -> Result<Vec<TokenSummary>, ManageError> {
    list_on(&RealFiles, tokens_dir)
}

/// Destroys a token and its keys. They are gone from the directory; what the disk itself still holds is sealed.
///
/// # Errors
/// [`ManageError::InUse`] when a process has it open, [`ManageError::NotFound`], [`ManageError::Store`].
pub fn destroy(tokens_dir: &Path, name: &TokenName) -> Result<(), ManageError> {
    token_dir::destroy(&RealFiles, tokens_dir, name)
}

pub(crate) fn list_on(files: &dyn Files, tokens_dir: &Path) -> Result<Vec<TokenSummary>, ManageError> {
    Ok(inventory_on(files, tokens_dir)?.tokens)
}

fn inventory_on(files: &dyn Files, tokens_dir: &Path) -> Result<Inventory, ManageError> {
    let names = match files.list(tokens_dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Inventory::default()),
        Err(error) => return Err(StoreFailure::doing("list", tokens_dir)(error).into()),
    };
    let mut found = Inventory::default();
    for name in names
        .iter()
        .filter_map(|name| TokenName::new(name.to_str()?).ok())
    {
        match describe(files, tokens_dir, &name) {
            Ok(Some(summary)) => found.tokens.push(summary),
            Ok(None) => {}
            Err(error) => found.unreadable.push(UnreadableToken {
                name,
                why: sentence(&error),
            }),
        }
    }
    found.tokens.sort_by(|a, b| a.name.cmp(&b.name));
    found.unreadable.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A token, if there is one of this name.
fn describe(
    files: &dyn Files,
    tokens_dir: &Path,
    name: &TokenName,
) -> Result<Option<TokenSummary>, ManageError> {
    let directory = tokens_dir.join(name.as_str());
    let Some(about) = token_dir::read_about(files, &directory)? else {
        return Ok(None);
    };
    Ok(Some(TokenSummary {
        in_use_by: token_dir::holder(files, &directory)?,
        device_id: about.device_id.to_string(),
        created: about.created,
        name: name.clone(),
    }))
}

/// An error with its reasons.
fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut reason = error.source();
    while let Some(error) = reason {
        text.push_str(&format!(": {error}"));
        reason = error.source();
    }
    text
}
