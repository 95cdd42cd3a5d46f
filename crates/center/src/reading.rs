//! Reading in groups: many decisions, few questions to the database.
//!
//! Whoever decides is looked up anew for every decision, and so is what is decided on: rows give no rights, and somebody may have changed
//! them. Calls that arrive while the database answers are gathered and asked about together, so that the number of questions is that of
//! the groups. An answer never comes from a question that was asked before the call.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chancery_api::{Failure, FailureKind, RequestNumber};
use chancery_store::{DecidedRequest, PersonRecord, Store};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Center,
    committer::store_failure,
    trust::{Grandfathered, People},
};

/// Most calls answered together.
const GROUP: usize = 64;

/// Requests by number, with the decisions on them.
pub(crate) type Requests = HashMap<RequestNumber, DecidedRequest>;

/// What the database said after the call began: rows, not yet believed.
#[derive(Clone)]
pub(crate) struct Rows {
    inner: Arc<Inner>,
}

struct Inner {
    people: Vec<PersonRecord>,
    requests: Requests,
}

impl Rows {
    /// All rows about people.
    pub(crate) fn people(&self) -> &[PersonRecord] {
        &self.inner.people
    }

    /// The requests that were asked for, and those that made the people.
    pub(crate) fn requests(&self) -> &Requests {
        &self.inner.requests
    }

    /// Whether everything that people are found to count by is the same.
    fn same_people(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
            || (self.people() == other.people()
                && self
                    .people()
                    .iter()
                    .filter_map(|row| row.request)
                    .all(|number| self.requests().get(&number) == other.requests().get(&number)))
    }
}

/// Requests as they are, and who counts.
#[derive(Clone)]
pub(crate) struct Reading {
    /// Everybody, checked.
    pub(crate) people: Arc<People>,
    rows: Rows,
}

impl Reading {
    /// One of the requests that were asked for.
    pub(crate) fn request(&self, number: RequestNumber) -> Result<&DecidedRequest, Failure> {
        self.rows.requests().get(&number).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("there is no request {number}"))
                .with_remedy("chancery request list")
        })
    }
}

/// People, and the rows they were found to count by. The same rows give the same people.
pub(crate) struct KnownPeople {
    rows: Rows,
    grandfathered: Option<Grandfathered>,
    people: Arc<People>,
}

impl Center {
    /// Everybody, checked against the database after this call began, and these requests.
    pub(crate) async fn read(&self, numbers: Vec<RequestNumber>) -> Result<Reading, Failure> {
        let rows = self.reader.read(numbers).await?;
        let grandfathered = self.lock(&self.grandfathered).clone();
        let known = self
            .lock(&self.known_people)
            .as_ref()
            .filter(|known| known.grandfathered == grandfathered && known.rows.same_people(&rows))
            .map(|known| Arc::clone(&known.people));
        if let Some(people) = known {
            return Ok(Reading { people, rows });
        }
        let people = People::from_rows(
            rows.people(),
            rows.requests(),
            &self.installation,
            grandfathered.as_ref(),
        )?;
        let people = Arc::new(people);
        if grandfathered.is_none()
            && let Some(now) = people.grandfathered()
        {
            now.save(&*self.marks)?;
            *self.lock(&self.grandfathered) = Some(now);
        }
        *self.lock(&self.known_people) = Some(KnownPeople {
            rows: rows.clone(),
            grandfathered,
            people: Arc::clone(&people),
        });
        Ok(Reading { people, rows })
    }

    /// Everybody, checked against the database after this call began.
    pub(crate) async fn people(&self) -> Result<Arc<People>, Failure> {
        Ok(self.read(Vec::new()).await?.people)
    }
}

struct Call {
    numbers: Vec<RequestNumber>,
    answer: oneshot::Sender<Result<Rows, Failure>>,
}

/// Hands calls to the reading task, which ends with this.
pub(crate) struct Reader {
    queue: mpsc::Sender<Call>,
}

impl Reader {
    /// Starts the task.
    pub(crate) fn start(store: Arc<dyn Store>) -> Self {
        let (queue, calls) = mpsc::channel(4 * GROUP);
        tokio::spawn(answer(store, calls));
        Self { queue }
    }

    async fn read(&self, numbers: Vec<RequestNumber>) -> Result<Rows, Failure> {
        let stopped = || Failure::new(FailureKind::Unavailable, "the node is stopping");
        let (answer, wait) = oneshot::channel();
        self.queue
            .send(Call { numbers, answer })
            .await
            .map_err(|_| stopped())?;
        wait.await.map_err(|_| stopped())?
    }
}

/// The reading task.
async fn answer(store: Arc<dyn Store>, mut calls: mpsc::Receiver<Call>) {
    let mut group = Vec::with_capacity(GROUP);
    while calls.recv_many(&mut group, GROUP).await > 0 {
        let wanted = group
            .iter()
            .flat_map(|call| call.numbers.iter().copied())
            .collect();
        let rows = rows(&*store, wanted).await;
        for call in group.drain(..) {
            // Nobody may be waiting any more.
            let _ = call.answer.send(rows.clone());
        }
    }
}

async fn rows(store: &dyn Store, wanted: BTreeSet<RequestNumber>) -> Result<Rows, Failure> {
    let wanted: Vec<_> = wanted.into_iter().collect();
    let (people, found) = store
        .everybody_and(&wanted)
        .await
        .map_err(|error| store_failure(&error))?;
    let requests = found
        .into_iter()
        .map(|decided| (decided.request.number, decided))
        .collect();
    Ok(Rows {
        inner: Arc::new(Inner { people, requests }),
    })
}
