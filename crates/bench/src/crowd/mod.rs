//! Many HSMs and many clients on one node.
//!
//! HSMs of several key domains, each with a signing key, are attached by a few agents over TLS; some of each domain hold its key. Programs
//! with our PKCS#11 module, each a process with a client key and a lease of its own, sign at the same time. The node is a process of its own, so
//! that its memory, processor time and files are its alone. Everything else, the HSMs above all, computes on the same machine.

mod client;
mod place;
mod program;
mod usage;

use std::{cell::RefCell, rc::Rc};

use anyhow::ensure;

use self::place::Place;
use crate::{
    line::{Line, Sample},
    options::Options,
};

pub(crate) use client::{CLIENT, client};

/// Signatures each client makes in a round.
const EACH: u32 = 50;
/// HSMs of a key domain.
const DOMAIN: usize = 20;
/// HSMs of a domain that hold its signing key.
const HOLDERS: usize = 4;
/// HSMs that one agent has.
const OF_AN_AGENT: usize = 50;

pub(crate) fn lines(options: &Options) -> Vec<Line> {
    let (hsms, clients) = (options.hsms, options.clients);
    if hsms == 0 || clients == 0 {
        return Vec::new();
    }
    // Made when it is first needed.
    let shared: Rc<RefCell<Option<Place>>> = Rc::default();
    let told = Rc::clone(&shared);
    let options = options.clone();
    let line = Line::new(format!("crowd, {hsms} HSMs, {clients} clients"), move || {
        let mut shared = shared.borrow_mut();
        let place = match shared.take() {
            Some(made) => shared.insert(made),
            None => shared.insert(Place::make(&options)?),
        };
        sign(place)
    });
    vec![line.remarks(move || {
        let place = told.borrow_mut().take();
        place.map_or_else(|| Ok(Vec::new()), Place::end)
    })]
}

/// Every client signs as often.
fn sign(place: &mut Place) -> anyhow::Result<Sample> {
    let before = place.node().usage()?;
    let outcome = place.sign(EACH)?;
    let after = place.node().usage()?;
    ensure!(
        outcome.lost == 0,
        "{} of {} requests were lost, the first: {}",
        outcome.lost,
        outcome.asked,
        outcome.first_failure
    );
    Ok(Sample {
        pieces: outcome.asked,
        took: outcome.took,
        computed: Some(after.computed.saturating_sub(before.computed)),
    })
}
