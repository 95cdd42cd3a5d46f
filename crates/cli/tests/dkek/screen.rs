//! Shares on a terminal: alone, in one piece, typed back, gone.

use std::{fs, process::Command};

use rustix::{
    process::{Pid, Signal, kill_process},
    termios::{LocalModes, SpecialCodeIndex},
};

use crate::{common::Home, terminal::Terminal, world::Shared};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
/// How the screen is cleared and left.
const LEFT: &str = "\x1b[2J\x1b[H\x1b[?1049l";

const CTRL_C: u8 = 0x03;
const CTRL_Z: u8 = 0x1A;
const CTRL_BACKSLASH: u8 = 0x1C;

/// Values shown as share values, in order.
fn values(screen: &str) -> Vec<String> {
    screen
        .lines()
        .filter_map(|line| line.split_once("Share value  : "))
        .map(|(_, rest)| rest[..23].to_owned())
        .collect()
}

/// Types back the groups that are asked for.
fn type_back(terminal: &mut Terminal, value: &str) {
    for _ in 0..2 {
        terminal.wait_for("Group ");
        let group: usize = terminal.wait_for(" : ").trim_end_matches(" : ").parse().unwrap();
        let start = (group - 1) * 6;
        terminal.type_line(&value[start..start + 5]);
    }
}

#[test]
fn every_share_is_shown_alone_typed_back_and_cleared() {
    let home = Home::new();
    let words = ["dkek", "create", "a.pbe", "--threshold", "2", "--shares", "3"];
    let mut terminal = Terminal::start(&home.command(&words), 80, 24);
    let mut shown = Vec::new();
    for id in 1..=3 {
        terminal.wait_for(&format!(
            "Share {id} of 3: this screen is for one custodian alone"
        ));
        terminal.type_line("");
        let screen = terminal.wait_for("then press Enter. ");
        assert!(screen.lines().all(|line| line.len() <= 100), "{screen}");
        let [value] = <[String; 1]>::try_from(values(&screen)).unwrap();
        terminal.type_line("");
        if id == 2 {
            // Noted wrongly: it is shown once more.
            terminal.wait_for("Group ");
            terminal.type_line("zzzz");
            terminal.wait_for("That was not right");
            terminal.wait_for("then press Enter. ");
            terminal.type_line("");
        }
        type_back(&mut terminal, &value);
        shown.push(value);
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    // All of it on the alternate screen, which is cleared before it is left, and between any two shares.
    let (before, rest) = screen.split_once(ENTER).unwrap();
    let (alternate, after) = rest.split_once(LEAVE).unwrap();
    assert!(
        !before.contains("Share value") && !after.contains("Share value"),
        "{screen}"
    );
    assert!(alternate.ends_with("\x1b[2J\x1b[H"), "{screen}");
    for part in alternate.split("\x1b[2J") {
        assert!(values(part).len() <= 1, "{part}");
    }
    assert!(shown.iter().all(|value| !after.contains(value)));
    assert!(after.contains("a.commitments.json"), "{after}");

    // The shares work, and a person may type them.
    let mut terminal = Terminal::start(
        &home.command(&["dkek", "inspect", "a.pbe", "--typed", "2"]),
        80,
        24,
    );
    for (index, id) in [(0, "1"), (2, "3")] {
        terminal.wait_for("Press Enter when you are ready. ");
        terminal.type_line("");
        terminal.wait_for("Share ID    : ");
        terminal.type_line(id);
        terminal.wait_for("Share value : ");
        terminal.type_line(&shown[index]);
        terminal.wait_for("its check ");
        terminal.type_line("");
        terminal.wait_for("Page check ");
        terminal.type_line("");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen
            .rsplit_once(LEAVE)
            .unwrap()
            .1
            .contains("password shares 1, 3"),
        "{screen}"
    );
}

#[test]
fn a_custodian_who_mistypes_is_told_which_group_and_types_again() {
    let shared = Shared::new();
    let page = shared.page(2);
    let line = page
        .text
        .lines()
        .find(|line| line.starts_with("Share value"))
        .unwrap();
    let checks = line.split_once("check ").unwrap().1;
    let mut terminal = Terminal::start(
        &shared
            .home
            .command(&["dkek", "inspect", &shared.file, "--typed", "2"]),
        80,
        24,
    );
    terminal.wait_for("Press Enter when you are ready. ");
    terminal.type_line("");
    let digit = if page.value.ends_with('0') { "1" } else { "0" };
    let wrong = format!("{}{digit}", &page.value[..22]);
    for value in [&wrong, &page.value] {
        terminal.wait_for("Share ID    : ");
        terminal.type_line("2");
        terminal.wait_for("Share value : ");
        terminal.type_line(value);
        terminal.wait_for("its check ");
        terminal.type_line(checks);
        terminal.wait_for("Page check ");
        terminal.type_line("");
        if *value == wrong {
            terminal.wait_for("Share 2: group 4 of the share value is mistyped");
        }
    }
    // The same custodian again is not another one.
    terminal.wait_for("Press Enter when you are ready. ");
    terminal.type_line("");
    terminal.wait_for("Share ID    : ");
    terminal.type_line("2");
    terminal.wait_for("Share value : ");
    terminal.type_line(&page.value);
    terminal.wait_for("its check ");
    terminal.type_line("");
    terminal.wait_for("Page check ");
    terminal.type_line("");
    terminal.wait_for("Share 2 was typed already");
    terminal.wait_for("Share ID    : ");
    // Enough was seen; what is typed right opens the file elsewhere.
    terminal.type_key(CTRL_C);
    let (code, screen, _) = terminal.end_with_settings();
    assert!(screen.ends_with(LEFT), "{screen:?}");
    assert_eq!(code, 130);
}

#[test]
fn shares_can_be_pasted_and_are_not_shown() {
    let shared = Shared::new();
    // More than enough of them, so that nothing has to be opened to know that they belong together.
    let words = ["dkek", "doctor", "--paste"];
    let mut terminal = Terminal::start(&shared.home.command(&words), 80, 24);
    terminal.wait_for("End with a line that is a single dot");
    let pages = [1, 3, 4].map(|id| shared.page(id));
    for line in pages.iter().flat_map(|page| page.text.lines().take(12)) {
        terminal.type_line(line);
    }
    terminal.type_line(".");
    let (code, screen) = terminal.end();
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("3 password shares belong together; 2 of them are enough"),
        "{screen}"
    );
    for page in &pages {
        assert!(!screen.contains(&page.value), "{screen}");
    }
}

