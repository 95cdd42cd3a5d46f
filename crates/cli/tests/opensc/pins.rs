//! Status, initialisation and PINs.

use crate::{
    pcscd::until,
    token::{PIN, SO_PIN, Token},
};

#[test]
fn a_new_token_is_seen_initialised_and_seen_again() {
    let token = Token::new();
    let name = token.pcscd.client("opensc-tool", &["-n"]).ok().out;
    assert!(
        name.starts_with("SmartCard-HSM") && name.contains("version 4.1"),
        "{name}"
    );
    let atr = token.pcscd.client("opensc-tool", &["--atr"]).ok().out;
    assert_eq!(
        atr.trim().replace(':', "").to_uppercase(),
        "3BDE96FF8191FE1FC38031815448534D3173802140810792"
    );
    assert!(token.status().contains("has never been initialized"));

    token.initialise(&["--label", "alpha", "--dkek-shares", "2"]);
    let status = token.status();
    for words in [
        "User PIN reset with SO-PIN enabled",
        "SO-PIN tries left    : 15",
        "User PIN tries left  : 3",
        "DKEK shares          : 2",
        "DKEK import pending, 2 share(s) still missing",
    ] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let slots = token.pcscd.pkcs11(&["--list-slots"]).ok().out;
    assert!(
        slots.contains("alpha (UserPIN)") && slots.contains("token initialized"),
        "{slots}"
    );

    // Again, and everything is as it was told last; with another SO-PIN, and nothing is.
    token.initialise(&["--label", "beta"]);
    assert!(!token.status().contains("DKEK shares"));
    let wrong = [
        "--initialize",
        "--so-pin",
        "0000000000000000",
        "--pin",
        PIN,
        "--label",
        "gamma",
    ];
    let refused = token.pcscd.client("sc-hsm-tool", &wrong);
    // It says so, and ends with 0.
    assert!(
        refused.err.contains("PIN code or key incorrect"),
        "{}",
        refused.err
    );
    let status = token.status();
    assert!(status.contains("SO-PIN tries left    : 14"), "{status}");
    let slots = token.pcscd.pkcs11(&["--list-slots"]).ok().out;
    assert!(slots.contains("beta (UserPIN)"), "{slots}");
}

#[test]
fn pins_are_tried_changed_blocked_and_set_again() {
    let token = Token::initialised();
    let login = |pin: &str| token.pcscd.pkcs11(&["--login", "--pin", pin, "--list-objects"]);
    let tries = |left: u8| {
        let status = token.status();
        assert!(
            status.contains(&format!("User PIN tries left  : {left}")),
            "{left}: {status}"
        );
    };
    login(PIN).ok();
    assert!(login("000000").err.contains("CKR_PIN_INCORRECT"));
    tries(2);
    login(PIN).ok();
    tries(3);

    let change = |old: &str, new: &str| {
        token
            .pcscd
            .pkcs11(&["--change-pin", "--pin", old, "--new-pin", new])
    };
    assert!(change("000000", "111111").err.contains("CKR_PIN_INCORRECT"));
    tries(2);
    change(PIN, "11111111").ok();
    tries(3);
    assert!(login(PIN).err.contains("CKR_PIN_INCORRECT"));
    login("11111111").ok();

    for _ in 0..3 {
        assert_ne!(login("000000").code, 0);
    }
    assert!(
        login("11111111").err.contains("CKR_PIN_LOCKED"),
        "blocked for the right PIN, too"
    );
    let init = |so_pin: &str, new: &str| {
        let so = ["--login", "--login-type", "so", "--so-pin", so_pin];
        token
            .pcscd
            .pkcs11(&[&so[..], &["--init-pin", "--new-pin", new]].concat())
    };
    assert_ne!(init("0000000000000000", "222222").code, 0);
    assert!(token.status().contains("SO-PIN tries left    : 14"));
    init(SO_PIN, "222222").ok();
    let status = token.status();
    assert!(
        status.contains("SO-PIN tries left    : 15") && status.contains("User PIN tries left  : 3"),
        "{status}"
    );
    login("222222").ok();
    assert_ne!(login("11111111").code, 0);
}

#[test]
fn what_one_program_presented_is_nothing_to_the_next() {
    let token = Token::initialised();
    token.pcscd.write("data", "for the owner alone");
    token
        .logged_in(&[
            "--write-object",
            "data",
            "--type",
            "data",
            "--label",
            "p",
            "--private",
        ])
        .ok();
    let read = ["--read-object", "--type", "data", "--label", "p"];
    assert!(token.logged_in(&read).ok().out.ends_with("for the owner alone"));
    // The card has power still: pcscd takes it 0.4 s after the last client has gone.
    assert_ne!(token.pcscd.pkcs11(&read).code, 0);
    let raw = [
        "-s",
        "00:A4:04:00:0B:E8:2B:06:01:04:01:81:C3:1F:02:01",
        "-s",
        "00:20:00:81",
    ];
    let said = token.pcscd.client("opensc-tool", &raw).ok().out;
    assert!(said.contains("SW1=0x63, SW2=0xC3"), "{said}");
}

#[test]
fn a_token_is_pulled_and_put_back_under_its_clients() {
    let mut token = Token::initialised();
    let unplug = token.home.run(&["vtoken", "unplug", "one"]).ok();
    assert!(unplug.out.contains("one is unplugged"), "{}", unplug.out);
    assert!(token.plugged.wait_for("unplugged")["text"].is_string());
    until(
        "the reader is empty",
        || token.pcscd.cards() == 0,
        || token.pcscd.log(),
    );
    assert_ne!(token.pcscd.client("opensc-tool", &["-n"]).code, 0);
    token.plugged = crate::pcscd::Plugged::into(&token.pcscd, &token.home, &["one"]);
    assert!(token.status().contains("User PIN tries left  : 3"));
}
