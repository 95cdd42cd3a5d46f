//! A library without unit tests says so, which spares building it a second time; one that says so has none, which nobody would run.

use std::path::Path;

use crate::checks::manifest::crate_folders;
use crate::checks::rust_source;
use crate::failure::Failure;
use crate::run::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut broken = Vec::new();
    for folder in crate_folders(workspace)? {
        let source = folder.join("src");
        if !source.join("lib.rs").is_file() {
            continue;
        }
        let manifest = rust_source::read(&folder.join("Cargo.toml"))?;
        let mut tested = false;
        for path in rust_source::files_below(&source)? {
            tested |= has_unit_tests(&rust_source::read(&path)?);
        }
        let name = folder.strip_prefix(workspace.root()).unwrap_or(&folder);
        broken.extend(contradiction(name, says_it_has_none(&manifest), tested));
    }
    Ok(broken)
}

fn contradiction(name: &Path, says_none: bool, tested: bool) -> Option<String> {
    let name = name.display();
    match (says_none, tested) {
        (true, true) => Some(format!(
            "{name} has unit tests that are not run: take `test = false` out of its Cargo.toml"
        )),
        (false, false) => Some(format!(
            "{name} is built again for no unit tests: say `test = false` under [lib] of its Cargo.toml"
        )),
        _ => None,
    }
}

/// Whether `test = false` stands under `[lib]`.
fn says_it_has_none(manifest: &str) -> bool {
    let mut lines = manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().replace(' ', ""))
        .skip_while(|line| line != "[lib]");
    lines.next();
    lines
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == "test=false")
}

/// Whether there is a test, or something that is built for tests alone.
fn has_unit_tests(source: &str) -> bool {
    let code = rust_source::without_comments(source);
    [
        "#[test]",
        "::test]",
        "::test(",
        "cfg(test)",
        "cfg(all(test",
        "cfg(any(test",
    ]
    .iter()
    .any(|mark| code.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_library_that_is_not_tested_says_so() {
        assert!(says_it_has_none(
            "[package]\n[lib]\ntest = false # none\n\n[lints]\n"
        ));
        assert!(!says_it_has_none(
            "[lib]\ndoctest = false\n[[bin]]\ntest = false\n"
        ));
        assert!(!says_it_has_none("[package]\ntest = false\n"));
        assert!(has_unit_tests("fn a() {}\n#[cfg(test)]\nmod tests;\n"));
        assert!(has_unit_tests("#[tokio::test(flavor = \"multi_thread\")]\n"));
        assert!(!has_unit_tests("// #[cfg(test)]\n"));
        let name = Path::new("crates/a");
        for (says_none, tested, right) in [
            (true, true, false),
            (false, false, false),
            (true, false, true),
            (false, true, true),
        ] {
            assert_eq!(contradiction(name, says_none, tested).is_none(), right);
        }
    }
}
