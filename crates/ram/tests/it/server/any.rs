//! Any sequence of what a client or the node can do.

use chancery_ram::message::{ResponseObject, ResponseTemplate};
use chancery_ram::server::Kind;
use proptest::prelude::*;

use crate::server::bench::{ATR, Bench, MS, SECOND, apdu, bytes};

/// What a client or the node does next, in any order.
#[derive(Debug, Clone)]
enum Step {
    Submit(bool),
    Post(Option<u64>, Vec<u8>, bool),
    Fetch(u64),
    Gone,
    Pass(u64),
    Fail,
    Finish,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Submit),
        6 => (proptest::option::of(0u64..6), proptest::collection::vec(0u8..4, 0..4), proptest::bool::weighted(0.05))
            .prop_map(|(number, results, close)| Step::Post(number, results, close)),
        3 => (0u64..6).prop_map(Step::Fetch),
        1 => Just(Step::Gone),
        4 => (0u64..20_000).prop_map(Step::Pass),
        1 => prop_oneof![Just(Step::Fail), Just(Step::Finish)],
    ]
}

proptest! {
    /// Whatever a client does: each job is done exactly once, each POST answered at most once, a number never stands
    /// for two contents, the end is told once.
    #[test]
    fn any_client_gets_one_story(own in any::<bool>(), proven in any::<bool>(), steps in proptest::collection::vec(any_step(), 0..60)) {
        let mut bench = Bench::open(if own { Kind::Own } else { Kind::Foreign });
        if proven {
            bench.session.authenticated();
        }
        let mut jobs = Vec::new();
        for step in steps {
            match step {
                Step::Submit(ahead) => jobs.push(if ahead {
                    bench.session.submit_ahead(apdu("0084000008"), bench.now)
                } else {
                    bench.session.submit(apdu("0084000008"), bench.now)
                }),
                Step::Post(number, results, close) => {
                    let mut results: Vec<_> = results.into_iter().map(|kind| match kind {
                        0 => ResponseObject::Atr(bytes(ATR)),
                        1 => ResponseObject::Response(Vec::new().into()),
                        _ => ResponseObject::Response(bytes("9000").into()),
                    }).collect();
                    if close {
                        results.push(ResponseObject::Close { reason: String::new() });
                    }
                    let response = ResponseTemplate { results, executed: Some(7) };
                    match number {
                        Some(number) => bench.post_numbered(number, &response),
                        None => bench.post(&response),
                    }
                }
                Step::Fetch(number) => bench.fetch(number),
                Step::Gone => {
                    let post = bench.last_post();
                    bench.session.post_gone(post, bench.now);
                }
                Step::Pass(ms) => bench.pass(MS * u32::try_from(ms).unwrap()),
                Step::Fail => bench.session.fail("failed", bench.now),
                Step::Finish => bench.session.finish("finished", bench.now),
            }
            bench.collect();
        }
        bench.pass(400 * SECOND);
        bench.pass(400 * SECOND);
        bench.session.fail("end", bench.now);
        bench.pass(400 * SECOND);
        for job in jobs {
            prop_assert_eq!(bench.done_count(job), 1);
        }
        prop_assert_eq!(bench.ends(), 1);
        prop_assert!(bench.session.is_gone());
    }
}
