//! Every program that signs, in both waits: refused, and permitted.

use crate::{
    programs::{Program, nss_database},
    terminal::Terminal,
    world::{Custodians, Waits, World, ended},
};

const WHY: &str = "carol refused: not on a Sunday";

#[test]
fn programs_wait_where_they_sign() {
    every_program(Waits::AtSign);
}

#[test]
fn programs_wait_where_they_log_in() {
    every_program(Waits::AtLogin);
}

fn every_program(waits: Waits) {
    let world = World::with_custodians();
    world.prepare();
    // A PIN means nothing: each program sends one and sends none.
    let pins = match waits {
        Waits::AtSign => [Some("9999"), None],
        Waits::AtLogin => [None, Some("9999")],
    };

    world.set(Custodians::Refuse("not on a Sunday"));
    for program in Program::ALL {
        let ended = ended(&mut world.signs(program, waits, &world.desk(pins[0])));
        if asks(program, waits) {
            assert_ne!(ended.code, 0, "{program:?}: {}{}", ended.out, ended.err);
            let last = ended.err.lines().last().unwrap_or_default();
            assert!(last.contains(WHY), "{program:?}: {}", ended.err);
        } else {
            program.check(&world.desk(None), &ended.ok());
        }
    }
    certutil_logs_in(&world, waits, true);

    world.set(Custodians::Agree);
    let desk = world.desk(pins[1]);
    for program in Program::ALL {
        let before = world.all_leases().len();
        let made = ended(&mut world.signs(program, waits, &desk)).ok();
        program.check(&desk, &made);
        let asked = world.all_leases().len() - before;
        assert_eq!(
            asked,
            usize::from(asks(program, waits)),
            "{program:?}: {}",
            made.err
        );
        if asked > 0 {
            assert!(
                made.err.contains("permitted by alice and bob"),
                "{program:?}: {}",
                made.err
            );
        }
    }
    // The one that signed nothing has left a lease that the next login would go on under.
    world.end_leases();
    certutil_logs_in(&world, waits, false);
}

/// Whether a program's run has custodians asked.
fn asks(program: Program, waits: Waits) -> bool {
    waits == Waits::AtLogin || program.digests() > 0
}

/// NSS logs in before it lists, where it is not told that it need not, once somebody pressed Enter.
fn certutil_logs_in(world: &World, waits: Waits, is_refused: bool) {
    let database = world.path("nss-login");
    if !database.exists() {
        nss_database(&database, &[], |program| {
            world.program(&world.waiting(waits, 1), &[program])
        });
    }
    let database = format!("sql:{}", database.display());
    let words = ["certutil", "-L", "-d", &database, "-h", "firmware"];
    let mut terminal = Terminal::start(&world.program(&world.waiting(waits, 1), &words), 200, 40);
    terminal.wait_for("Press Enter");
    // It throws away what was typed before it stops showing what is typed.
    terminal.type_unseen("");
    let (code, screen) = terminal.end();
    if is_refused && waits == Waits::AtLogin {
        assert_eq!(code, 255, "{screen}");
        assert!(screen.contains(WHY), "{screen}");
    } else {
        assert_eq!(code, 0, "{screen}");
        assert!(screen.contains("firmware:firmware"), "{screen}");
        let permitted = screen.contains("permitted by alice and bob");
        assert_eq!(permitted, waits == Waits::AtLogin, "{screen}");
    }
}
