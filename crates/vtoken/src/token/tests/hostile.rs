//! Bytes nobody should send.

use proptest::prelude::*;

use super::*;

/// Every command once, so that changing a few bytes of one gets past the parsers.
const SEEDS: &[&str] = &[
    SELECT,
    VERIFY,
    INITIALISE,
    GENERATE,
    SIGN,
    "00A4000002CC0100",
    "00A40000022F0200",
    "00200081",
    "0020008808 3537363231383830",
    "002400810C 363438323139 363438323139",
    "002C00810E 3537363231383830 363438323139",
    "002C018108 3537363231383830",
    "0084000008",
    "0082000040 11111111111111111111111111111111 11111111111111111111111111111111
        11111111111111111111111111111111 11111111111111111111111111111111",
    "8050000000",
    "8050000015 80020000 8208 3537363231383830 93020302 920101",
    "80580000000000",
    "00B12F02000004540200000000",
    "00B1CE01000004540200000000",
    "00D7CE010A 54020000 5304 01020304",
    "00D72F100A 54020000 5304 01020304",
    "00D7CD0108 54020002 5302 0102",
    "00E4020002CE01",
    "00E4020002CC01",
    "8052000000",
    "805200002000112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF00",
    "80520100010200",
    "8052030000",
    "8052040000",
    "8054000004",
    "8054020000",
    "805400000B 7F2103010203 4200 5F3700 04",
    "8062018041 046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
        4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5 00",
    "806801702011111111111111111111111111111111 11111111111111111111111111111111 00",
    "80720192000000",
    "8074059313 630DCD2966C43366 0C000A04007F0007000000",
    "80740593",
    "002281B60B 8309 555443413030303031",
    "002281A40B 8309 555443413030303031",
    "002A00BE06 7F4E00 5F3700",
    "002241A40C 800A04007F00070202030202",
    "0086000045 7C438041 048BD2AEB9CB7E57CB2C4B482FFC81B7AFB9DE27E1E3BD23C23A4453BD9ACE3262
        547EF835C3DAC4FD97F8461A14611DC9C27745132DED8E545C1D54C72F046997 00",
    "0C2000810D 970100 8E080000000000000000 00",
    "805A0181 00",
    "00A4040408 A0583FC19B7E4F21 00",
    "8076010203 980102",
    "004822B206 910410111899 00",
    "8078221010 00112233445566778899AABBCCDDEEFF 00",
];

/// A generator of numbers that is the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((z ^ (z >> 31)) % sides).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    /// A command with 0 to 4 things wrong.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut command = seed.to_vec();
        for _ in 0..self.roll(5) {
            let place = self.roll(command.len().max(1));
            let value = self.byte();
            match self.roll(6) {
                0 => command.truncate(place),
                1 => command.insert(place.min(command.len()), value),
                2 if place < command.len() => {
                    command.remove(place);
                }
                // Most mistakes are in the header, where they lead somewhere.
                3 | 4 => set(&mut command, self.roll(6), value),
                _ => set(&mut command, place, value),
            }
        }
        command
    }
}

fn set(command: &mut [u8], place: usize, value: u8) {
    if let Some(byte) = command.get_mut(place) {
        *byte = value;
    }
}

/// The durable state with what an error may change taken out.
fn comparable(state: &State) -> State {
    let mut state = state.clone();
    for pin in [&mut state.user_pin, &mut state.so_pin].into_iter().flatten() {
        pin.tries_left = 0;
    }
    state
}

/// Whether there is still something to break.
fn worn_out(bench: &Bench) -> bool {
    let state = bench.state();
    state.so_pin.as_ref().is_none_or(|pin| pin.tries_left < 5)
        || state.user_pin.as_ref().is_none_or(|pin| pin.tries_left == 0)
}

#[test]
fn a_long_stream_of_broken_commands_changes_nothing_on_error() {
    let seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| bytes(seed)).collect();
    let mut bench = Bench::ready();
    let mut dice = Dice(20_261_121);
    let mut answers = std::collections::BTreeMap::<u16, u32>::new();
    for round in 0..12_000 {
        if round % 60 == 0 {
            if worn_out(&bench) {
                bench = Bench::ready();
            }
            for step in [SELECT, VERIFY, SHARE, GENERATE] {
                bench.status(step);
            }
        }
        let seed = dice.roll(seeds.len());
        let command = dice.mutate(&seeds[seed]);
        let (before, mark) = (bench.state().clone(), bench.token.mark());
        let answer = bench.token.process(&command);
        let status = status_of(&answer).0;
        *answers.entry(status).or_default() += 1;
        // 61xx and 62xx are warnings, 63xx says that a check failed.
        if !(0x6300..0x9000).contains(&status) {
            continue;
        }
        assert_eq!(answer.len(), 2, "{status:04X}");
        let instruction = command.get(1).copied().unwrap_or_default();
        if matches!(instruction, 0x20 | 0x24 | 0x2C | 0x50) {
            assert_eq!(
                comparable(bench.state()),
                comparable(&before),
                "{}",
                hex::encode(&command)
            );
        } else {
            assert_eq!(bench.state(), &before, "{}", hex::encode(&command));
            assert_eq!(bench.token.mark(), mark, "{}", hex::encode(&command));
        }
    }
    // The stream has to have got somewhere.
    for status in [
        0x9000, 0x6282, 0x6700, 0x6982, 0x6985, 0x6A80, 0x6A82, 0x6A86, 0x6A88, 0x6D00, 0x6E00,
    ] {
        assert!(
            answers.contains_key(&status),
            "{status:04X} never came: {answers:04X?}"
        );
    }
}

#[test]
fn the_largest_commands_and_garbage_are_survived() {
    let mut bench = Bench::ready();
    bench.ok(GENERATE);
    for instruction in 0..=255u8 {
        for fill in [0x00, 0x5F, 0xFF] {
            let mut command = vec![0x00, instruction, 0x01, 0x92, 0x00, 0xFF, 0xFF];
            command.extend(vec![fill; 65_535]);
            assert!(bench.token.process(&command).len() >= 2);
            command.extend([0, 0]);
            assert!(bench.token.process(&command).len() >= 2);
            command.push(0);
            assert_eq!(status_of(&bench.token.process(&command)).0, 0x6700);
        }
    }
    assert_eq!(status_of(&bench.token.process(&vec![0; 1 << 20])).0, 0x6700);
    bench.ok(SELECT);
    bench.ok(VERIFY);
    bench.ok(SIGN);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_get_a_status_word(
        commands in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
    ) {
        let mut bench = Bench::ready();
        for command in &commands {
            let answer = bench.token.process(command);
            prop_assert!(answer.len() >= 2);
            prop_assert!(matches!(status_of(&answer).sw1(), 0x61..=0x6F | 0x90));
        }
    }

    #[test]
    fn any_data_gets_a_status_word(
        data in prop::collection::vec(any::<u8>(), 1..400),
        header in prop::sample::select(vec![
            [0, 0x46, 1, 0], [0, 0x50, 0, 0], [0, 0x52, 0, 0], [0, 0x54, 0, 0], [0, 0x74, 1, 0x93],
            [0, 0x2A, 0, 0xBE], [0, 0xD7, 0xCE, 1], [0, 0x22, 0x81, 0xB6],
        ]),
    ) {
        let mut bench = Bench::ready();
        let mark = bench.token.mark();
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        let command = [&header[..], &[0], &length, &data].concat();
        let status = status_of(&bench.token.process(&command)).0;
        prop_assert!(status == 0x9000 || bench.token.mark() == mark, "{status:04X}");
    }
}
