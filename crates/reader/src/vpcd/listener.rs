//! Which users are at the other end of a connection on this machine.
//!
//! The kernel lists the sockets with their users in `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)), those that listen first. Numbers
//! of users are those of the reader's user namespace (`user_namespaces(7)`).

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader},
    net::{IpAddr, SocketAddr, TcpStream},
};

const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// The state of a socket that listens.
const LISTEN: &str = "0A";
/// The state of a connection whose both ends are there.
const ESTABLISHED: &str = "01";

/// Who is behind a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Behind {
    /// The users that listen where it leads, and the one that has its other end.
    pub(super) users: BTreeSet<u32>,
    /// Another connection was accepted there, and this one was not.
    pub(super) queued: bool,
}

/// Whether who listens at an address has accepted a connection that lasts. A system that does not say so has none.
pub(super) fn is_occupied(address: SocketAddr) -> bool {
    TABLES.iter().any(|table| {
        File::open(table).is_ok_and(|table| {
            let lines = BufReader::new(table).lines().map_while(Result::ok);
            lines
                .filter_map(|line| Row::parse(&line))
                .any(|row| row.is_accepted() && is_same(row.local, address))
        })
    })
}

/// The users that listen where a connection leads, and the one that has its other end.
///
/// Both matter: who has accepted a connection keeps it after another listens, and one that nobody has accepted yet is shown as
/// root's by some kernels. Nobody can have the second without being seen as the first: with a listener the connections end that
/// it has not accepted.
///
/// # Errors
/// Those of reading, and [`io::ErrorKind::NotFound`] when the kernel does not list both.
pub(super) fn behind(stream: &TcpStream) -> io::Result<Behind> {
    let (ours, theirs) = (stream.local_addr()?, stream.peer_addr()?);
    for table in TABLES {
        let file = match File::open(table) {
            Ok(file) => file,
            // A system without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if let Some(found) = find(BufReader::new(file), ours, theirs)? {
            return Ok(found);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        "/proc/net/tcp does not say which user listens there",
    ))
}

/// What one table says, when it has listener and connection.
fn find(table: impl BufRead, ours: SocketAddr, theirs: SocketAddr) -> io::Result<Option<Behind>> {
    let (mut listeners, mut holders) = (BTreeSet::new(), BTreeSet::new());
    let (mut accepted, mut other_accepted) = (false, false);
    for line in table.lines() {
        let line = line?;
        let Some(row) = Row::parse(&line) else {
            // The heading.
            continue;
        };
        if row.listens {
            let reached = row.local.ip().is_unspecified() || is_same(row.local, theirs);
            if reached && row.local.port() == theirs.port() {
                listeners.insert(row.uid);
            }
        } else if is_same(row.local, theirs) {
            if is_same(row.remote, ours) {
                holders.insert(row.uid);
                accepted |= row.is_accepted();
            } else {
                other_accepted |= row.is_accepted();
            }
        }
    }
    if listeners.is_empty() || holders.is_empty() {
        return Ok(None);
    }
    listeners.append(&mut holders);
    Ok(Some(Behind {
        users: listeners,
        queued: other_accepted && !accepted,
    }))
}

/// Whether two addresses are one; IPv4 in the table of IPv6 is IPv4.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// A socket.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    listens: bool,
    established: bool,
    uid: u32,
    /// None, or 0, while no process has accepted the connection.
    inode: u64,
}

impl Row {
    /// Whether a process has accepted this connection and its other end is there.
    const fn is_accepted(&self) -> bool {
        self.established && self.inode != 0
    }

    /// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let local = address(words.next()?)?;
        let remote = address(words.next()?)?;
        let state = words.next()?;
        let uid = words.nth(3)?.parse().ok()?;
        let inode = words.nth(1).and_then(|inode| inode.parse().ok());
        Some(Self {
            local,
            remote,
            listens: state == LISTEN,
            established: state == ESTABLISHED,
            uid,
            inode: inode.unwrap_or(0),
        })
    }
}

