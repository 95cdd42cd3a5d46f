//! The lines of a text with shares.

use zeroize::Zeroizing;

use super::{MAX_TEXT, MAX_TEXT_SHARES, ShareText, ShareTextError, Written, is_separator};
use crate::SetId;
use crate::checks::GROUPS;
use crate::commitment::Nonce;
use crate::share::digits;

/// Reads all shares of a text. Lines that say nothing about a share are passed over; a share of which a part is missing is an error.
/// A prime that stands with one share counts for those without.
///
/// # Errors
/// [`ShareTextError`].
pub fn parse(text: &str) -> Result<Vec<ShareText>, ShareTextError> {
    if text.len() > MAX_TEXT {
        return Err(ShareTextError::TooLong { length: text.len() });
    }
    let mut reader = Reader::default();
    for (line, number) in text.lines().zip(1..) {
        reader.line(line, number)?;
    }
    reader.flush()?;
    let Reader {
        mut shares, prime, ..
    } = reader;
    for share in &mut shares {
        if share.prime.is_none() {
            share.prime.clone_from(&prime);
        }
    }
    if shares.is_empty() {
        return Err(ShareTextError::None);
    }
    Ok(shares)
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    shares: Vec<ShareText>,
    /// The first prime in the text.
    prime: Option<Written>,
    block: Block,
}

/// The share that is being read.
#[derive(Default)]
struct Block {
    line: usize,
    prime: Option<Written>,
    id: Option<Written>,
    value: Option<Written>,
    set: Option<SetId>,
    needed: Option<u8>,
    prime_checks: Option<[u8; GROUPS]>,
    value_checks: Option<[u8; GROUPS]>,
    page_check: Option<[u8; 2]>,
    nonce: Option<Nonce>,
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Prime,
    Id,
    Value,
    Set,
    Needed,
    PageCheck,
    Nonce,
}

/// Labels as they are written, in small letters.
const LABELS: &[(&str, Label)] = &[
    ("prime", Label::Prime),
    ("modulus", Label::Prime),
    ("p", Label::Prime),
    ("share id", Label::Id),
    ("shareid", Label::Id),
    ("id", Label::Id),
    ("x", Label::Id),
    ("share value", Label::Value),
    ("sharevalue", Label::Value),
    ("value", Label::Value),
    ("y", Label::Value),
    ("set", Label::Set),
    ("needed", Label::Needed),
    ("page check", Label::PageCheck),
    ("nonce", Label::Nonce),
];

