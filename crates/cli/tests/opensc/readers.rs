//! Several tokens, several readers, one command.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::getuid;

use crate::{
    common::{Ended, Home},
    pcscd::{Pcscd, Plugged},
    token::home_with,
};

/// Serial numbers of the tokens, by reader.
fn serials(pcscd: &Pcscd) -> Vec<String> {
    let slots = pcscd.pkcs11(&["--list-slots"]).ok().out;
    slots
        .lines()
        .filter_map(|line| line.trim().strip_prefix("serial num         : "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn three_tokens_need_an_entry_which_is_written_on_request() {
    let names = ["one", "two", "three"];
    let home = home_with(&names);
    let (_, listed) = home.json(&["vtoken", "list"]);
    let expected: Vec<String> = names
        .iter()
        .map(|name| {
            let tokens = listed.as_array().unwrap();
            let token = tokens.iter().find(|token| token["name"] == *name).unwrap();
            // OpenSC leaves the sequence number out.
            token["device"]
                .as_str()
                .unwrap()
                .trim_end_matches("00000")
                .to_owned()
        })
        .collect();

    let mut pcscd = Pcscd::start();
    let mut plugged = Plugged::begin(&pcscd, &home, &names, &[]);
    let waiting = plugged.wait_for("waiting");
    let text = waiting["text"].as_str().unwrap();
    let port = pcscd.port() + 2;
    assert_eq!(
        (&waiting["token"], &waiting["port"]),
        (&"three".into(), &port.into())
    );
    assert!(
        text.contains(&format!("CHANNELID    {port}\n")) && text.contains("--write-reader-conf"),
        "{text}"
    );
    assert_eq!(plugged.interrupt(), 0);

    // The first reader of a port that is not Debian's has an entry already in this pcscd.
    let option = format!("--write-reader-conf={}", pcscd.conf().display());
    let before = fs::read(pcscd.conf().join("vpcd")).unwrap();
    let mut plugged = Plugged::begin(&pcscd, &home, &names, &[&option]);
    plugged.wait_for("configured");
    assert_eq!(fs::read(pcscd.conf().join("vpcd")).unwrap(), before);
    fs::remove_file(pcscd.conf().join("vpcd")).unwrap();
    pcscd.stop();
    pcscd.run();
    pcscd.wait_for_cards(3);
    let mut seen = serials(&pcscd);
    seen.sort();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(seen, sorted, "each token once");

    // Each of them is pulled alone.
    home.run(&["vtoken", "unplug", "two"]).ok();
    pcscd.wait_for_cards(2);
    assert!(!serials(&pcscd).contains(&expected[1]));
    home.run(&["vtoken", "unplug", "one", "three"]).ok();
    assert_eq!(plugged.ended(), 0);
    let (code, refused) = home.json(&["vtoken", "unplug", "one"]);
    assert_eq!((code, &refused["kind"]), (5, &"not-found".into()));
}

#[test]
fn a_plugged_token_is_in_use_and_others_are_told_by_whom() {
    let home = home_with(&["one"]);
    let pcscd = Pcscd::start();
    let plugged = Plugged::into(&pcscd, &home, &["one"]);
    let pid = plugged.pid();
    let (code, failure) = home.json(&["vtoken", "plug", "one", "--via", "socket"]);
    assert_eq!(code, 6, "{failure}");
    assert!(
        failure["message"]
            .as_str()
            .unwrap()
            .contains(&format!("process {pid}")),
        "{failure}"
    );
    assert_eq!(home.json(&["vtoken", "destroy", "one", "--yes"]).0, 6);
    let (_, list) = home.json(&["vtoken", "list"]);
    assert_eq!(list[0]["in_use_by"], pid);
    for (words, code) in [
        (&["vtoken", "plug", "none"][..], 5),
        (&["vtoken", "plug", "one", "one"], 3),
        (&["vtoken", "plug", "one", "--host", "192.0.2.1"], 3),
        (&["vtoken", "plug", "one", "--port", "0"], 2),
        (&["vtoken", "unplug", "none"], 5),
    ] {
        let ended = home.run(words);
        assert_eq!(ended.code, code, "{words:?}: {}", ended.err);
    }
    let refused = home.run(&["vtoken", "plug", "one", "--host", "192.0.2.1"]).err;
    assert!(refused.contains("192.0.2.1 is not this machine"), "{refused}");
    assert_eq!(plugged.interrupt(), 0);
    let (_, list) = home.json(&["vtoken", "list"]);
    assert!(list[0]["in_use_by"].is_null(), "{list}");
}

#[test]
fn a_token_is_served_on_its_socket_and_unplugged() {
    let home = home_with(&["one"]);
    // No pcscd is needed; none is asked.
    let pcscd = Pcscd::start();
    let mut plugged = Plugged::begin(&pcscd, &home, &["one"], &["--via", "socket"]);
    plugged.wait_for("served");
    let path = home.data().join("readers/one.sock");
    let mut token = chancery_reader::socket::SocketToken::connect(&path).unwrap();
    assert_eq!(token.name(), "one");
    assert_eq!(token.status().unwrap().server, plugged.pid());
    token.begin(std::time::Duration::from_secs(10)).unwrap();
    home.run(&["vtoken", "unplug", "one"]).ok();
    assert!(
        chancery_iso7816::Transport::reset(&mut token)
            .unwrap_err()
            .is_lost()
    );
    assert_eq!(plugged.ended(), 0);
    assert!(!path.exists());
}

/// Asks whoever connects for the answer to reset, and says how many bytes came.
const LISTENER: &str = r#"
$| = 1;
my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die;
print $listener->sockport, "\n";
while (my $card = $listener->accept) {
    $SIG{PIPE} = "IGNORE";
    syswrite($card, "\0\1\4");
    my $got = sysread($card, my $answer, 100);
    print $got || 0, "\n";
    sysread($card, $answer, 1);
}
"#;
/// nobody, and everybody who has no number in a user namespace.
const NOBODY: &str = "65534";

/// Something that listens on a port as vpcd does.
struct Listener {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Listener {
    fn start(as_nobody: bool) -> Self {
        let mut command = Command::new(if as_nobody { "setpriv" } else { "perl" });
        if as_nobody {
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "perl"]);
        }
        let mut process = command
            .args(["-MIO::Socket::INET", "-e", LISTENER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        Self { process, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have ended; nothing else has its number before it is waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program without a pcscd; where it is told so in a user namespace that knows no user, not even its own.
fn without_pcscd(home: &Home, words: &[&str], unmapped: bool) -> Command {
    let mut command = home.command(words);
    if unmapped {
        let mut inside = Command::new("unshare");
        inside
            .args(["--user", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .env("CHANCERY_DATA_DIR", home.data())
            .current_dir(home.dir.path())
            .stdin(Stdio::null());
        command = inside;
    }
    command.env("PCSCLITE_CSOCK_NAME", home.dir.path().join("none"));
    command
}

#[test]
fn a_token_is_not_inserted_into_a_reader_of_somebody_else() {
    let home = home_with(&["one"]);
    // Another user's listener takes root; a namespace that does not know the listener's user takes nobody's leave.
    let ways = [(true, false), (false, true)];
    for (as_nobody, unmapped) in ways.into_iter().skip(usize::from(!getuid().is_root())) {
        let mut listener = Listener::start(as_nobody);
        let port = listener.line();
        let plug = ["vtoken", "plug", "one", "--port", &port];
        let refused = without_pcscd(&home, &plug, unmapped).output().unwrap();
        let refused = Ended::from(refused);
        assert_eq!(refused.code, 7, "{}", refused.err);
        for part in [
            &format!("user {NOBODY}"),
            &format!("port {port}"),
            &format!("sport = :{port}"),
            &format!("--trust-reader-uid {NOBODY}"),
        ] {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
        assert_eq!(listener.line(), "0", "not even an answer to reset");

        let json = [&plug[..], &["--json"]].concat();
        let refused = without_pcscd(&home, &json, unmapped).output().unwrap();
        let values: Vec<serde_json::Value> = serde_json::Deserializer::from_slice(&refused.stdout)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        let failed = values.iter().find(|line| line["event"] == "failed").unwrap();
        assert_eq!(
            (&failed["token"], failed["port"].to_string()),
            (&"one".into(), port.clone())
        );
        assert_eq!(values.last().unwrap()["kind"], "refused");
        assert_eq!(listener.line(), "0");

        let words = [&json[..], &["--trust-reader-uid", NOBODY]].concat();
        let process = without_pcscd(&home, &words, unmapped)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut plugged = Plugged::from(process);
        plugged.wait_for("inserted");
        assert_eq!(listener.line(), "26", "length and answer to reset");
        assert_eq!(plugged.interrupt(), 0);
    }
}
