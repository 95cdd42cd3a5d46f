//! The tokens of an installation.

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

/// The tokens in a directory, by name. A directory that does not exist has none.
///
/// # Errors
/// [`ManageError::Damaged`] when a token's description cannot be read, [`ManageError::Store`] for the disk.
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
    let names = match files.list(tokens_dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreFailure::doing("list", tokens_dir)(error).into()),
    };
    let mut tokens = Vec::new();
    for name in names
        .iter()
        .filter_map(|name| TokenName::new(name.to_str()?).ok())
    {
        let directory = tokens_dir.join(name.as_str());
        if let Some(about) = token_dir::read_about(files, &directory)? {
            tokens.push(TokenSummary {
                in_use_by: token_dir::holder(files, &directory)?,
                device_id: about.device_id.to_string(),
                created: about.created,
                name,
            });
        }
    }
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tokens)
}
