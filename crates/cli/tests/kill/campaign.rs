//! Rounds of one kind: something is done, the node is killed in the middle, and everything is looked at.

use std::{collections::BTreeMap, fmt::Write as _};

use chancery_api::{CertificateView, HsmState, HsmView, NodeStatus};

use crate::{
    dice::Dice,
    ledger::Ledger,
    operations::Operation,
    running::{Parts, Running},
    world::World,
};

/// A series of rounds in one installation.
pub(crate) struct Campaign {
    pub(crate) world: World,
    pub(crate) dice: Dice,
    pub(crate) ledger: Ledger,
    measured: BTreeMap<&'static str, Parts>,
    /// How far what was interrupted had got.
    tally: BTreeMap<(&'static str, String), usize>,
    kills: usize,
    unanswered: usize,
    /// How many more kills came too late than not: a busy machine takes longer to kill than was measured, so they have to come sooner.
    late: u32,
}

impl Campaign {
    pub(crate) fn new(seed: u64) -> Self {
        let world = World::new();
        let mut ledger = Ledger::default();
        ledger.compare(&world);
        world.unlock(&HSMS);
        Self {
            world,
            dice: Dice::new(seed),
            ledger,
            measured: BTreeMap::new(),
            tally: BTreeMap::new(),
            kills: 0,
            unanswered: 0,
            late: 0,
        }
    }

    /// Does something undisturbed, to know how long it takes.
    pub(crate) fn measure(&mut self, operation: &Operation) {
        let args = operation.args();
        let (ended, parts) = Parts::measure(&self.world, &with_json(&args), &self.world.path(RECORD));
        let ended = ended.ok();
        self.measured.insert(operation.name(), parts);
        operation.learn(&ended, &mut self.ledger);
    }

    /// Does something, kills the node in the middle, looks at what is left and finishes it. The HSMs are unlocked before and after.
    pub(crate) fn round(&mut self, operation: &Operation) {
        self.strike(operation, &operation.args());
        // What carries on can be interrupted as well.
        if self.dice.below(4) == 0
            && let Some(next) = operation.next(&self.world)
        {
            self.strike(operation, &next);
        }
        operation.finish(&self.world, &mut self.ledger);
        self.ledger.compare(&self.world);
    }

    fn strike(&mut self, operation: &Operation, args: &[String]) {
        let parts = self.measured.get(operation.name()).cloned().unwrap_or_default();
        let part = match args.get(1).map(String::as_str) {
            Some("resume") => 0,
            // Mostly after a decision was shown: before, nothing is done.
            _ if self.dice.below(8) == 0 => 0,
            _ if args == operation.args() => 1 + self.dice.below(parts.count() - 1),
            _ => 1,
        };
        let node = self.world.node().unwrap();
        let mut running = Running::start(&self.world, &with_json(args));
        let sooner = 1 << self.late.min(MOST_SOONER);
        let when = running.disturb_at(&parts, part, &self.world.path(RECORD), &mut self.dice, sooner);
        self.world.kill(node);
        let ended = running.wait();
        self.world.wait_for_the_end_of(node);
        self.kills += 1;

        match ended.code {
            Some(0) => {
                self.late += 1;
                if args == operation.args() {
                    operation.learn(&ended, &mut self.ledger);
                }
            }
            // Locked, when the killed node was replaced before it was called; otherwise nobody answered.
            Some(4 | 8) => {
                self.unanswered += 1;
                self.late = self.late.saturating_sub(1);
                assert!(!ended.failure().message.is_empty(), "{ended:?}");
            }
            _ => panic!("killed {when}: {ended:#?}"),
        }
        self.look(operation, &format!("{} killed {when}", ended.args));
    }

    /// Before and after the next node starts.
    fn look(&mut self, operation: &Operation, when: &str) {
        self.world.audit_holds(when);
        let hsms: Vec<HsmView> = self.world.json(&["hsm", "list"]);
        assert_eq!(hsms.len(), HSMS.len());
        for hsm in hsms {
            assert!(matches!(hsm.state, HsmState::Locked { .. }), "{when}: {hsm:?}");
            assert!(hsm.warnings.is_empty(), "{when}: {hsm:?}");
        }
        let state = operation.state(&self.world, &self.ledger);
        operation.is_marked(&self.world);
        self.ledger.compare(&self.world);
        *self.tally.entry((operation.name(), state)).or_default() += 1;
        self.world.unlock(&HSMS);
    }

    /// Revokes a certificate, so that CRLs differ.
    pub(crate) fn revoke_one(&mut self) {
        let listed = self.ledger.compare(&self.world);
        let leaves: Vec<&CertificateView> = listed
            .iter()
            .filter(|view| view.state == "issued" && !view.names.is_empty())
            .collect();
        if !leaves.is_empty() {
            let serial = &leaves[self.dice.below(leaves.len())].serial;
            self.world
                .run(&[
                    "cert",
                    "revoke",
                    serial,
                    "--reason",
                    "superseded",
                    "--as",
                    "carol",
                ])
                .ok();
        }
    }

    /// Whether enough kills interrupted something. A series that comes too late each time shows nothing.
    pub(crate) fn has_interrupted_enough(&self) -> bool {
        self.unanswered * 4 >= self.kills
    }

    /// The last look at everything; says what the kills hit.
    pub(crate) fn close(mut self) -> String {
        let left: Vec<_> = self
            .world
            .requests()
            .into_iter()
            .filter(|view| {
                view.state != "done"
                    && !(view.state == "approved" && self.world.base.approved.contains(&view.request))
            })
            .collect();
        assert!(left.is_empty(), "{left:?}");
        self.ledger.close(&self.world);
        let status: NodeStatus = self.world.json(&["status"]);
        assert!(
            status.epoch > i64::try_from(self.kills).unwrap(),
            "{} starts, {} kills",
            status.epoch,
            self.kills
        );
        self.world.run(&["stop"]).ok();
        self.world.audit_holds("at the end");
        assert!(
            self.has_interrupted_enough(),
            "only {} of {} kills interrupted something",
            self.unanswered,
            self.kills
        );
        let mut text = format!(
            "{} kills, {} before the answer; found:",
            self.kills, self.unanswered
        );
        for ((operation, state), count) in &self.tally {
            let _ = write!(text, "\n  {operation}: {state} {count}");
        }
        text
    }
}

/// Kills come at most 2 to the power of this sooner: at once.
const MOST_SOONER: u32 = 10;
const HSMS: [&str; 2] = ["hsm-a", "hsm-b"];
/// Grows with everything that is recorded.
const RECORD: &str = "center.db-wal";

fn with_json(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).chain(["--json"]).collect()
}
