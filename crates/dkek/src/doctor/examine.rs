//! The examination.

use chancery_schsm::{Kek, KekShare, ShareFile, ShareFileKey};
use zeroize::Zeroizing;

use super::candidates::{self, Candidate, Consistent, tolerant};
use super::set::{self, Set};
use super::{
    Case, Derive, Diagnosis, Finding, FoundKey, How, Opened, ShareVerdict, Standing, Target, TargetKind,
};
use crate::text::IdReading;
use crate::{SchemeError, scheme};

/// Most keys made of the shares of several files.
const MOST_KEYS: usize = 4096;

/// Finds out what fits what.
///
/// # Errors
/// The crypto library failed; all else is a finding.
pub fn examine(case: &Case, derive: &mut Derive<'_>) -> Result<Diagnosis, SchemeError> {
    let mut findings = Vec::new();
    let (verdicts, sets) = set::sort(case, &mut findings);
    let mut work = Work {
        case,
        derive,
        derived: Vec::new(),
        tried: 0,
        opened: Vec::new(),
        verdicts,
        findings,
    };
    let mut consistent = Vec::new();
    for set in &sets {
        let found = candidates::consistent(case, set)?;
        if let Some(found) = &found {
            work.findings.push(Finding::OneSet {
                shares: found.members.len(),
                threshold: found.threshold,
            });
            work.judge(set, &found.members, found.reading)?;
        }
        consistent.push(found);
    }
    for (index, (_, file)) in case.files.iter().enumerate() {
        work.open(index, file, &sets, &consistent)?;
    }
    for (index, (_, file)) in case.files.iter().enumerate() {
        work.typed(index, file)?;
    }
    let closed = (0..case.files.len()).any(|file| {
        !work
            .opened
            .iter()
            .any(|opened| opened.right && opened.file == file)
    });
    if case.look_for_imports && (closed || !work.all_explained(&work.keys())) {
        for (index, (_, file)) in case.files.iter().enumerate() {
            work.as_imported(index, file, &sets)?;
        }
    }
    let keys = work.keys();
    let fits = work.fits(&keys);
    work.conclude(&keys, &fits);
    Ok(Diagnosis {
        shares: work.verdicts,
        opened: work.opened,
        keys,
        fits,
        findings: work.findings,
        tried: work.tried,
    })
}

struct Work<'a, 'd> {
    case: &'a Case,
    derive: &'a mut Derive<'d>,
    /// Keys derived so far: file, password, key.
    derived: Vec<(usize, Zeroizing<Vec<u8>>, ShareFileKey)>,
    tried: usize,
    opened: Vec<Opened>,
    verdicts: Vec<ShareVerdict>,
    findings: Vec<Finding>,
}

impl Work<'_, '_> {
    fn key(&mut self, index: usize, file: &ShareFile, password: &[u8]) -> ShareFileKey {
        let known = self
            .derived
            .iter()
            .find(|(at, known, _)| *at == index && known.as_slice() == password);
        if let Some((_, _, key)) = known {
            return key.clone();
        }
        self.tried += 1;
        let key = (self.derive)(file, password);
        self.derived
            .push((index, Zeroizing::new(password.to_vec()), key.clone()));
        key
    }

    fn name(&self, index: usize) -> String {
        self.case
            .files
            .get(index)
            .map(|(name, _)| name.clone())
            .unwrap_or_default()
    }

    /// Opens a file as it is meant to be opened.
    fn open(
        &mut self,
        index: usize,
        file: &ShareFile,
        sets: &[Set],
        consistent: &[Option<Consistent>],
    ) -> Result<(), SchemeError> {
        let mut list: Vec<(Option<usize>, Candidate)> = self
            .case
            .passwords
            .iter()
            .map(|(source, password)| {
                let how = How::Password {
                    source: source.clone(),
                };
                let password = password.clone();
                (None, Candidate { password, how })
            })
            .collect();
        for (at, (set, found)) in sets.iter().zip(consistent).enumerate() {
            let of_set = candidates::of_set(self.case, set, found.as_ref())?;
            list.extend(of_set.into_iter().map(|candidate| (Some(at), candidate)));
        }
        let effort = self.case.effort.max(self.case.passwords.len());
        for (at, candidate) in list.iter().take(effort) {
            let key = self.key(index, file, &candidate.password);
            let Ok(share) = file.open(&key) else { continue };
            if let (How::Shares { shares, reading, .. }, Some(set)) =
                (&candidate.how, at.and_then(|at| sets.get(at)))
            {
                self.judge(set, shares, *reading)?;
            }
            self.tell_defects(index, &candidate.how);
            self.add(index, share, candidate.how.clone(), true);
            return Ok(());
        }
        let file = self.name(index);
        if let left @ 1.. = list.len().saturating_sub(effort) {
            self.findings.push(Finding::NotAllTried {
                file: file.clone(),
                left,
            });
        }
        self.findings.push(Finding::Closed { file });
        Ok(())
    }

