//! Our own agent: numbered templates, one ahead, going on after a cut.

use chancery_ram::message::{ResponseObject, ResponseTemplate};
use chancery_ram::server::{Answer, Kind};

use crate::server::bench::{Bench, MS, SECOND, acknowledged, apdu, bytes, response};

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
fn a_proven_agent_that_keeps_in_touch_puts_its_answer_off_only_so_long() {
    // It asks for the same, or for more, and cuts itself off: time after time.
    for number in [1, 2] {
        let mut bench = Bench::open(Kind::Own);
        bench.session.authenticated();
        let job = bench.command("0084000001");
        for _ in 0..4 {
            bench.pass(20 * SECOND);
            bench.fetch(number);
            let post = bench.last_post();
            bench.session.post_gone(post, bench.now);
        }
        bench.pass(9 * SECOND);
        assert!(bench.ended().is_none(), "it may have been cut off");
        bench.pass(SECOND);
        assert!(bench.ended().is_some());
        assert!(bench.done(job).unwrap_err().is_lost());
    }
}

#[test]
fn answers_to_nothing_put_off_no_other_answer() {
    let mut bench = Bench::open(Kind::Own);
    bench.session.authenticated();
    let job = bench.command("0084000001");
    // A POST that waits is answered with an empty template, which the agent answers.
    bench.fetch(2);
    bench.pass(15 * SECOND);
    assert_eq!(bench.numbered(2), (2, 0));
    bench.post_numbered(2, &response(&[]));
    bench.pass(14 * SECOND);
    assert!(bench.ended().is_none());
    bench.pass(SECOND);
    assert!(bench.ended().is_some());
    assert!(bench.done(job).unwrap_err().is_lost());
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
fn an_end_does_not_overtake_its_reason() {
    let mut bench = Bench::open(Kind::Own);
    bench.command("0084000001");
    assert_eq!(bench.numbered(1), (1, 1));
    bench.fetch(2);
    bench.session.fail("revoked", bench.now);
    assert_eq!(bench.numbered(2), (2, 1));
    // The reason is on its way over the connection of the fetch; what comes over another is acknowledged.
    bench.post_numbered(1, &response(&["019000"]));
    assert_eq!(bench.answer(3), Some(acknowledged()));
    // It got lost: it is told again, and nothing else is.
    bench.fetch(2);
    assert_eq!(bench.numbered(4), (2, 1));
    bench.fetch(1);
    assert_eq!(bench.answer(5), Some(acknowledged()));
    // Who asks for more has begun with it.
    bench.fetch(3);
    assert_eq!(bench.answer(6), Some(Answer::Over));
    bench.post_numbered(2, &response(&[]));
    assert_eq!(bench.answer(7), Some(Answer::Over));
    bench.post_numbered(1, &response(&["019000"]));
    assert_eq!(bench.answer(8), Some(Answer::Over));
    bench.fetch(1);
    assert_eq!(bench.answer(9), Some(Answer::Over));

    // Who leaves meanwhile need not hear it.
    let mut bench = Bench::open(Kind::Own);
    bench.fetch(1);
    bench.session.fail("revoked", bench.now);
    let close = ResponseObject::Close {
        reason: "stopped".to_owned(),
    };
    let close = ResponseTemplate {
        results: vec![close],
        executed: Some(0),
    };
    bench.post_numbered(0, &close);
    assert_eq!(bench.answer(3), Some(Answer::Over));
}
