//! What travels in a channel, and what ends it.

use chancery_iso7816::CommandApdu;
use chancery_schsm::secure_messaging::Protocol;
use openssl::bn::BigNumContext;
use openssl::ec::{EcGroup, PointConversionForm};
use openssl::nid::Nid;
use proptest::prelude::*;

use crate::secure_channel::channel::{Channel, MSE_AES};
use crate::support::{self, Bench, Installation, SELECT, SO_PIN, VERIFY, apdu, ec_parameters, generate};

/// Sends a protected command that was altered, and gives the bare answer.
fn altered(bench: &mut Bench, channel: &mut Channel, alter: impl FnOnce(&mut Vec<u8>)) -> (Vec<u8>, u16) {
    let protected = channel
        .0
        .protect_command(&CommandApdu::new(0x00, 0x20, 0x00, 0x81).expecting(256))
        .unwrap();
    let mut bytes = protected.encode().to_vec();
    alter(&mut bytes);
    bench.send_bytes(&bytes)
}

#[test]
fn everything_works_through_the_channel_without_any_plain_command() {
    let installation = Installation::new();
    for (name, protocol) in [("a", Protocol::Aes128), ("b", Protocol::TripleDes)] {
        let mut bench = installation.token(name);
        bench.ok(SELECT);
        let mut channel = Channel::open(&mut bench, protocol);
        let initialise = apdu(
            "80500000",
            &format!("80020001 8106363438323139 8208{SO_PIN} 910103 920101"),
        );
        channel.dialogue(
            &mut bench,
            &[
                ("00200081", 0x6A88, ""),
                ("00B12F0204 54020000 10", 0x9000, "7F21*"),
                ("00B12F02000004 54020000 0000", 0x6282, "7F21*"),
                (&initialise, 0x9000, ""),
                ("00200081 00", 0x63C3, ""),
                ("80200081 06 363438323130", 0x63C2, ""),
                ("0020008106 363438323139", 0x9000, ""),
                ("00D7CE010A 54020000 5304 01020304", 0x9000, ""),
                ("00B1CE0104 54020000 00", 0x6282, "01020304"),
                ("00A4000002CE0100", 0x9000, "6F*"),
                ("00B1CE0904 54020000 00", 0x6A82, ""),
                ("8058000000 0000", 0x9000, "CC00 CE01"),
                (
                    "805200002011111111111111111111111111111111111111111111111111111111 11111111 00",
                    0x9000,
                    "0100*",
                ),
                ("0099000000", 0x6D00, ""),
                ("0084000000", 0x9000, "*"),
            ],
        );
        assert_eq!(channel.send(&mut bench, "0084000000").0.len(), 256);
        assert_eq!(channel.send(&mut bench, "00840000000400").0.len(), 1024);
        let template = format!(
            "5F290100 4209555443413030303031 {} {}",
            ec_parameters(Nid::X9_62_PRIME256V1),
            support::tlv("5F20", b"UTDUMMY00001"),
        );
        let (request, status) = channel.send(&mut bench, &apdu("00460100", &template));
        assert_eq!((request[0], status), (0x67, 0x9000));
        let (signature, status) = channel.send(&mut bench, "8068017305 68656C6C6F 00");
        assert_eq!((signature[0], status), (0x30, 0x9000));
        // What was granted in the channel ends with it.
        assert_eq!(bench.status("00200081"), 0x63C3);
    }
}

#[test]
fn a_class_of_secure_messaging_needs_a_channel() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    channel.dialogue(&mut bench, &[("00200081", 0x9000, ""), ("80200081", 0x9000, "")]);
    bench.dialogue(&[
        // no class but 00, 80, 0C and 8C is known, and all but the last two close the channel
        ("0420008100", 0x6E00, ""),
        ("0C2000810D 970100 8E080000000000000000 00", 0x6E00, ""),
        ("8C2000810D 970100 8E080000000000000000 00", 0x6E00, ""),
        ("0820008100", 0x6E00, ""),
        ("1C20008100", 0x6E00, ""),
        ("0D20008100", 0x6E00, ""),
        ("9020008100", 0x6E00, ""),
        ("FF20008100", 0x6E00, ""),
        ("00200081", 0x9000, ""),
        ("80200081", 0x9000, ""),
    ]);
}

#[test]
fn a_message_that_is_wrong_ends_the_channel_with_a_bare_status() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    type Alteration = fn(&mut Vec<u8>);
    let alterations: [(Alteration, u16); 6] = [
        // MAC altered
        (|bytes| bytes[16] ^= 1, 0x6988),
        // P2 altered
        (|bytes| bytes[3] ^= 1, 0x6988),
        // class altered within what a channel knows
        (|bytes| bytes[0] ^= 0x80, 0x6988),
        // no MAC
        (
            |bytes| *bytes = vec![0x0C, 0x20, 0x00, 0x81, 3, 0x97, 1, 0, 0],
            0x6987,
        ),
        // no data objects at all
        (|bytes| bytes.truncate(4), 0x6987),
        // no APDU
        (|bytes| bytes.truncate(9), 0x6700),
    ];
    for (alter, expected) in alterations {
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        assert_eq!(altered(&mut bench, &mut channel, alter), (Vec::new(), expected));
        assert_eq!(bench.status("0C2000810D 970100 8E080000000000000000 00"), 0x6E00);
    }
    // A replay is out of sequence.
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    let mut kept = Vec::new();
    assert_eq!(
        altered(&mut bench, &mut channel, |bytes| kept.clone_from(bytes)).1,
        0x9000
    );
    assert_eq!(bench.send_bytes(&kept), (Vec::new(), 0x6988));
}