    /// Tells which of the first two defects the shares that opened a file have.
    fn tell_defects(&mut self, index: usize, how: &How) {
        let How::Shares {
            shares,
            reading,
            zeros_kept,
        } = how
        else {
            return;
        };
        let file = self.name(index);
        if *zeros_kept {
            self.findings.push(Finding::LeadingZeros { file: file.clone() });
        }
        let ambiguous: Vec<_> = shares
            .iter()
            .filter_map(|share| self.case.shares.get(*share))
            .filter(|given| given.text.id_is_ambiguous())
            .collect();
        if ambiguous.is_empty() {
            return;
        }
        self.findings.push(match reading {
            IdReading::Decimal => Finding::AmbiguousIds {
                file,
                ids: ambiguous
                    .iter()
                    .filter_map(|given| {
                        let id = given.text.read_id(IdReading::Decimal)?;
                        Some((id.to_string(), format!("{id:x}")))
                    })
                    .collect(),
            },
            IdReading::Hexadecimal => Finding::HexadecimalIds { file },
        });
    }

    /// Judges the members of a set by some of them that are known to be right.
    fn judge(&mut self, set: &Set, right: &[usize], reading: IdReading) -> Result<(), SchemeError> {
        let members = candidates::under(self.case, set, reading);
        let known: Vec<_> = members
            .iter()
            .filter(|(index, _)| right.contains(index))
            .map(|(_, share)| share.clone())
            .collect();
        for (index, share) in &members {
            let standing = if right.contains(index) {
                Standing::Right
            } else if let Some(expected) = tolerant(scheme::value_at(&known, share.id))? {
                let groups: Vec<_> = expected
                    .secret_bytes()
                    .chunks(2)
                    .zip(share.value.secret_bytes().chunks(2))
                    .zip(1..)
                    .filter_map(|((expected, given), group)| (expected != given).then_some(group))
                    .collect();
                if groups.is_empty() {
                    Standing::Right
                } else {
                    Standing::Wrong { groups }
                }
            } else {
                Standing::Unknown
            };
            let Some(verdict) = self.verdicts.get_mut(*index) else {
                continue;
            };
            if verdict.standing == standing {
                continue;
            }
            if let Standing::Wrong { groups } = &standing {
                self.findings.push(Finding::WrongShare {
                    source: verdict.source.clone(),
                    id: verdict.id.clone(),
                    groups: groups.clone(),
                });
            }
            verdict.standing = standing;
        }
        Ok(())
    }

    /// What the notes of what was typed give.
    fn typed(&mut self, index: usize, file: &ShareFile) -> Result<(), SchemeError> {
        for (source, typed) in &self.case.typed {
            if let Some(password) = typed.password()? {
                let how = How::Typed {
                    source: source.clone(),
                };
                self.import_as_the_tool_does(index, file, &password, how);
            }
        }
        Ok(())
    }

    /// Looks for what `sc-hsm-tool` could have imported: every combination of shares as it reads them.
    fn as_imported(&mut self, index: usize, file: &ShareFile, sets: &[Set]) -> Result<(), SchemeError> {
        let mut left = self.case.effort;
        let mut not_tried = 0;
        for set in sets {
            for candidate in candidates::as_the_tool_reads(self.case, set)? {
                if self.all_explained(&self.keys()) && self.opened.iter().any(|opened| opened.file == index) {
                    return Ok(());
                }
                if left == 0 {
                    not_tried += 1;
                    continue;
                }
                let before = self.tried;
                self.import_as_the_tool_does(index, file, &candidate.password, candidate.how);
                left -= (self.tried - before).min(left);
            }
        }
        if not_tried > 0 {
            let file = self.name(index);
            self.findings.push(Finding::NotAllTried {
                file,
                left: not_tried,
            });
        }
        Ok(())
    }

    fn import_as_the_tool_does(&mut self, index: usize, file: &ShareFile, password: &[u8], how: How) {
        let key = self.key(index, file, password);
        if let Some(share) = file.open_by_padding_alone(&key) {
            let right = file.open(&key).is_ok();
            self.add(index, share, how, right);
        }
    }

