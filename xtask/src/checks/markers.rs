//! Nothing is left undone: no reminders, no placeholders, no tests that are skipped.

use crate::checks::rust_source;
use crate::failure::Failure;
use crate::run::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut broken = Vec::new();
    for folder in ["crates", "xtask", "fuzz/fuzz_targets"] {
        for path in rust_source::files_below(&workspace.root().join(folder))? {
            let source = rust_source::read(&path)?;
            let path = path.strip_prefix(workspace.root()).unwrap_or(&path).display();
            broken.extend(found_in(&source).map(|(line, marker)| format!("{path}:{line} has {marker}")));
        }
    }
    Ok(broken)
}

/// Line numbers from 1 and the marker found there. Comments count: that is where reminders live.
fn found_in(source: &str) -> impl Iterator<Item = (usize, &'static str)> {
    source.lines().enumerate().flat_map(|(index, line)| {
        MARKERS
            .into_iter()
            .filter(move |marker| stands_alone(line, marker))
            .map(move |marker| (index + 1, marker))
    })
}

/// Whether `marker` occurs in `line` and is not part of a longer word.
fn stands_alone(line: &str, marker: &str) -> bool {
    line.match_indices(marker).any(|(position, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = line.get(..position).and_then(|text| text.chars().next_back());
        let after = line
            .get(position + marker.len()..)
            .and_then(|text| text.chars().next());
        let ends_in_word = marker.ends_with(is_word);
        !(before.is_some_and(is_word) || ends_in_word && after.is_some_and(is_word))
    })
}

// Put together, so that this file does not contain what it forbids.
const MARKERS: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("#[", "ignore"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_found_where_they_stand_alone() {
        let [remind, _, placeholder, skipped] = MARKERS;
        let source = format!(
            "fine\n// {remind}: later\nlet a = {placeholder});\n    {skipped} = \"slow\"]\nA{remind}S\n"
        );
        let found: Vec<_> = found_in(&source).collect();
        assert_eq!(found, [(2, remind), (3, placeholder), (4, skipped)]);
    }
}