#[test]
fn plain_commands_and_select_end_the_channel() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for plain in [
        "00200081",
        "0084000008",
        "00B12F020454020000 08",
        "0099000000",
        MSE_AES,
        SELECT,
    ] {
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        assert_eq!(channel.send(&mut bench, "0084000008").1, 0x9000);
        bench.send(plain);
        assert_eq!(
            altered(&mut bench, &mut channel, |_| {}),
            (Vec::new(), 0x6E00),
            "{plain}"
        );
    }
    // SELECT inside the channel is answered inside it, and then it is gone, with everything else.
    bench.ok(VERIFY);
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    let select = SELECT.replace(' ', "");
    channel.dialogue(
        &mut bench,
        &[
            ("00A4040009A00000039742544659 00", 0x6A82, ""),
            (&select, 0x9000, "6F*"),
        ],
    );
    assert_eq!(altered(&mut bench, &mut channel, |_| {}).1, 0x6E00);
    assert_eq!(bench.status("00200081"), 0x63C3);
    // So does a reset.
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    bench.token.power_cycle();
    bench.ok(SELECT);
    assert_eq!(altered(&mut bench, &mut channel, |_| {}).1, 0x6E00);
}

/// Ends a channel.
type Ending = fn(&mut Bench, &mut Channel);

const ENDINGS: [Ending; 4] = [
    |bench, _| assert_eq!(bench.status("0084000008"), 0x9000),
    |bench, channel| assert_eq!(altered(bench, channel, |bytes| bytes[16] ^= 1).1, 0x6988),
    |bench, channel| assert_eq!(altered(bench, channel, |bytes| bytes.truncate(9)).1, 0x6700),
    |bench, _| {
        Channel::open(bench, Protocol::Aes128);
    },
];

#[test]
fn a_login_in_the_channel_ends_with_it_and_another_does_not() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    let sign = "8068017305 68656C6C6F 00";
    let so_verify = format!("0020008808 {SO_PIN}");
    for end in ENDINGS {
        // Made in clear, before the channel.
        bench.ok(SELECT);
        bench.ok(VERIFY);
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        assert_eq!(channel.send(&mut bench, sign).1, 0x9000);
        end(&mut bench, &mut channel);
        assert_eq!(bench.status(sign), 0x9000);
        // Made anew in the channel.
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        channel.dialogue(&mut bench, &[(VERIFY, 0x9000, ""), (&so_verify, 0x9000, "")]);
        assert_eq!(channel.send(&mut bench, sign).1, 0x9000);
        end(&mut bench, &mut channel);
        bench.dialogue(&[
            (sign, 0x6982, ""),
            ("00200081", 0x63C3, ""),
            ("00200088", 0x63CF, ""),
        ]);
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        channel.dialogue(&mut bench, &[(sign, 0x6982, ""), (VERIFY, 0x9000, "")]);
        assert_eq!(channel.send(&mut bench, sign).1, 0x9000);
    }
}

#[test]
fn what_the_initialisation_grants_in_the_channel_ends_with_it() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    let initialise = apdu(
        "80500000",
        &format!("80020001 8106363438323139 8208{SO_PIN} 910103"),
    );
    let write = "00D7C40106 54020000 5300";
    channel.dialogue(&mut bench, &[(&initialise, 0x9000, ""), (write, 0x9000, "")]);
    assert_eq!(bench.status(write), 0x6982);
}

#[test]
fn chip_authentication_takes_what_it_should_and_nothing_else() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bench.ok(SELECT);
    let group = EcGroup::from_curve_name(Nid::BRAINPOOL_P256R1).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let form = PointConversionForm::UNCOMPRESSED;
    let generator = group
        .generator_opt()
        .unwrap()
        .to_bytes(&group, form, &mut context)
        .unwrap();
    let good = hex::encode(&generator);
    let off_curve = format!("{}00", &good[..128]);
    bench.dialogue(&[
        // no protocol was chosen
        (&format!("00860000457C438041{good}00"), 0x6985, ""),
        ("002241A40C 800A04007F00070202030203", 0x6A80, ""),
        ("002241A403 800100", 0x6A80, ""),
        ("002241A40F 800A04007F00070202030202 830100", 0x6A80, ""),
        (MSE_AES, 0x9000, ""),
        (&format!("0086000045 7C438041{good}"), 0x6700, ""),
        (&format!("0086000145 7C438041{good}00"), 0x6A86, ""),
        (&format!("0086000045 7C438041{off_curve}00"), 0x6A80, ""),
        ("0086000005 7C03800100 00", 0x6A80, ""),
        (&format!("0086000043 8041{good}00"), 0x6A80, ""),
        (&format!("0086000045 7C438141{good}00"), 0x6A80, ""),
        ("00860000", 0x6A80, ""),
        (
            &format!("0086000045 7C438041{good}00"),
            0x9000,
            "7C148108................8208................",
        ),
        // the choice holds for the next channel
        (&format!("8086000045 7C438041{good}00"), 0x9000, "7C148108*"),
        (SELECT, 0x9000, "*"),
        (&format!("00860000457C438041{good}00"), 0x6985, ""),
    ]);
}

