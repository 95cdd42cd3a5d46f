//! What goes to and fro when all is well: recorded exchanges, batches, notices, the end.

use chancery_iso7816::TransportError;
use chancery_ram::message::CommandObject;
use chancery_ram::server::{Answer, Kind, Limits, MAX_COMMAND, Work};

use crate::server::bench::{self, ATR, Bench, MS, SECOND, apdu, bytes, command, empty, response};

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
