//! The table of crates in `ARCHITECTURE.md` has each folder of `crates/` and nothing else.

use std::collections::BTreeSet;

use crate::checks::manifest;
use crate::failure::Failure;
use crate::run::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let path = workspace.root().join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).map_err(Failure::io(format!("reading {}", path.display())))?;
    let folders = manifest::crate_folders(workspace)?
        .iter()
        .filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()))
        .collect();
    Ok(differences(&named_in(&text), &folders))
}

/// The first cell of each table row under the heading `## Crates`, when it is a name in back-quotes.
fn named_in(text: &str) -> BTreeSet<String> {
    text.lines()
        .skip_while(|line| *line != HEADING)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect()
}

fn differences(named: &BTreeSet<String>, folders: &BTreeSet<String>) -> Vec<String> {
    let unnamed = folders
        .difference(named)
        .map(|name| format!("crates/{name} has no row under \"{HEADING}\""));
    let gone = named
        .difference(folders)
        .map(|name| format!("the row `{name}` under \"{HEADING}\" has no crate"));
    unnamed.chain(gone).collect()
}

const HEADING: &str = "## Crates";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_left_over_rows_are_both_told() {
        let text = "| `early` | no |\n## Crates\n| crate | is |\n|---|---|\n| `here` | x |\n| `gone` | x |\n## Next\n| `late` | x |\n";
        let folders = ["here", "new"].map(str::to_owned).into();
        let lines = differences(&named_in(text), &folders);
        assert_eq!(
            lines,
            [
                "crates/new has no row under \"## Crates\"",
                "the row `gone` under \"## Crates\" has no crate"
            ]
        );
    }
}
