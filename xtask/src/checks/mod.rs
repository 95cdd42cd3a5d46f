//! Rules of the repository that no compiler checks.

mod architecture;
mod layers;
mod manifest;
mod markers;
mod rust_source;
mod size;
mod unit_tests;

use crate::failure::Failure;
use crate::run::Workspace;

/// Runs every check and reports all that is broken at once.
///
/// # Errors
/// [`Failure::Rules`] with one line for each broken rule.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for (name, check) in CHECKS {
        let found = check(workspace)?;
        println!(
            "{name}: {}",
            if found.is_empty() {
                "ok".to_owned()
            } else {
                format!("{} broken", found.len())
            }
        );
        broken.extend(found.into_iter().map(|line| format!("{name}: {line}")));
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Failure::Rules(broken))
    }
}

/// Looks at the workspace and gives one line for each broken rule.
type Check = fn(&Workspace) -> Result<Vec<String>, Failure>;

const CHECKS: [(&str, Check); 5] = [
    ("ARCHITECTURE.md names every crate", architecture::check),
    ("no long files", size::check),
    ("nothing left undone", markers::check),
    ("dependencies point down", layers::check),
    ("unit tests are run where there are some", unit_tests::check),
];