#[test]
fn a_channel_opened_inside_another_takes_its_place() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    let mut channel = Channel::open(&mut bench, Protocol::TripleDes);
    let group = EcGroup::from_curve_name(Nid::BRAINPOOL_P256R1).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let form = PointConversionForm::UNCOMPRESSED;
    let generator = group
        .generator_opt()
        .unwrap()
        .to_bytes(&group, form, &mut context)
        .unwrap();
    channel.dialogue(
        &mut bench,
        &[
            (MSE_AES, 0x9000, ""),
            (
                &format!("0086000045 7C438041{}00", hex::encode(generator)),
                0x9000,
                "7C148108*",
            ),
        ],
    );
    // The keys of the old one fit no longer.
    assert_eq!(altered(&mut bench, &mut channel, |_| {}), (Vec::new(), 0x6988));
}

#[test]
fn a_protected_answer_is_never_cut_by_the_outer_length() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTDUMMY00001",
        "",
    );
    let piece = |offset: usize, length: usize| {
        apdu(
            "00D7CA00",
            &format!("5402{offset:04X}{}", support::tlv("53", &vec![7; length])),
        )
    };
    for offset in [0, 0x8000] {
        bench.ok(&piece(offset, 0x7FFF + usize::from(offset == 0)));
    }
    let mut channel = Channel::open(&mut bench, Protocol::Aes128);
    // inner Le of one byte, answer of 256 bytes and more around it
    let (data, status) = channel.send(&mut bench, "00B1CA0004 54020000 00");
    assert_eq!((data.len(), status), (256, 0x9000));
    // the longest file does not fit into one protected answer: the rest is there for the next
    let (data, status) = channel.send(&mut bench, "00B1CA00000004540200000000");
    assert_eq!((data.len(), status), (65_503, 0x9000));
    let (data, status) = channel.send(&mut bench, "00B1CA000000045402FFDF0000");
    assert_eq!((data.len(), status), (0xFFFF - 65_503, 0x6282));
    // inner command without Le: no data
    assert_eq!(
        channel.send(&mut bench, "00B1CA0004 54020000"),
        (Vec::new(), 0x9000)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_command_in_the_channel_is_answered_in_the_channel(
        commands in prop::collection::vec(
            (any::<bool>(), any::<[u8; 3]>(), prop::collection::vec(any::<u8>(), 0..40), 0u32..300),
            1..12,
        ),
    ) {
        let installation = Installation::new();
        let mut bench = installation.ready("a", "");
        let mut channel = Channel::open(&mut bench, Protocol::Aes128);
        for (proprietary, [instruction, p1, p2], data, expected) in commands {
            // SELECT of the application and a new chip authentication leave the channel.
            prop_assume!(!matches!(instruction, 0xA4 | 0x86));
            let class = if proprietary { 0x80 } else { 0x00 };
            let plain = CommandApdu::new(class, instruction, p1, p2)
                .with_data(&data)
                .unwrap()
                .expecting(expected);
            let (answer, status) = channel.send(&mut bench, &hex::encode(plain.encode()));
            prop_assert!(answer.len() <= usize::try_from(expected).unwrap());
            prop_assert!(matches!(status >> 8, 0x61..=0x6F | 0x90), "{:04X}", status);
        }
        bench.ok(SELECT);
    }

    #[test]
    fn any_bytes_in_a_protected_command_end_the_channel_and_nothing_else(
        data in prop::collection::vec(any::<u8>(), 1..200),
        instruction in any::<u8>(),
    ) {
        let installation = Installation::new();
        let mut bench = installation.ready("a", "");
        let mark = {
            Channel::open(&mut bench, Protocol::TripleDes);
            bench.token.mark()
        };
        let length = u8::try_from(data.len()).unwrap();
        let command = [&[0x8C, instruction, 0x00, 0x81, length], &data[..], &[0]].concat();
        let (answer, status) = bench.send_bytes(&command);
        prop_assert!(answer.is_empty());
        prop_assert!(matches!(status, 0x6987 | 0x6988), "{:04X}", status);
        prop_assert_eq!(bench.token.mark(), mark);
        prop_assert_eq!(bench.status("0C2000810D 970100 8E080000000000000000 00"), 0x6E00);
        prop_assert_eq!(bench.status("00200081"), 0x9000);
    }
}
