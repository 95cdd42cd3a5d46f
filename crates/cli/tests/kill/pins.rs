//! Guessing a PIN, helped by `kill -9`.

use crate::{
    dice::Dice,
    running::{Parts, Running},
    world::World,
};

/// Commands with a wrong PIN that are killed, with the right PIN in between.
const ROUNDS: usize = 16;
/// Commands with a wrong PIN that are killed until the PIN is blocked; the last tries are not killed.
const MOST: usize = 24;

#[test]
fn killing_gives_no_try_back() {
    let seed = 0x5eed_0004;
    println!("seed {seed:#x}");
    let mut dice = Dice::new(seed);
    let world = World::new();
    let number = world.import().to_string();
    let wrong = world.wrong_pin("bob");
    let state = world.path("tokens/bob/state.log");
    let args = ["request", "approve", &number, "--as", "bob", "--pin-file", &wrong];

    let (refused, parts) = Parts::measure(&world, &args, &state);
    let refused = refused.fails(10, "2 tries left");
    assert!(refused.err.contains("do: "), "{refused:?}");
    world.run(&args).fails(10, "1 try left");
    assert_eq!(world.tries("bob"), 1);
    world.present_right_pin("bob");

    let mut tries = 3;
    let guess = |dice: &mut Dice, tries: u8| {
        let mut running = Running::start(&world, &args);
        running.disturb_at(&parts, 1, &state, dice, 1);
        running.kill();
        let ended = running.wait();
        let left = world.tries("bob");
        assert!(
            left == tries || left + 1 == tries,
            "{tries} tries before, {left} after"
        );
        // Whoever learned that the PIN is wrong has paid for it.
        if ended.code == Some(10) {
            assert_eq!(left + 1, tries, "{ended:?}");
        }
        assert!(ended.code.is_none() || ended.code == Some(10), "{ended:?}");
        left
    };
    let mut taken = 0;
    for _ in 0..ROUNDS {
        let left = guess(&mut dice, tries);
        taken += tries - left;
        tries = left;
        if tries == 1 {
            world.present_right_pin("bob");
            tries = 3;
            assert_eq!(world.tries("bob"), tries);
        }
    }
    for _ in 0..MOST {
        if tries == 0 {
            break;
        }
        tries = guess(&mut dice, tries);
    }
    assert!(taken > 0, "no kill came while the PIN was checked");
    println!("{taken} of {ROUNDS} killed commands cost a try");

    // However often it was killed: what is left are the tries that the token counts.
    while tries > 0 {
        tries -= 1;
        let words = if tries == 0 { "blocked" } else { "left" };
        let refused = world.run(&args).fails(10, words);
        assert!(refused.err.contains("do: "), "{refused:?}");
        assert_eq!(world.tries("bob"), tries);
    }
    world.run(&args).fails(10, "blocked");
    let refused = world
        .run(&["request", "approve", &number, "--as", "bob"])
        .fails(10, "blocked");
    assert!(refused.err.contains("SO-PIN"), "the next step: {refused:?}");
    assert_eq!(world.tries("bob"), 0);
}
