//! A whole node under load: three HSMs that agents attach over TLS, leases that custodians give, clients that sign, the audit log.
//!
//! First links are cut at random, for which nobody is asked again; then agents are killed at random, for which custodians are.
//! Afterwards what clients got, what the log says, what receipts show and what the tokens did must agree.
//!
//! `CHANCERY_LOAD_SECONDS` says how long each of the two parts takes, 8 s when it is not set. `CHANCERY_LOAD_SEED` sets the dice.

#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::print_stderr, reason = "figures, and what stood in the way")]

mod audit;
#[path = "../common/background.rs"]
mod background;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod connector;
mod custodians;
#[path = "../kill/dice.rs"]
mod dice;
mod purse;
mod rate;
mod relay;
mod site;
mod token;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    audit::Books,
    clients::Load,
    custodians::Custodians,
    dice::Dice,
    rate::{EXACT, ROUGH, Rates},
    site::{HSMS, Site},
};

/// How long a part takes in the test command.
const SHORT: Duration = Duration::from_secs(8);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn links_are_cut_and_agents_killed_and_every_signature_is_accounted_for() {
    let part = Duration::from_secs(number("CHANCERY_LOAD_SECONDS", SHORT.as_secs()));
    let seed = number("CHANCERY_LOAD_SEED", u64::from(std::process::id()));
    eprintln!("seed {seed}, {} s a part", part.as_secs());
    let mut dice = Dice::new(seed);
    let mut site = Site::new();
    let custodians = Custodians::start(&site);
    let load = Load::start(&site);
    site.all_are_open(&BTreeMap::new());
    let goal = if part > SHORT { EXACT } else { ROUGH };
    let mut rates = Rates::before(&load, goal);
    let (calm, entries) = (token::now(), site.entries());

    let cuts = cut_links(&site, &load, &mut rates, &mut dice, part);
    let resumed: usize = site
        .connectors
        .iter()
        .map(|connector| connector.told("resumed"))
        .sum();
    assert!(cuts > 3 && resumed > 0, "{cuts} cuts, {resumed} sessions went on");
    let uncut = site.entries();
    let after_cuts = rates.take();
    load.tolerate_refusals();
    let (kills, longest) = kill_agents(&mut site, &load, &mut rates, &mut dice, part);
    let after_kills = rates.take();

    let acknowledged = load.stop();
    custodians.stop();
    let books = Books::close(&site, &acknowledged);
    books.check_signatures(&site, &acknowledged);
    books.check_custodians_are_asked_for_losses_alone(entries, uncut, kills);
    let counts = books.check_tokens(&site, calm);
    eprintln!(
        "{} signatures acknowledged, {} recorded, {} made by the tokens ({} again); {} leases, {} answers of custodians\n\
         links: {cuts} cuts, {resumed} sessions went on, {after_cuts}\n\
         agents: {kills} killed, custodians took {:.1} s at most, {after_kills}, {} calls refused meanwhile",
        acknowledged.signatures.len(),
        books.recorded(),
        counts.made,
        counts.again,
        books.leases(),
        books.answers(),
        longest.as_secs_f64(),
        acknowledged.refusals,
    );
}

/// Cuts links, one or several at a time and for a moment or longer, until the time is over; how often.
fn cut_links(site: &Site, load: &Load, rates: &mut Rates, dice: &mut Dice, part: Duration) -> usize {
    let began = Instant::now();
    let mut cuts = 0;
    while began.elapsed() < part {
        for _ in 0..3 + dice.below(4) {
            for _ in 0..1 + dice.below(2) {
                let link = dice.below(site.relays.len());
                let down = match dice.below(3) {
                    0 => dice.moment(Duration::from_millis(1500)),
                    _ => Duration::ZERO,
                };
                site.relays[link].cut(down);
                cuts += 1;
            }
            thread::sleep(dice.moment(Duration::from_millis(400)));
        }
        for relay in &site.relays {
            relay.is_up_again();
        }
        rates.recover(load, Instant::now());
    }
    cuts
}

/// Kills agents, one or several at a time, and starts others in their place, until the time is over; how many, and how long custodians
/// took at most to open everything again.
fn kill_agents(
    site: &mut Site,
    load: &Load,
    rates: &mut Rates,
    dice: &mut Dice,
    part: Duration,
) -> (usize, Duration) {
    let began = Instant::now();
    let (mut kills, mut longest) = (0, Duration::ZERO);
    while began.elapsed() < part {
        let mut victims: Vec<usize> = (0..site.connectors.len()).collect();
        let several = match dice.below(6) {
            0 => 3,
            1 => 2,
            _ => 1,
        };
        while victims.len() > several {
            victims.remove(dice.below(victims.len()));
        }
        let mut lost = site.open();
        lost.retain(|name, _| victims.iter().any(|victim| HSMS[*victim] == name));
        for victim in &victims {
            site.connectors[*victim].kill();
            kills += 1;
        }
        thread::sleep(dice.moment(Duration::from_millis(800)));
        for victim in &victims {
            site.restart(*victim);
        }
        let asked = Instant::now();
        site.all_are_open(&lost);
        longest = longest.max(asked.elapsed());
        // It is people who were waited for: what they opened again is what has returned.
        rates.recover(load, Instant::now());
    }
    (kills, longest)
}
