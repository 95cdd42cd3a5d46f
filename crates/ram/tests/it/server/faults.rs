//! Clients that lie, cards that go, and what time does.

use chancery_iso7816::TransportError;
use chancery_ram::message::{ResponseObject, ResponseTemplate};
use chancery_ram::server::{Answer, Kind};

use crate::server::bench::{ATR, Bench, MS, SECOND, apdu, bytes, empty, response};

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