/// An address in words of the machine's byte order, hexadecimal, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for word in ip.as_bytes().chunks(8) {
        let word = u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(ip) => IpAddr::from(ip),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::process::getuid;

    use super::*;

    const HEADING: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    fn v4(ip: [u8; 4], port: u16) -> String {
        format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip))
    }

    fn v6(ip: &str, port: u16) -> String {
        let ip: std::net::Ipv6Addr = ip.parse().unwrap();
        let words = ip.octets();
        let words = words
            .chunks(4)
            .map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().unwrap())));
        format!("{}:{port:04X}", words.collect::<String>())
    }

    fn row(local: &str, remote: &str, state: &str, uid: u32) -> String {
        format!(
            "   1: {local} {remote} {state} 00000000:0000001A 01:00000013 00000000 {uid:5}        0 1192865 1 00000000631efcc1 20 4 30 10 -1"
        )
    }

    /// Users of a connection from 127.0.0.1:4000 to port 35963 there.
    fn users(rows: &[String]) -> Option<Vec<u32>> {
        let table = format!("{HEADING}\n{}\n", rows.join("\n"));
        let found = find(
            table.as_bytes(),
            "127.0.0.1:4000".parse().unwrap(),
            "127.0.0.1:35963".parse().unwrap(),
        );
        Some(found.unwrap()?.users.into_iter().collect())
    }

    #[test]
    fn listener_and_holder_are_found_and_others_left_out() {
        let loopback = [127, 0, 0, 1];
        let [none, slot, client] = [v4([0; 4], 0), v4(loopback, 35_963), v4(loopback, 4000)];
        let listener = |ip, port, uid| row(&v4(ip, port), &none, "0A", uid);
        let held = |uid| row(&slot, &client, "01", uid);
        let ours = row(&client, &slot, "01", 7);
        let another = row(&slot, &v4(loopback, 4001), "01", 8);
        let elsewhere = listener([192, 0, 2, 1], 35_963, 9);
        let other_port = listener([0; 4], 35_964, 10);
        let around = [ours, another, elsewhere, other_port];
        let with = |more: &[String]| users(&[&around[..], more].concat());
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[held(0)]), None, "nobody listens any more");
        assert_eq!(with(&[listener([0; 4], 35_963, 0)]), None, "it has ended");
        assert_eq!(with(&[listener([0; 4], 35_963, 0), held(0)]), Some(vec![0]));
        assert_eq!(
            with(&[listener(loopback, 35_963, 65_534), held(0)]),
            Some(vec![0, 65_534]),
            "not accepted yet"
        );
        assert_eq!(
            with(&[listener([0; 4], 35_963, 0), held(1000)]),
            Some(vec![0, 1000]),
            "accepted before another listened"
        );
    }

    #[test]
    fn a_listener_for_both_families_is_in_the_other_table() {
        let none = v6("::", 0);
        let mapped = "::ffff:127.0.0.1";
        let held = row(&v6(mapped, 35_963), &v6(mapped, 4000), "01", 1000);
        for ip in ["::", mapped] {
            let listener = row(&v6(ip, 35_963), &none, "0A", 1000);
            assert_eq!(users(&[listener, held.clone()]), Some(vec![1000]), "{ip}");
        }
        let listener = row(&v6("::1", 35_963), &none, "0A", 1000);
        assert_eq!(users(&[listener, held]), None);
    }

    #[test]
    fn what_is_no_row_is_left_out() {
        for line in [
            "",
            HEADING,
            "1: 0 0 0A 0 0 0 0",
            "1: :0 :0 0A 0 0 0 0",
            "1: 00000000:8C7B 00000000:0000 0A 0 0 0",
            "1: 00000000:8C7B 00000000:0000 0A 0 0 0 -1",
            "1: 00000000:18C7B 00000000:0000 0A 0 0 0 0",
            "1: 000000000000000000:8C7B 00000000:0000 0A 0 0 0 0",
        ] {
            assert_eq!(Row::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_kernel_tells_whose_a_listener_is() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else {
                assert!(address.starts_with('['), "a system without IPv6 has IPv4");
                continue;
            };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let own = BTreeSet::from([getuid().as_raw()]);
            let _accepted = listener.accept().unwrap();
            let found = |queued| Behind {
                users: own.clone(),
                queued,
            };
            assert_eq!(behind(&stream).unwrap(), found(false));
            let at = listener.local_addr().unwrap();
            assert!(is_occupied(at));
            let second = TcpStream::connect(at).unwrap();
            assert!(behind(&second).unwrap().queued);
            assert!(!behind(&stream).unwrap().queued);
            let _second = listener.accept().unwrap();
            assert_eq!(behind(&second).unwrap(), found(false));
            drop(listener);
            assert_eq!(behind(&stream).unwrap_err().kind(), io::ErrorKind::NotFound);
            drop((stream, second));
            assert!(!is_occupied(at));
        }
    }
}