    /// Keeps what came out of a file, each share once.
    fn add(&mut self, file: usize, share: KekShare, how: How, right: bool) {
        let known = self
            .opened
            .iter()
            .any(|opened| opened.file == file && opened.share == share);
        if !known {
            self.opened.push(Opened {
                file,
                share,
                how,
                right,
            });
        }
    }

    /// The keys that one share of each file makes.
    fn keys(&self) -> Vec<FoundKey> {
        let mut parts: Vec<Vec<usize>> = vec![Vec::new()];
        for file in 0..self.case.files.len() {
            let of_file = || {
                self.opened
                    .iter()
                    .enumerate()
                    .filter(move |(_, opened)| opened.file == file)
                    .map(|(index, _)| index)
            };
            parts = parts
                .into_iter()
                .flat_map(|part| of_file().map(move |index| [part.as_slice(), &[index]].concat()))
                .take(MOST_KEYS)
                .collect();
        }
        let mut keys: Vec<_> = parts
            .into_iter()
            .filter_map(|parts| self.made_of(parts))
            .collect();
        // A file that is one of several may still be all there was to a key.
        if self.case.files.len() > 1 {
            let alone = (0..self.opened.len()).filter_map(|index| self.made_of(vec![index]));
            keys.extend(alone.filter(|key| self.case.targets.iter().any(|target| target.kcv == key.kcv)));
        }
        keys.sort_by_key(|key| !key.right);
        keys
    }

    fn made_of(&self, parts: Vec<usize>) -> Option<FoundKey> {
        let opened: Vec<_> = parts.iter().filter_map(|part| self.opened.get(*part)).collect();
        let shares: Vec<_> = opened.iter().map(|opened| opened.share.clone()).collect();
        let kcv = Kek::from_shares(&shares).ok()?.kcv();
        let right = opened.iter().all(|opened| opened.right);
        Some(FoundKey { kcv, parts, right })
    }

    fn fits(&self, keys: &[FoundKey]) -> Vec<Vec<usize>> {
        let of = |target: &Target| {
            keys.iter()
                .enumerate()
                .filter(|(_, key)| key.kcv == target.kcv)
                .map(|(index, _)| index)
                .collect()
        };
        self.case.targets.iter().map(of).collect()
    }

    fn all_explained(&self, keys: &[FoundKey]) -> bool {
        self.fits(keys).iter().all(|keys| !keys.is_empty())
    }

    /// What is left to say.
    fn conclude(&mut self, keys: &[FoundKey], fits: &[Vec<usize>]) {
        let zero = Kek::new([0; 32]).kcv();
        let mut explained = Vec::new();
        for (target, fitting) in self.case.targets.iter().zip(fits) {
            let found: Vec<_> = fitting.iter().filter_map(|key| keys.get(*key)).collect();
            let name = target_name(target);
            if target.kcv == zero {
                self.findings.push(Finding::ZeroKey { target: name });
            } else if found.is_empty() {
                self.findings.push(Finding::Unexplained {
                    target: name,
                    kcv: target.kcv.to_string(),
                });
            } else if let Some(key) = found.iter().find(|key| !key.right)
                && found.iter().all(|key| !key.right)
            {
                for part in &key.parts {
                    let Some(opened) = self.opened.get(*part).filter(|opened| !opened.right) else {
                        continue;
                    };
                    explained.push(*part);
                    self.findings.push(Finding::WrongKeyImported {
                        file: self.name(opened.file),
                        target: name.clone(),
                        by: self.words(&opened.how),
                    });
                }
            }
        }
        for (index, opened) in self.opened.iter().enumerate() {
            if !opened.right && !explained.contains(&index) {
                self.findings.push(Finding::WouldPass {
                    file: self.name(opened.file),
                    by: self.words(&opened.how),
                    kcv: Kek::from(opened.share.clone()).kcv().to_string(),
                });
            }
        }
    }

    /// By what a file was opened, as the beginning of a sentence.
    fn words(&self, how: &How) -> String {
        let ids = |shares: &[usize]| {
            let ids: Vec<_> = shares
                .iter()
                .filter_map(|index| self.verdicts.get(*index))
                .map(|verdict| verdict.id.as_str())
                .collect();
            ids.join(", ")
        };
        match how {
            How::Password { source } => format!("the password ({source})"),
            How::Shares { shares, .. } => format!("the combination of shares {}", ids(shares)),
            How::AsToolReads { shares } => {
                format!("the combination of shares {}, typed as written,", ids(shares))
            }
            How::Typed { source } => format!("what was typed ({source})"),
        }
    }
}

fn target_name(target: &Target) -> String {
    match target.kind {
        TargetKind::Token => format!("token {}", target.name),
        TargetKind::WrappedKey => format!("wrapped key {}", target.name),
    }
}
