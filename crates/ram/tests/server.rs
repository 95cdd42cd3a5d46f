//! The server's end of a session: recorded exchanges, batches, faults and lies of clients, and what time does.
#![expect(clippy::unwrap_used, reason = "tests")]

mod bench;

use std::time::Duration;

use bench::{ATR, Bench, apdu, bytes, command, empty, response};
use chancery_iso7816::TransportError;
use chancery_ram::message::{CommandObject, ResponseObject, ResponseTemplate};
use chancery_ram::server::{Answer, Kind, Limits, MAX_COMMAND, Work};
use proptest::prelude::*;

fn acknowledged() -> Answer {
    Answer::Template {
        body: bytes("AA00").into(),
        sequence: None,
    }
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_recorded_exchange_goes_as_it_went() {
    let mut bench = Bench::open(Kind::Foreign);
    let select = bench.command("00A404000BE82B0601040181C31F020100");
    assert_eq!(
        bench.body(1),
        bytes("AA13 2211 00A404000BE82B0601040181C31F020100")
    );

    bench.post_bytes("AB0E 2309 6F0585030205019000 800101");
    assert_eq!(bench.done(select).unwrap(), bytes("6F0585030205019000"));
    let random = bench.session.submit_ahead(apdu("0084000008"), bench.now);
    let verify = bench.session.submit_ahead(apdu("00200081"), bench.now);
    bench.pass(5 * MS);
    assert_eq!(bench.body(2), bytes("AA0D 22050084000008 220400200081"));

    // The count may be wrong: some clients always say 1.
    bench.post_bytes("AB13 230A00010203040506079000 230263C3 800101");
    assert_eq!(bench.done(random).unwrap(), bytes("00010203040506079000"));
    assert_eq!(bench.done(verify).unwrap(), bytes("63C3"));
    bench.session.notify(1, "Reading token", None, bench.now);
    bench.pass(5 * MS);
    assert_eq!(
        bench.body(3),
        bytes("AA14 E012 020101 0C0D52656164696E6720746F6B656E")
    );

    bench.post_bytes("AB03800100");
    bench.pass(15 * SECOND);
    assert_eq!(bench.body(4), bytes("AA00"));
    bench.post_bytes("AB03800100");
    let reset = bench.session.submit(Work::Reset, bench.now);
    assert_eq!(bench.body(5), bytes("AA02C000"));
    bench.post_bytes(&format!("AB1D C018{ATR} 800100"));
    assert_eq!(bench.done(reset).unwrap(), bytes(ATR));

    bench.session.finish("Done", bench.now);
    assert_eq!(bench.body(6), bytes("AA0B E009 020100 0C04446F6E65"));
    assert!(bench.ended().is_some());
    bench.post_bytes("AB03800100");
    assert_eq!(bench.answer(7), Some(Answer::Over));
}

#[test]
fn a_reset_and_a_command_in_one_template_are_answered_in_order() {
    let mut bench = Bench::open(Kind::Foreign);
    let reset = bench.session.submit_ahead(Work::Reset, bench.now);
    let random = bench.session.submit_ahead(apdu("0084000008"), bench.now);
    bench.pass(2 * MS);
    assert_eq!(bench.body(1), bytes("AA09C00022050084000008"));
    bench.post_bytes(&format!("AB29 C018{ATR} 230A00010203040506079000 800101"));
    assert_eq!(bench.done(reset).unwrap(), bytes(ATR));
    assert_eq!(bench.done(random).unwrap(), bytes("00010203040506079000"));
}

#[test]
fn a_notice_with_seconds_is_written_as_clients_read_it() {
    let mut bench = Bench::open(Kind::Foreign);
    bench.session.notify(42, "Generating key", Some(30), bench.now);
    assert_eq!(
        bench.body(1),
        bytes("AA18E01602012A0C0E47656E65726174696E67206B6579C3011E")
    );
}

#[test]
fn a_card_pulled_in_the_second_of_three_commands_loses_that_and_the_third() {
    let mut bench = Bench::open(Kind::Foreign);
    let jobs: Vec<_> = ["0084000008", "80EE000000", "0084000008"]
        .into_iter()
        .map(|text| bench.session.submit_ahead(apdu(text), bench.now))
        .collect();
    bench.pass(2 * MS);
    bench.post_bytes(
        "AB28 230A00010203040506079000 2300 E1150C135472616E73616374696F6E206661696C65642E 800102",
    );
    assert_eq!(bench.answer(2), Some(Answer::Over));
    assert_eq!(bench.done(jobs[0]).unwrap(), bytes("00010203040506079000"));
    let lost = TransportError::lost("the client ended the session: Transaction failed.");
    assert_eq!(bench.done(jobs[1]), Err(lost.clone()));
    assert_eq!(bench.done(jobs[2]), Err(lost));
    assert_eq!(
        bench.ended().unwrap(),
        "the client ended the session: Transaction failed."
    );
}

#[test]
fn a_long_answer_the_client_cannot_take_ends_the_session_with_its_reason() {
    let mut bench = Bench::open(Kind::Foreign);
    let job = bench.command("00B0000000000FFF");
    bench.post(&ResponseTemplate {
        results: vec![ResponseObject::Close {
            reason: "Insufficient buffer.".to_owned(),
        }],
        executed: Some(0),
    });
    assert!(bench.done(job).unwrap_err().is_lost());
    assert_eq!(bench.answer(2), Some(Answer::Over));
}

#[test]
fn a_short_response_alone_is_a_card_that_vanished() {
    for short in ["", "90"] {
        let mut bench = Bench::open(Kind::Foreign);
        let job = bench.command("0084000008");
        bench.post(&response(&[short]));
        assert!(bench.done(job).unwrap_err().is_lost());
        assert_eq!(bench.answer(2), Some(Answer::Over));
        assert_eq!(bench.ended().unwrap(), "the card vanished during a command");
    }
}

#[test]
fn fewer_answers_than_commands_fail_the_rest_and_the_session_goes_on() {
    let mut bench = Bench::open(Kind::Foreign);
    let jobs: Vec<_> = (0..3)
        .map(|_| bench.session.submit_ahead(apdu("0084000008"), bench.now))
        .collect();
    bench.pass(2 * MS);
    // It claims all three.
    let mut answer = response(&["9000"]);
    answer.executed = Some(3);
    bench.post(&answer);
    assert_eq!(bench.done(jobs[0]).unwrap(), bytes("9000"));
    for job in &jobs[1..] {
        assert!(matches!(bench.done(*job), Err(TransportError::Failed { .. })));
    }
    let next = bench.command("0084000008");
    bench.post(&response(&["9000"]));
    assert_eq!(bench.done(next).unwrap(), bytes("9000"));
}

#[test]
fn more_answers_or_answers_of_another_kind_end_the_session() {
    let atr = ResponseTemplate {
        results: vec![ResponseObject::Atr(bytes(ATR))],
        executed: Some(1),
    };
    for (answer, first) in [(response(&["9000", "9000"]), true), (atr, false)] {
        let mut bench = Bench::open(Kind::Foreign);
        let job = bench.command("0084000008");
        bench.post(&answer);
        assert_eq!(bench.done(job).is_ok(), first);
        assert_eq!(bench.answer(2), Some(Answer::Over));
        assert!(bench.ended().is_some());
        // Nothing is taken any more, and nobody waits for ever.
        let late = bench.session.submit(apdu("0084000008"), bench.now);
        assert!(bench.done(late).unwrap_err().is_lost());
    }
}

#[test]
fn batches_have_at_most_sixteen_commands_and_bounded_lengths() {
    let sizes = |work: Vec<Work>| {
        let mut bench = Bench::open(Kind::Foreign);
        for work in work {
            bench.session.submit_ahead(work, bench.now);
        }
        let mut sizes = Vec::new();
        for post in 1.. {
            bench.pass(5 * MS);
            let Some(answer) = bench.answer(post) else { break };
            let commands = bench::commands(&answer);
            sizes.push(commands.len());
            bench.post(&response(&vec!["9000"; commands.len()]));
        }
        sizes
    };
    assert_eq!(sizes(vec![apdu("0084000008"); 40]), [16, 16, 8]);
    // 4 kB of response each: eight fit 32 kB.
    assert_eq!(sizes(vec![apdu("00B0000000000000"); 10]), [8, 2]);
    assert_eq!(sizes(vec![apdu("80100000"); 10]), [8, 2]);
    // Signatures are shorter than the card may say.
    assert_eq!(sizes(vec![apdu("80680120000001 AA 0000"); 16]), [16]);
    // 10 kB of command each.
    let mut long = bytes("80100000002800");
    long.resize(7 + 0x2800, 0);
    assert_eq!(sizes(vec![command(&long); 7]), [3, 3, 1]);
    // What is over every limit goes alone.
    let mut longest = bytes("8010000000EA00");
    longest.resize(MAX_COMMAND.min(7 + 0xEA00), 0);
    assert_eq!(
        sizes(vec![apdu("0084000008"), command(&longest), apdu("0084000008")]),
        [1, 1, 1]
    );
}

#[test]
fn callers_who_just_got_answers_join_the_next_template() {
    let mut bench = Bench::open(Kind::Foreign);
    for _ in 0..3 {
        bench.session.submit_ahead(apdu("0084000008"), bench.now);
    }
    bench.pass(2 * MS);
    bench.post(&response(&["9000"; 3]));
    bench.session.submit_ahead(apdu("0084000008"), bench.now);
    bench.session.submit_ahead(apdu("0084000008"), bench.now);
    bench.pass(MS);
    assert_eq!(bench.answer(2), None, "a third may still come");
    bench.session.submit_ahead(apdu("0084000008"), bench.now);
    assert_eq!(bench::commands(&bench.answer(2).unwrap()).len(), 3);

    // Nobody waits longer than a moment for callers who do not come back.
    bench.post(&response(&["9000"; 3]));
    bench.session.submit_ahead(apdu("0084000008"), bench.now);
    bench.pass(4 * MS);
    assert_eq!(bench::commands(&bench.answer(3).unwrap()).len(), 1);

    // A single command that is waited for does not wait.
    bench.post(&response(&["9000"]));
    bench.session.submit(apdu("0084000008"), bench.now);
    assert!(bench.answer(4).is_some());
}

#[test]
fn an_error_goes_alone_and_last() {
    // While the client has a command: that fails at once, the client is told when it comes back.
    let mut bench = Bench::open(Kind::Foreign);
    let running = bench.command("0084000008");
    let queued = bench.session.submit(apdu("0084000008"), bench.now);
    bench.session.fail("revoked", bench.now);
    assert_eq!(bench.done(running), Err(TransportError::lost("revoked")));
    assert_eq!(bench.done(queued), Err(TransportError::lost("revoked")));
    assert_eq!(bench.ended().unwrap(), "revoked");
    bench.post(&response(&["9000"]));
    assert_eq!(bench.body(2), bytes("AA0E E00C 0201FF 0C077265766F6B6564"));
    assert_eq!(bench.too_late, [0x84], "what the card did is dropped, and known");
    bench.post(&empty());
    assert_eq!(bench.answer(3), Some(Answer::Over));
    bench.pass(5 * SECOND);
    assert!(bench.session.is_gone());
    bench.post(&empty());
    assert_eq!(bench.answer(4), Some(Answer::Unknown));

    // While it waits: at once.
    let mut bench = Bench::open(Kind::Foreign);
    bench.session.notify(1, "x", None, bench.now);
    bench.post(&empty());
    bench.session.fail("revoked", bench.now);
    let told = bench::commands(&bench.answer(2).unwrap());
    assert!(
        matches!(&told[..], [CommandObject::Notify { id: -1, .. }]),
        "{told:?}"
    );
}

#[test]
fn a_close_is_taken_beside_a_post_that_is_held_and_any_other_is_not() {
    let mut bench = Bench::open(Kind::Foreign);
    bench.pass(15 * SECOND);
    bench.post(&empty());
    // A second one beside it, with and without an answer in it.
    bench.post(&empty());
    assert_eq!(bench.answer(3), Some(Answer::OutOfStep));
    bench.post(&response(&["9000"]));
    assert_eq!(bench.answer(4), Some(Answer::OutOfStep));
    assert_eq!(bench.answer(2), None, "still held");
    bench.post(&ResponseTemplate {
        results: vec![ResponseObject::Close {
            reason: "card \u{1b}[2J\nremoved\u{202e}".to_owned(),
        }],
        executed: None,
    });
    assert_eq!(bench.answer(5), Some(Answer::Over));
    assert_eq!(bench.answer(2), Some(Answer::Over));
    let because = bench.ended().unwrap();
    assert_eq!(
        because,
        "the client ended the session: card \\u{1b}[2J\\nremoved\\u{202e}"
    );
}

#[test]
fn a_command_has_thirty_seconds_a_key_pair_three_hundred_a_batch_the_sum() {
    for (work, seconds) in [
        (vec!["0084000008"], 30),
        (vec!["00460000"], 300),
        (vec!["0C460000"], 300),
        (vec!["0084000008", "0084000008", "00460000"], 360),
    ] {
        let mut bench = Bench::open(Kind::Foreign);
        let jobs: Vec<_> = work
            .iter()
            .map(|text| bench.session.submit_ahead(apdu(text), bench.now))
            .collect();
        bench.pass(2 * MS);
        assert!(bench.answer(1).is_some());
        bench.pass(SECOND * seconds - 10 * MS);
        assert!(bench.ended().is_none());
        bench.pass(10 * MS);
        for job in jobs {
            assert!(bench.done(job).unwrap_err().is_lost());
        }
        // The late answer finds no session.
        bench.post(&response(&["9000"]));
        assert_eq!(bench.answer(2), Some(Answer::Unknown));
    }
    // Callers may say otherwise.
    let mut bench = Bench::open(Kind::Foreign);
    let work = apdu("0084000008");
    let job = bench.session.submit_within(work, 2 * SECOND, bench.now);
    bench.pass(2 * SECOND);
    assert!(bench.done(job).is_err());
}

#[test]
fn a_foreign_client_is_gone_after_ten_seconds_of_silence() {
    let mut bench = Bench::open(Kind::Foreign);
    bench.session.authenticated();
    bench.pass(15 * SECOND);
    assert_eq!(bench.body(1), bytes("AA00"));
    bench.pass(10 * SECOND - MS);
    assert!(bench.ended().is_none());
    bench.pass(MS);
    assert_eq!(bench.ended().unwrap(), "the client fell silent");

    // A connection cut while the POST is held: the client may post again, or is gone.
    let mut bench = Bench::open(Kind::Foreign);
    let post = bench.last_post();
    bench.session.post_gone(post, bench.now);
    bench.pass(9 * SECOND);
    bench.post(&empty());
    bench.pass(10 * SECOND);
    assert!(bench.ended().is_none());
    let post = bench.last_post();
    bench.session.post_gone(post, bench.now);
    let job = bench.session.submit(apdu("0084000008"), bench.now);
    bench.pass(10 * SECOND);
    assert!(bench.done(job).unwrap_err().is_lost());
}

#[test]
fn our_agent_has_the_next_template_while_the_card_works() {
    let mut bench = Bench::open(Kind::Own);
    let one = bench.command("0084000001");
    assert_eq!(bench.numbered(1), (1, 1));
    bench.fetch(2);
    let two = bench.command("0084000002");
    assert_eq!(bench.numbered(2), (2, 1));
    // Two are with it: the third is held back until an answer comes.
    bench.fetch(3);
    let three = bench.command("0084000003");
    assert_eq!(bench.answer(3), None);
    bench.post_numbered(1, &response(&["019000"]));
    assert_eq!(
        bench.body(4),
        bytes("AA00"),
        "acknowledged: the next was asked for"
    );
    assert_eq!(bench.numbered(3), (3, 1));
    // Answers may overtake each other.
    bench.post_numbered(3, &response(&["039000"]));
    bench.post_numbered(2, &response(&["029000"]));
    for (job, text) in [(one, "019000"), (two, "029000"), (three, "039000")] {
        assert_eq!(bench.done(job).unwrap(), bytes(text));
    }
}

#[test]
fn what_waits_is_shared_between_the_card_and_the_template_ahead() {
    let mut bench = Bench::open(Kind::Own);
    for _ in 0..9 {
        bench.session.submit_ahead(apdu("0084000001"), bench.now);
    }
    bench.pass(2 * MS);
    assert_eq!(bench.numbered(1), (1, 5));
    bench.fetch(2);
    assert_eq!(bench.numbered(2), (2, 4));
    // Those who got answers meet in the next one.
    bench.fetch(3);
    bench.post_numbered(1, &response(&["9000"; 5]));
    for _ in 0..5 {
        assert_eq!(bench.answer(3), None);
        bench.session.submit_ahead(apdu("0084000001"), bench.now);
    }
    assert_eq!(bench.numbered(3), (3, 5));
}

#[test]
fn a_number_always_stands_for_the_same_bytes_and_its_answer_counts_once() {
    let mut bench = Bench::open(Kind::Own);
    let one = bench.command("0084000001");
    let body = bench.body(1);
    bench.session.submit_ahead(apdu("0084000002"), bench.now);
    bench.fetch(1);
    assert_eq!(bench.body(2), body, "the same bytes, whatever waits");

    bench.post_numbered(1, &response(&["019000"]));
    bench.pass(5 * MS);
    assert_eq!(bench.numbered(3), (2, 1));
    let second = bench.body(3);
    assert_eq!(bench.done(one).unwrap(), bytes("019000"));
    // The answer to it got lost: posted again, even with other content.
    bench.post_numbered(1, &response(&["FF9000"]));
    assert_eq!(bench.body(4), second);
    bench.fetch(2);
    assert_eq!(bench.body(5), second);
    assert_eq!(bench.done_count(one), 1);

    // Asked for again after it was answered: nothing new.
    bench.fetch(1);
    assert_eq!(bench.answer(6), Some(acknowledged()));
    // Never handed out, far ahead: out of step.
    bench.fetch(4);
    assert_eq!(bench.answer(7), Some(Answer::OutOfStep));
    bench.post_numbered(3, &response(&["9000"]));
    assert_eq!(bench.answer(8), Some(Answer::OutOfStep));
    bench.post_numbered(0, &response(&[]));
    assert_eq!(bench.answer(9), Some(Answer::OutOfStep));
    bench.post(&response(&["9000"]));
    assert_eq!(bench.answer(10), Some(Answer::OutOfStep));
    assert!(bench.ended().is_none());
}

#[test]
fn our_agent_goes_on_after_a_cut_only_when_its_token_was_proven() {
    for proven in [false, true] {
        let mut bench = Bench::open(Kind::Own);
        if proven {
            bench.session.authenticated();
        }
        let one = bench.command("0084000001");
        bench.post_numbered(1, &response(&["9000"]));
        assert!(bench.done(one).is_ok());
        let post = bench.last_post();
        bench.session.post_gone(post, bench.now);
        let two = bench.session.submit(apdu("0084000002"), bench.now);
        bench.pass(if proven { 59 } else { 10 } * SECOND);
        if proven {
            bench.post_numbered(1, &response(&["9000"]));
            assert_eq!(bench.numbered(3), (2, 1));
            // Cut again, with the command at the card: its time is up, the answer may still come.
            bench.pass(59 * SECOND);
            bench.post_numbered(2, &response(&["029000"]));
            assert_eq!(bench.done(two).unwrap(), bytes("029000"));
        } else {
            assert!(bench.done(two).unwrap_err().is_lost());
            bench.post_numbered(1, &response(&["9000"]));
            assert_eq!(bench.answer(3), Some(Answer::Unknown));
        }
    }
}

#[test]
fn a_proven_agent_that_is_overdue_is_gone() {
    // Silent.
    let mut bench = Bench::open(Kind::Own);
    bench.session.authenticated();
    bench.command("0084000001");
    bench.pass(60 * SECOND);
    assert!(bench.ended().is_some());
    // There, but without the answer.
    let mut bench = Bench::open(Kind::Own);
    bench.session.authenticated();
    bench.command("0084000001");
    bench.pass(20 * SECOND);
    bench.fetch(2);
    bench.pass(10 * SECOND);
    assert!(bench.ended().is_some());
    assert_eq!(bench.answer(2), Some(Answer::Unknown));
}

#[test]
fn a_close_of_our_agent_counts_whatever_number_it_carries() {
    for number in [0, 1, 99] {
        let mut bench = Bench::open(Kind::Own);
        let job = bench.command("0084000001");
        bench.post_numbered(
            number,
            &ResponseTemplate {
                results: vec![ResponseObject::Close {
                    reason: "card removed".to_owned(),
                }],
                executed: Some(0),
            },
        );
        assert_eq!(bench.answer(2), Some(Answer::Over));
        assert!(bench.done(job).unwrap_err().is_lost());
    }
}

#[test]
fn a_job_is_taken_back_only_while_it_waits() {
    let mut bench = Bench::open(Kind::Foreign);
    let running = bench.command("0084000001");
    let waiting = bench.session.submit(apdu("0084000002"), bench.now);
    assert!(bench.session.cancel(waiting));
    assert!(!bench.session.cancel(waiting));
    assert!(!bench.session.cancel(running));
    bench.post(&response(&["9000"]));
    bench.pass(5 * MS);
    assert_eq!(bench.answer(2), None);
}

#[test]
fn closing_answers_the_post_that_waits() {
    let mut bench = Bench::open(Kind::Foreign);
    bench.session.close("the node stops", bench.now);
    assert_eq!(bench.answer(1), Some(Answer::Over));
    assert_eq!(bench.ended().unwrap(), "the node stops");

    let mut bench = Bench::open(Kind::Foreign);
    let job = bench.command("8068012000");
    bench.session.close("the node stops", bench.now);
    assert!(bench.done(job).unwrap_err().is_lost());
    bench.post(&response(&["9000"]));
    assert_eq!(bench.answer(2), Some(Answer::Over));
    assert_eq!(bench.too_late, [0x68]);
}

#[test]
fn the_longest_command_is_what_the_client_says_or_what_fits() {
    let mut bench = Bench::open(Kind::Foreign);
    assert_eq!(bench.session.max_command(), MAX_COMMAND);
    bench = Bench::open_with(Kind::Foreign, Some(261), Limits::default());
    assert_eq!(bench.session.max_command(), 261);
}

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
