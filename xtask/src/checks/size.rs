//! No source file of a crate has more than 500 lines of code.

use crate::checks::{manifest, rust_source};
use crate::failure::Failure;
use crate::run::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut broken = Vec::new();
    for folder in manifest::crate_folders(workspace)? {
        for path in rust_source::files_below(&folder.join("src"))? {
            let lines = rust_source::code_lines(&rust_source::read(&path)?);
            if lines > LONGEST {
                let path = path.strip_prefix(workspace.root()).unwrap_or(&path).display();
                broken.push(format!(
                    "{path} has {lines} lines of code, over {LONGEST}: split it by concept"
                ));
            }
        }
    }
    Ok(broken)
}

/// Lines of code, comments and blank lines not counted.
const LONGEST: usize = 500;
