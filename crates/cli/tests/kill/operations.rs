//! What is interrupted, how far it got, and how somebody who reads the program's answers finishes it.

use chancery_api::{CaView, CrlDetail, RequestDetail, RequestNumber, RequestView, SignerView, WhyView};

use crate::{
    ledger::Ledger,
    world::{Ended, World},
};

/// A command that uses an HSM.
pub(crate) enum Operation {
    /// The key is generated, its certificate signed.
    CreateCa { name: String, algorithm: &'static str },
    /// The key is wrapped, unwrapped elsewhere and tried there.
    Replicate { ca: String },
    /// Certificates of a list are signed under one decision.
    Sign { requests: Vec<RequestNumber> },
    /// A CRL of CA `root` is signed.
    Crl,
}

impl Operation {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::CreateCa { .. } => "ca create",
            Self::Replicate { .. } => "signer replicate",
            Self::Sign { .. } => "request sign",
            Self::Crl => "crl create",
        }
    }

    pub(crate) fn args(&self) -> Vec<String> {
        let (line, more): (String, Vec<String>) = match self {
            Self::CreateCa { name, algorithm } => (
                format!("ca create {name} --hsm hsm-a --algorithm {algorithm} --as alice --sign-as carol"),
                vec!["--subject".to_owned(), format!("CN=Root {name},O=Killed")],
            ),
            Self::Replicate { ca } => (format!("signer replicate {ca} --to hsm-b --as alice"), Vec::new()),
            Self::Sign { requests } => (
                "request sign --as carol".to_owned(),
                requests.iter().map(ToString::to_string).collect(),
            ),
            Self::Crl => ("crl create root --as carol".to_owned(), Vec::new()),
        };
        line.split(' ').map(str::to_owned).chain(more).collect()
    }

    /// Keeps what the command gave out.
    pub(crate) fn learn(&self, ended: &Ended, ledger: &mut Ledger) {
        match self {
            Self::CreateCa { .. } | Self::Sign { .. } => {
                for detail in ended.json::<Vec<RequestDetail>>() {
                    if let (Some(certificate), Some(der)) = (&detail.certificate, &detail.der) {
                        ledger.certificate(&certificate.serial, &der.0);
                    }
                }
            }
            Self::Replicate { .. } => assert_eq!(on_hsm_b(&ended.json()), "verified"),
            Self::Crl => ledger.crl(&ended.json::<CrlDetail>()),
        }
    }

    /// How far it got, as the program says.
    pub(crate) fn state(&self, world: &World, ledger: &Ledger) -> String {
        match self {
            Self::CreateCa { name, .. } => match (ca(world, name), self.requests(world).first()) {
                (Some(ca), _) => ca.state,
                (None, Some(view)) => view.state.clone(),
                (None, None) => "nothing".to_owned(),
            },
            Self::Replicate { ca } => signers(world)
                .iter()
                .find(|signer| signer.ca == *ca)
                .map(on_hsm_b)
                .unwrap(),
            Self::Sign { requests } => {
                let mut states: Vec<_> = views(world, requests)
                    .into_iter()
                    .map(|view| view.state)
                    .collect();
                states.sort();
                states.dedup();
                // The list was decided on at once: it is recorded whole or not at all.
                assert!(
                    states.len() == 1 || !states.contains(&"approved".to_owned()),
                    "{states:?}"
                );
                states.join(" and ")
            }
            Self::Crl => {
                let shown = world.run(&["crl", "show", "root", "--json"]);
                let newest = if shown.code == Some(5) {
                    0
                } else {
                    shown.ok().json::<CrlDetail>().number
                };
                assert!(
                    newest >= ledger.last_crl(),
                    "CRL {} is gone, {newest} is the newest",
                    ledger.last_crl()
                );
                if newest > ledger.last_crl() {
                    "issued".to_owned()
                } else {
                    "not issued".to_owned()
                }
            }
        }
    }

    /// While the HSMs are locked, what was interrupted is marked, and what it waits for is said.
    pub(crate) fn is_marked(&self, world: &World) {
        let Some(view) = self.unfinished(world) else {
            return;
        };
        let why = why(world, view.request);
        assert!(why.next.is_some(), "{why:?}");
        let locked = why
            .unmet
            .iter()
            .find(|condition| condition.what.contains("hsm-a"));
        let locked = locked.unwrap_or_else(|| panic!("the lock is not said: {why:?}"));
        assert!(!locked.remedy.is_empty() && locked.who.len() == 3, "{why:?}");
        if view.state == "signing" {
            let resumed = world.run(&["request", "resume", &view.request.to_string(), "--json"]);
            assert_eq!(resumed.code, Some(4), "{resumed:?}");
            assert!(!resumed.failure().unmet.is_empty(), "{resumed:?}");
        }
    }

    /// The command that the program names as the next, or the operation itself where it has no request.
    pub(crate) fn next(&self, world: &World) -> Option<Vec<String>> {
        let (requests, unfinished) = (self.requests(world), self.unfinished(world));
        match (self, unfinished) {
            (Self::Replicate { .. } | Self::Crl, _) => Some(self.args()),
            (Self::CreateCa { .. }, _) if requests.is_empty() => Some(self.args()),
            // Nothing of the list was decided yet.
            (Self::Sign { .. }, Some(view)) if view.state == "approved" => Some(self.args()),
            (_, Some(view)) => why(world, view.request).next.as_deref().map(typed),
            (_, None) => None,
        }
    }

    /// Finishes it with the commands that the program names; the HSMs are unlocked.
    pub(crate) fn finish(&self, world: &World, ledger: &mut Ledger) {
        for _ in 0..MOST_STEPS {
            let Some(args) = self.next(world) else {
                break;
            };
            let words: Vec<_> = args.iter().map(String::as_str).chain(["--json"]).collect();
            let ended = world.run(&words).ok();
            if args == self.args() {
                self.learn(&ended, ledger);
            }
            if matches!(self, Self::Replicate { .. } | Self::Crl) {
                break;
            }
        }
        assert_eq!(self.unfinished(world), None);
        if let Self::CreateCa { name, .. } = self {
            assert_eq!(ca(world, name).unwrap().state, "active", "{name}");
        }
    }

    /// The requests it is about.
    fn requests(&self, world: &World) -> Vec<RequestView> {
        match self {
            Self::Sign { requests } => views(world, requests),
            Self::CreateCa { name, .. } => {
                let title = format!("CA {name}:");
                let mut all = world.requests();
                all.retain(|view| view.title.starts_with(&title));
                all
            }
            Self::Replicate { .. } | Self::Crl => Vec::new(),
        }
    }

    /// The first of its requests that is not at its end.
    fn unfinished(&self, world: &World) -> Option<RequestView> {
        self.requests(world).into_iter().find(|view| view.state != "done")
    }
}

