//! The records of a data directory, read beside a node that may be running.

use chancery_api::{Base64, CaId, CertificateId, FailureKind, Hash32};
use chancery_audit::Frontier;
use chancery_node::{AuditKey, DataDir};
use chancery_store::{Store, StoreError};
use chancery_store_sqlite::SqliteStore;

use crate::{
    error::CliError,
    verify::{
        CaRecord, CertificateRecord, CheckpointRecord, CrlRecord, HeadRecord, Header, LeafRecord,
        PersonRecord, Record,
    },
};

/// Rows in one page.
const PAGE: u32 = 1000;

/// Hands every record to `sink`, in the order a checker takes them.
///
/// The head is read first and the leaves last: whatever a row says has its leaf among those read, and what only a leaf says is newer
/// than the head.
pub(super) fn read(
    data: &DataDir,
    sink: &mut dyn FnMut(Record) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let database = data.database();
    if !database
        .try_exists()
        .map_err(CliError::file("look at", &database))?
    {
        return Err(CliError::with_remedy(
            FailureKind::NotFound,
            format!("there is no log in {} yet", data.path().display()),
            "it begins with the first start of the node",
        ));
    }
    let audit_key = AuditKey::verifier(data)
        .map_err(|error| CliError::new(FailureKind::Refused, crate::error::chain(&error)))?
        .map(|verifier| verifier.to_vkey());
    sink(Record::Header(Header {
        v: 1,
        installation: data.installation()?,
        audit_key,
    }))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Output)?;
    runtime.block_on(async {
        let store = SqliteStore::open(&database).await?;
        let outcome = rows(&store, sink).await;
        store.close().await;
        outcome
    })
}

async fn rows(
    store: &dyn Store,
    sink: &mut dyn FnMut(Record) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let head = store.audit_head().await?;
    let frontier = Frontier::from_bytes(&head.frontier).map_err(|error| {
        CliError::new(
            FailureKind::Refused,
            format!("the log's head is damaged: {error}"),
        )
    })?;
    sink(Record::Head(HeadRecord {
        size: frontier.size(),
        root: frontier.root(),
    }))?;
    for person in store.people().await? {
        let key = Hash32::of(&person.public_key);
        sink(Record::Person(PersonRecord {
            id: person.id,
            name: person.name,
            key,
        }))?;
    }
    let names: Vec<_> = store
        .cas()
        .await?
        .into_iter()
        .map(|ca| (ca.id, ca.name))
        .collect();
    certificates(store, &names, sink).await?;
    // After the certificates: the one of the audit key may have come just now, and its CA's with it.
    for ca in store.cas().await? {
        let certificate = match ca.certificate {
            Some(id) => store
                .certificate(id)
                .await?
                .and_then(|certificate| certificate.der),
            None => None,
        };
        sink(Record::Ca(CaRecord {
            name: ca.name,
            certificate: certificate.map(Base64),
        }))?;
    }
    for (id, name) in &names {
        if let Some(crl) = store.last_crl(*id).await? {
            sink(Record::Crl(CrlRecord {
                ca: name.clone(),
                number: crl.number,
                tbs: Hash32::of(&crl.tbs),
                sha256: crl.der.as_deref().map(Hash32::of),
            }))?;
        }
    }
    checkpoints(store, sink).await?;
    leaves(store, sink).await
}

async fn certificates(
    store: &dyn Store,
    names: &[(CaId, String)],
    sink: &mut dyn FnMut(Record) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut before: Option<CertificateId> = None;
    loop {
        let page = store.certificates(None, before, PAGE).await?;
        before = page.last().map(|certificate| certificate.id);
        let full = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        for row in page {
            let ca = names.iter().find(|(id, _)| *id == row.ca);
            let sha256 = row.der.as_deref().map(Hash32::of);
            sink(Record::Certificate(CertificateRecord {
                ca: ca.map_or_else(|| row.ca.to_string(), |(_, name)| name.clone()),
                serial: hex::encode(&row.serial),
                state: row.state.name().to_owned(),
                tbs: Hash32::of(&row.tbs),
                sha256,
                der: (row.profile == "audit").then_some(row.der).flatten().map(Base64),
                profile: row.profile,
            }))?;
        }
        if !full {
            return Ok(());
        }
    }
}

async fn checkpoints(
    store: &dyn Store,
    sink: &mut dyn FnMut(Record) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut after = 0;
    loop {
        let page = store.checkpoints(after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = *last;
        for (size, note) in page {
            sink(Record::Checkpoint(CheckpointRecord {
                size: unsigned(size)?,
                note,
            }))?;
        }
    }
}

async fn leaves(
    store: &dyn Store,
    sink: &mut dyn FnMut(Record) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut from = 0;
    loop {
        let page = store.audit_leaves(from, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.index + 1;
        for leaf in page {
            // A body that is no text was not written by a node; as another text it has another hash, which is then reported.
            let body = String::from_utf8_lossy(&leaf.body).into_owned();
            sink(Record::Leaf(LeafRecord {
                index: unsigned(leaf.index)?,
                body,
            }))?;
        }
    }
}

fn unsigned(number: i64) -> Result<u64, CliError> {
    u64::try_from(number).map_err(|_| {
        CliError::from(StoreError::Database {
            doing: "reading the audit log",
            source: "a negative index".into(),
        })
    })
}
