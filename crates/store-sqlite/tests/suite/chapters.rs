//! A story in groups, told while the power may go out at any word.

use chancery_api::ActId;
use chancery_store::{Change, CrlRecord, DecisionKind, RequestRecord, RequestState, Store, Write};

use crate::samples::*;

/// What happens next.
pub(crate) enum Chapter {
    /// A group of changes.
    Group(Vec<Change>),
    /// A start of a node is counted.
    Epoch(i64),
    /// The write-ahead log is folded into the database; the word says how thoroughly. Nothing else changes.
    Fold(&'static str),
    /// The database is closed and opened again. Nothing else changes.
    Reopen,
}

/// Makes a chapter that changes something so, and waits until it is acknowledged.
pub(crate) async fn tell(store: &dyn Store, chapter: &Chapter) {
    match chapter {
        Chapter::Group(group) => {
            let outcomes = store.commit(group.clone()).await.unwrap();
            assert_eq!(outcomes.len(), group.len());
        }
        Chapter::Epoch(now_ms) => {
            store.begin_epoch(*now_ms).await.unwrap();
        }
        Chapter::Fold(_) | Chapter::Reopen => {}
    }
}

/// Certificates asked for, approved, claimed, issued and revoked; CRLs; checkpoints of the audit log; conflicts within
/// groups; groups of many pages.
pub(crate) fn chapters() -> Vec<Chapter> {
    let mut chapters = vec![
        Chapter::Epoch(5),
        Chapter::Group(vec![change(vec![
            Write::InsertAct(act(1)),
            Write::InsertPerson(person(1)),
            Write::InsertRequest(request(1)),
            Write::InsertHsm(hsm(1)),
            Write::InsertSigner(signer(1)),
            Write::InsertCa(ca(1)),
        ])]),
        checkpoint(1),
    ];
    chapters.extend(certificates([2, 3], 1));
    chapters.push(checkpoint(2));
    chapters.push(Chapter::Group(vec![
        change(vec![Write::InsertRequest(request(40))]),
        // Issued already: this one is left out, with what it wrote before.
        change(vec![Write::InsertRequest(request(41)), issue(2, 1)]),
        change(vec![Write::InsertRequest(request(42))]),
    ]));
    chapters.push(Chapter::Fold("RESTART"));
    chapters.extend(certificates([4, 5], 1));
    chapters.push(Chapter::Group((100..112).map(large).collect()));
    chapters.push(Chapter::Group(vec![
        revoke(2),
        change(vec![Write::InsertCrl(crl(1))]),
    ]));
    chapters.push(Chapter::Group(vec![change(vec![issue_crl(1)])]));
    chapters.push(Chapter::Reopen);
    chapters.push(Chapter::Epoch(6));
    chapters.extend(certificates([6, 7], 2));
    chapters.push(checkpoint(3));
    chapters.push(Chapter::Fold("TRUNCATE"));
    chapters.push(Chapter::Group((120..124).map(large).collect()));
    chapters.push(Chapter::Group(vec![
        revoke(6),
        change(vec![Write::InsertCrl(CrlRecord { epoch: 2, ..crl(2) })]),
    ]));
    chapters.push(checkpoint(4));
    chapters
}

/// One more group, for a database that has heard the whole story.
pub(crate) fn epilogue() -> Chapter {
    Chapter::Group((900..903).map(large).collect())
}

/// Two certificates at once, from the requests to the signatures; each step is one group.
fn certificates(numbers: [u64; 2], epoch: i64) -> [Chapter; 4] {
    let group = |make: &dyn Fn(u64) -> Vec<Write>| {
        Chapter::Group(numbers.iter().map(|number| change(make(*number))).collect())
    };
    [
        group(&|number| vec![Write::InsertRequest(request(number))]),
        group(&|number| {
            vec![
                Write::InsertAct(act(number)),
                decision(number, DecisionKind::Approve, act_id(number)),
                moved(number, RequestState::Open, RequestState::Approved),
                Write::SetRequestTbs {
                    request: request_number(number),
                    state: RequestState::Approved,
                    tbs: vec![b't'; 700],
                },
            ]
        }),
        group(&|number| {
            let mut recorded = certificate(number);
            recorded.request = Some(request_number(number));
            recorded.act = act_id(number + 50);
            recorded.epoch = epoch;
            vec![
                Write::InsertAct(act(number + 50)),
                decision(number, DecisionKind::Sign, act_id(number + 50)),
                Write::ClaimRequest {
                    request: request_number(number),
                    certificate: certificate_id(number),
                },
                Write::InsertCertificate(recorded),
            ]
        }),
        group(&|number| {
            vec![
                issue(number, epoch),
                moved(number, RequestState::Signing, RequestState::Done),
            ]
        }),
    ]
}

fn decision(number: u64, kind: DecisionKind, act: ActId) -> Write {
    Write::InsertDecision {
        request: request_number(number),
        kind,
        act,
    }
}

fn moved(number: u64, from: RequestState, to: RequestState) -> Write {
    Write::MoveRequest {
        request: request_number(number),
        from,
        to,
    }
}

fn issue(number: u64, epoch: i64) -> Write {
    Write::IssueCertificate {
        certificate: certificate_id(number),
        epoch,
        der: vec![b'd'; 900],
    }
}

fn issue_crl(number: i64) -> Write {
    Write::IssueCrl {
        ca: ca_id(1),
        number,
        epoch: 1,
        der: vec![b'c'; 600],
    }
}

fn revoke(number: u64) -> Change {
    change(vec![Write::RevokeCertificate {
        certificate: certificate_id(number),
        revoked_seconds: 500,
        reason: 1,
        act: act_id(1),
    }])
}

/// A signed note about so many leaves; nothing here compares it with the log.
fn checkpoint(size: i64) -> Chapter {
    Chapter::Group(vec![Change {
        writes: vec![Write::InsertCheckpoint {
            size,
            note: format!("note {size}"),
        }],
        events: Vec::new(),
    }])
}

/// A change that needs pages of its own, with an event that does not repeat it all.
pub(crate) fn large(number: u64) -> Change {
    let request = RequestRecord {
        evidence: vec![7; 6000],
        ..request(number)
    };
    Change {
        writes: vec![Write::InsertRequest(request), Write::InsertAct(act(number))],
        events: vec![format!("request {number}").into_bytes()],
    }
}
