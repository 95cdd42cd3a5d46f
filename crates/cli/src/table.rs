//! Text for people: tables, facts, conditions. What comes from outside is written on one line.

use chancery_agent::{one_line, short_line};
use chancery_api::Condition;
use comfy_table::{ContentArrangement, Table, presets};

/// Longest foreign sentence that is shown, in characters.
pub(crate) const LONGEST: usize = 4000;
/// Longest foreign name that is shown, in characters.
const LONGEST_NAME: usize = 64;
/// How many foreign names are shown.
const MOST_NAMES: usize = 20;

/// A table with a header; `none` when it has no rows.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>());
    }
    let lines: Vec<_> = table
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// Facts, a line each: `name   value`.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", one_line(value)))
        .collect()
}

/// How many of something: `1 share`, `2 shares`.
pub(crate) fn counted(number: impl TryInto<usize>, what: &str) -> String {
    let number = number.try_into().unwrap_or(usize::MAX);
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Unmet conditions in order, each with its remedy and who can do it.
pub(crate) fn conditions(unmet: &[Condition]) -> String {
    let mut text = String::new();
    for (index, condition) in unmet.iter().enumerate() {
        let who = if condition.who.is_empty() {
            "nobody at present".to_owned()
        } else {
            condition.who.join(", ")
        };
        text.push_str(&format!(
            "  {}. {}\n     do:  {}\n",
            index + 1,
            short_line(&condition.what, LONGEST),
            short_line(&condition.remedy, LONGEST)
        ));
        for other in &condition.or {
            text.push_str(&format!("     or:  {}\n", short_line(other, LONGEST)));
        }
        text.push_str(&format!("     who: {}\n", short_line(&who, LONGEST)));
    }
    text
}

/// `a, b` or a dash.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    if items.is_empty() {
        return "-".to_owned();
    }
    items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// Foreign names in a sentence of ours: as [`list`], each on one line and not too long, and not too many.
pub(crate) fn foreign_names(names: &[String]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| short_line(name, LONGEST_NAME))
        .collect();
    if let Some(more) = names.len().checked_sub(MOST_NAMES).filter(|more| *more > 0) {
        shown.push(format!("and {more} more"));
    }
    list(&shown)
}