#[test]
fn a_terminal_too_small_says_so_and_a_share_is_not_wrapped() {
    let home = Home::new();
    let words = ["dkek", "create", "a.pbe", "--threshold", "2", "--shares", "3"];
    for (columns, rows) in [(40, 24), (80, 10)] {
        let (code, screen) = Terminal::start(&home.command(&words), columns, rows).end();
        assert_eq!(code, 3, "{screen}");
        let said = screen.replace("\r\n", " ");
        assert!(
            said.contains(&format!(
                "the terminal is {columns} columns by {rows} lines; 64 by 16 are needed"
            )),
            "{screen}"
        );
        assert!(!screen.contains(ENTER) && !screen.contains("Share value"));
    }
    let mut dumb = home.command(&words);
    dumb.env("TERM", "dumb");
    let (code, screen) = Terminal::start(&dumb, 80, 24).end();
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("TERM=dumb"), "{screen}");
    assert!(!home.dir.path().join("a.pbe").exists());
}

#[test]
fn who_gives_up_or_is_ended_leaves_nothing_behind() {
    let home = Home::new();
    let words = [
        "dkek",
        "create",
        "a.pbe",
        "--threshold",
        "2",
        "--shares",
        "3",
        "--page-dir",
        "pages",
    ];
    // A share that is never noted right.
    let mut terminal = Terminal::start(&home.command(&words), 80, 24);
    terminal.wait_for("Press Enter to see your share. ");
    terminal.type_line("");
    for _ in 0..5 {
        terminal.wait_for("then press Enter. ");
        terminal.type_line("");
        terminal.wait_for("Group ");
        terminal.type_line("zzzz");
    }
    let (code, screen) = terminal.end();
    assert_eq!(code, 3, "{screen}");
    assert!(screen.contains("nothing was written"), "{screen}");
    let left = |what: &str| fs::read_dir(home.dir.path().join(what)).unwrap().count();
    assert_eq!(left("pages"), 0);
    assert!(!home.dir.path().join("a.pbe").exists() && !home.dir.path().join("a.commitments.json").exists());

    // A signal while a share is shown: it is cleared first.
    let mut terminal = Terminal::start(&home.command(&words[..7]), 80, 24);
    terminal.wait_for("Press Enter to see your share. ");
    terminal.type_line("");
    terminal.wait_for("then press Enter. ");
    kill_process(Pid::from_child(terminal.process()), Signal::TERM).unwrap();
    let (code, screen) = terminal.end();
    assert_eq!(code, 143, "{screen}");
    assert!(screen.ends_with("\x1b[2J\x1b[H\x1b[?1049l"), "{screen:?}");
    assert!(!home.dir.path().join("a.pbe").exists());
}