fn views(world: &World, requests: &[RequestNumber]) -> Vec<RequestView> {
    let mut all = world.requests();
    all.retain(|view| requests.contains(&view.request));
    assert_eq!(all.len(), requests.len());
    all
}

/// Most commands that finish something: one for each request of a list, approval and signature of a CA.
const MOST_STEPS: usize = 6;

/// The words of a command as the program shows it, with a person who may.
fn typed(shown: &str) -> Vec<String> {
    let who = if shown.contains("approve") {
        "alice"
    } else {
        "carol"
    };
    let words = shown
        .strip_prefix("chancery ")
        .unwrap_or_else(|| panic!("not a command: {shown}"));
    words
        .split(' ')
        .map(|word| if word == "NAME" { who } else { word }.to_owned())
        .collect()
}

fn why(world: &World, number: RequestNumber) -> WhyView {
    world.json(&["request", "why", &number.to_string()])
}

fn ca(world: &World, name: &str) -> Option<CaView> {
    world
        .json::<Vec<CaView>>(&["ca", "list"])
        .into_iter()
        .find(|ca| ca.name == name)
}

fn signers(world: &World) -> Vec<SignerView> {
    world.json(&["signer", "list"])
}

fn on_hsm_b(signer: &SignerView) -> String {
    signer
        .replicas
        .iter()
        .find(|replica| replica.hsm == "hsm-b")
        .map(|replica| replica.state.clone())
        .unwrap()
}
