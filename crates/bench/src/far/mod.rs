//! Tokens far away that take their time: how busy they are kept.
//!
//! Each token needs [`SIGNATURE`] for a signature and is attached through a relay that adds [`ONE_WAY`] in each direction and keeps the
//! order of bytes. What is measured is the part of the time in which a token signs, seen at the token; it is shown as the
//! signatures a second that this makes, beside those of the token alone.

mod busy;
mod foreign;
mod relay;
mod site;

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::runtime::Handle;

use self::site::{Agent, Site};
use crate::{
    line::{Goal, Line, Sample},
    options::Options,
};

/// What a signature takes.
const SIGNATURE: Duration = Duration::from_millis(80);
/// What the relay adds.
const ONE_WAY: Duration = Duration::from_millis(25);
/// How long signatures are asked for before it counts.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long it counts.
const WINDOW: Duration = Duration::from_secs(4);

const ALONE: &str = "far token alone";
const ONE: &str = "far, our agent, 8 waiting";

/// Sites are made when they are first needed.
type Shared = Rc<RefCell<Option<Site>>>;

pub(crate) fn lines(options: &Options, runtime: &Handle) -> Vec<Line> {
    let (foreign, ours, four) = (Shared::default(), Shared::default(), Shared::default());
    let line = |name: &str, site: &Shared, agent, tokens, waiting| {
        let (site, options, runtime) = (Rc::clone(site), options.clone(), runtime.clone());
        Line::new(name, move || {
            let mut site = site.borrow_mut();
            let site = match site.take() {
                Some(made) => site.insert(made),
                None => site.insert(Site::make(&options, &runtime, agent, tokens)?),
            };
            site.sample(&runtime, tokens * waiting)
        })
    };
    let part = |ratio| Some(Goal::Ratio(ratio));
    vec![
        Line::new(ALONE, || {
            Ok(Sample {
                pieces: 1,
                took: SIGNATURE,
                computed: None,
            })
        }),
        line("far, foreign client, 8 waiting", &foreign, Agent::Foreign, 1, 8)
            .beside(ALONE)
            .goal(part(0.90)),
        line("far, foreign client, 16 waiting", &foreign, Agent::Foreign, 1, 16)
            .beside(ALONE)
            .goal(part(0.94)),
        line("far, our agent, 2 waiting", &ours, Agent::Ours, 1, 2)
            .beside(ALONE)
            .goal(part(0.95)),
        line(ONE, &ours, Agent::Ours, 1, 8).beside(ALONE).goal(part(0.95)),
        line(
            "far, our agents, 4 tokens, 8 waiting each",
            &four,
            Agent::Ours,
            4,
            8,
        )
        .beside(ONE)
        .goal(part(3.8)),
    ]
}
