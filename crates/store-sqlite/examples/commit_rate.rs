//! Measures commits: changes of two rows and one event, alone and in groups. Run it with `--release`.
#![expect(clippy::print_stdout, reason = "its output is the measurement")]

use std::time::{Duration, Instant};

use chancery_api::{ActId, CaId, CertificateId, PersonId, RequestNumber};
use chancery_store::{
    ActRecord, CaRecord, CertificateRecord, CertificateState, Change, RequestKind, RequestRecord,
    RequestState, Store, StoreError, Write,
};
use chancery_store_sqlite::SqliteStore;
use uuid::Uuid;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir_in(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()))?;
    let store = SqliteStore::open(&directory.path().join("store.db")).await?;
    found(&store).await?;
    let mut next = 1;
    println!("{:>6}  {:>14}  {:>14}", "group", "claims/s", "signatures/s");
    for group in [1_u64, 16, 64, 256] {
        let rounds = if group == 1 { 400 } else { 6400 / group };
        let (mut claiming, mut issuing) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..rounds {
            let numbers = next..next + group;
            next += group;
            claiming += timed(&store, numbers.clone().map(claim).collect()).await?;
            issuing += timed(&store, numbers.map(issue).collect()).await?;
        }
        let changes = f64::from(u32::try_from(rounds * group)?);
        let (claims, signatures) = (changes / claiming.as_secs_f64(), changes / issuing.as_secs_f64());
        println!("{group:>6}  {claims:>14.0}  {signatures:>14.0}");
    }
    store.close().await;
    Ok(())
}

async fn timed(store: &dyn Store, group: Vec<Change>) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    for outcome in store.commit(group).await? {
        outcome?;
    }
    Ok(start.elapsed())
}

async fn found(store: &dyn Store) -> Result<(), StoreError> {
    let act = ActRecord {
        id: ActId::new(Uuid::nil()),
        person: PersonId::new(Uuid::nil()),
        verb: "sign".to_owned(),
        payload: vec![1; 600],
        signature: vec![2; 72],
        nonce: vec![3; 32],
        created_ms: 0,
    };
    let ca = CaRecord {
        id: CaId::new(Uuid::nil()),
        name: "CA".to_owned(),
        request: RequestNumber(1_000_000),
        key_id: 1,
        signer: None,
        certificate: None,
        created_ms: 0,
    };
    let writes = vec![
        Write::InsertAct(act),
        Write::InsertRequest(request(1_000_000)),
        Write::InsertCa(ca),
    ];
    store
        .commit(vec![Change {
            writes,
            events: Vec::new(),
        }])
        .await
        .map(drop)
}

/// A request and the certificate that will be signed for it; one event.
fn claim(number: u64) -> Change {
    let certificate = CertificateRecord {
        id: id(number),
        ca: CaId::new(Uuid::nil()),
        serial: id(number).as_bytes().to_vec(),
        state: CertificateState::Signing,
        request: None,
        act: ActId::new(Uuid::nil()),
        profile: "tls-server".to_owned(),
        subject: format!("CN=host{number}.example"),
        names: format!("host{number}.example"),
        not_after_seconds: 2_000_000_000,
        tbs: vec![4; 500],
        der: None,
        epoch: 1,
        created_ms: request(number).created_ms,
        revoked: None,
    };
    let writes = vec![
        Write::InsertRequest(request(number)),
        Write::InsertCertificate(certificate),
    ];
    Change {
        writes,
        events: vec![vec![5; 300]],
    }
}

/// The signature is there; one event.
fn issue(number: u64) -> Change {
    let request = request(number).number;
    let writes = vec![
        Write::IssueCertificate {
            certificate: id(number),
            epoch: 1,
            der: vec![6; 600],
        },
        Write::MoveRequest {
            request,
            from: RequestState::Signing,
            to: RequestState::Done,
        },
    ];
    Change {
        writes,
        events: vec![vec![7; 300]],
    }
}

fn request(number: u64) -> RequestRecord {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    RequestRecord {
        number: RequestNumber(number),
        kind: RequestKind::Certificate,
        state: RequestState::Signing,
        title: "a certificate".to_owned(),
        document: vec![8; 300],
        evidence: vec![9; 400],
        tbs: None,
        certificate: None,
        created_by_uid: 1000,
        created_ms: number,
    }
}

/// Random-looking, as identifiers are, but the same in each run.
fn id(number: u64) -> CertificateId {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    CertificateId::new(Uuid::from_u64_pair(mixed, number))
}