/// The program at a terminal, waiting for what is typed on the private screen; nothing is derived before.
fn waiting(shared: &Shared, words: &[&str], prompt: &str) -> Terminal {
    let ours = shared.home.command(words);
    // Whoever runs the tests may ignore hang-ups, and what they start inherits it.
    let mut command = Command::new("env");
    command
        .args(["--default-signal=HUP"])
        .arg(ours.get_program())
        .args(ours.get_args())
        .current_dir(shared.home.dir.path());
    for (name, value) in ours.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut terminal = Terminal::start(&command, 80, 24);
    terminal.wait_for(prompt);
    terminal
}

#[test]
fn nothing_that_ends_or_stops_the_program_leaves_a_share_on_the_screen() {
    let shared = Shared::new();
    let check = ["dkek", "check", "backup.commitments.json"];
    let paste = ["dkek", "inspect", shared.file.as_str(), "--paste"];
    let process = |terminal: &Terminal| Pid::from_child(terminal.process());
    type End = fn(&mut Terminal);
    let ends: [(&[&str], &str, i32, End); 5] = [
        (&check, "Share ID    : ", 131, |terminal| {
            terminal.type_key(CTRL_BACKSLASH);
        }),
        (&check, "Share ID    : ", 129, |terminal| {
            kill_process(Pid::from_child(terminal.process()), Signal::HUP).unwrap();
        }),
        (&check, "Share ID    : ", 130, |terminal| {
            terminal.type_key(CTRL_C)
        }),
        // What is pasted is not shown, and afterwards what is typed is shown again.
        (&paste, "single dot", 130, |terminal| {
            terminal.wait_unseen();
            terminal.type_key(CTRL_C);
        }),
        (&paste, "single dot", 131, |terminal| {
            terminal.wait_unseen();
            kill_process(Pid::from_child(terminal.process()), Signal::QUIT).unwrap();
        }),
    ];
    for (words, prompt, code, end) in ends {
        let mut terminal = waiting(&shared, words, prompt);
        // No key stops it, with the shell coming back under the share.
        assert_eq!(terminal.settings().special_codes[SpecialCodeIndex::VSUSP], 0);
        terminal.type_key(CTRL_Z);
        let pid = process(&terminal).as_raw_nonzero();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
        end(&mut terminal);
        let (ended, screen, settings) = terminal.end_with_settings();
        assert_eq!(ended, code, "{words:?}: {screen:?}");
        assert!(screen.ends_with(LEFT), "{screen:?}");
        assert!(
            settings
                .local_modes
                .contains(LocalModes::ECHO | LocalModes::ICANON)
        );
        assert_eq!(settings.special_codes[SpecialCodeIndex::VSUSP], CTRL_Z);
    }
    // Without any signal, too.
    let mut terminal = waiting(&shared, &paste, "single dot");
    terminal.wait_unseen();
    terminal.type_line("no share");
    terminal.type_line(".");
    let (code, screen, settings) = terminal.end_with_settings();
    assert_eq!(code, 3, "{screen}");
    assert!(settings.local_modes.contains(LocalModes::ECHO));
    assert_eq!(settings.special_codes[SpecialCodeIndex::VSUSP], CTRL_Z);
}