impl Reader {
    fn line(&mut self, line: &str, number: usize) -> Result<(), ShareTextError> {
        let line =
            line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '|' | '>' | '*' | '"' | '\u{feff}'));
        let lower = Zeroizing::new(line.to_ascii_lowercase());
        let (line, lower) = match lower.strip_prefix("please enter ") {
            Some(rest) => (line.get(line.len() - rest.len()..).unwrap_or_default(), rest),
            None => (line, lower.as_str()),
        };
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some((label, value)) = labelled(line, lower) {
            return self.field(label, value, number);
        }
        if let Some((id, value)) = share_with_id(line, lower) {
            self.field(Label::Id, id, number)?;
            return self.field(Label::Value, value, number);
        }
        self.bare(line, number)
    }

    fn field(&mut self, label: Label, value: &str, line: usize) -> Result<(), ShareTextError> {
        let block = &self.block;
        // A label that was there already, or a prime after a complete share, begins the next one.
        let begins = match label {
            Label::Prime => block.prime.is_some() || block.value.is_some() && self.prime.is_some(),
            Label::Id => block.id.is_some(),
            Label::Value => block.value.is_some(),
            Label::Set => block.set.is_some(),
            Label::Needed => block.needed.is_some(),
            Label::PageCheck => block.page_check.is_some(),
            Label::Nonce => block.nonce.is_some(),
        };
        if begins {
            self.flush()?;
        }
        let block = &mut self.block;
        if block.line == 0 {
            block.line = line;
        }
        let malformed = |field| move || ShareTextError::Malformed { line, field };
        match label {
            Label::Prime => {
                let (number, checks) = with_checks(value).ok_or_else(malformed("check of the prime"))?;
                self.prime.get_or_insert_with(|| number.clone());
                block.prime = Some(number);
                block.prime_checks = checks;
            }
            Label::Id => block.id = Some(Written::new(value)),
            Label::Value => {
                let (number, checks) =
                    with_checks(value).ok_or_else(malformed("check of the share value"))?;
                block.value = Some(number);
                block.value_checks = checks;
            }
            Label::Set => block.set = Some(SetId::parse(value).ok_or_else(malformed("set"))?),
            Label::Needed => {
                let first = value.split_whitespace().next().unwrap_or_default();
                block.needed = Some(
                    first
                        .parse()
                        .map_err(|_| malformed("number of shares needed")())?,
                );
            }
            Label::PageCheck => {
                block.page_check = Some(digits(value).ok_or_else(malformed("page check"))?);
            }
            Label::Nonce => block.nonce = Some(Nonce::parse(value).ok_or_else(malformed("nonce"))?),
        }
        Ok(())
    }

    /// A line of numbers without a label: `ID VALUE`, `PRIME ID VALUE`, or one number, as they are typed one after another.
    fn bare(&mut self, line: &str, number: usize) -> Result<(), ShareTextError> {
        let split = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '=' | '|');
        let mut words: Vec<&str> = line.split(split).filter(|word| !word.is_empty()).collect();
        if let [first, ..] = words.as_slice()
            && let Some((id, value)) = first.split_once('-')
            && is_id(id)
        {
            words.splice(..1, [id, value]);
        }
        let is_number = |words: &[&str]| match words {
            [one] => count(one) >= 4,
            [_, ..] => {
                let width = count(words.first().copied().unwrap_or_default());
                (width == 2 || width == 4)
                    && words.len() * width == 16
                    && words.iter().all(|word| count(word) == width && all_digits(word))
            }
            [] => false,
        };
        match words.as_slice() {
            [id] if is_id(id) => self.field(Label::Id, id, number),
            numbers if is_number(numbers) && numbers.iter().all(|word| all_digits(word)) => {
                let whole = Zeroizing::new(numbers.join(" "));
                let label = if self.prime.is_none() && self.block.id.is_none() {
                    Label::Prime
                } else {
                    Label::Value
                };
                self.field(label, &whole, number)
            }
            [prime, id, value @ ..] if count(prime) >= 12 && is_id(id) && is_number(value) => {
                let value = Zeroizing::new(value.join(" "));
                self.field(Label::Prime, prime, number)?;
                self.field(Label::Id, id, number)?;
                self.field(Label::Value, &value, number)
            }
            [id, value @ ..] if is_id(id) && is_number(value) => {
                let value = Zeroizing::new(value.join(" "));
                self.field(Label::Id, id, number)?;
                self.field(Label::Value, &value, number)
            }
            _ => Ok(()),
        }
    }

    /// Ends a share.
    fn flush(&mut self) -> Result<(), ShareTextError> {
        let block = std::mem::take(&mut self.block);
        let missing = |missing| ShareTextError::Incomplete {
            line: block.line,
            missing,
        };
        let (id, value) = match (block.id, block.value) {
            (None, None) => return Ok(()),
            (Some(id), Some(value)) => (id, value),
            (Some(_), None) => return Err(missing("share value")),
            (None, Some(_)) => return Err(missing("share ID")),
        };
        if self.shares.len() == MAX_TEXT_SHARES {
            return Err(ShareTextError::TooMany);
        }
        self.shares.push(ShareText {
            line: block.line,
            prime: block.prime,
            id,
            value,
            set: block.set,
            needed: block.needed,
            prime_checks: block.prime_checks,
            value_checks: block.value_checks,
            page_check: block.page_check,
            nonce: block.nonce,
        });
        Ok(())
    }
}

/// Label and value of `label : value`, `label = value` and `label value`.
fn labelled<'a>(line: &'a str, lower: &str) -> Option<(Label, &'a str)> {
    for (name, label) in LABELS {
        let Some(rest) = lower.strip_prefix(name) else {
            continue;
        };
        let value = line.get(line.len() - rest.len()..)?;
        let stripped = value.trim_start();
        let value = match (stripped.strip_prefix([':', '=']), label) {
            (Some(value), _) => value.trim(),
            // Without a sign between them only a number can follow: the rest are sentences.
            (None, Label::Id) if value.len() > stripped.len() && is_id(stripped) => stripped,
            (None, Label::Prime | Label::Value) if value.len() > stripped.len() && name.len() > 1 => {
                let number = stripped.split("check").next().unwrap_or_default();
                if !all_digits(number) || count(number) < 8 {
                    continue;
                }
                stripped
            }
            _ => continue,
        };
        return Some((*label, value));
    }
    None
}

/// `share 2: VALUE`, `2: VALUE` with the value in one piece.
fn share_with_id<'a>(line: &'a str, lower: &str) -> Option<(&'a str, &'a str)> {
    let start = lower
        .strip_prefix("share")
        .map_or(0, |rest| line.len() - rest.len());
    let (id, value) = line.get(start..)?.trim_start().split_once([':', '='])?;
    let (id, value) = (id.trim(), value.trim());
    let pieces = count(value);
    (is_id(id) && (start > 0 || line.contains(": ")) && (8..=20).contains(&pieces)).then_some((id, value))
}

/// A number and the check digits behind the word `check`.
fn with_checks(value: &str) -> Option<(Written, Option<[u8; GROUPS]>)> {
    match value.split_once("check") {
        None => Some((Written::new(value), None)),
        Some((number, checks)) => Some((Written::new(number), Some(digits(checks)?))),
    }
}

/// Characters of a number, without what separates them.
fn count(word: &str) -> usize {
    word.chars().filter(|c| !is_separator(*c)).count()
}

fn all_digits(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_hexdigit() || is_separator(c))
}

/// Up to three digits, or such a number with 0x.
fn is_id(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
