//! The writer of an index: a thread that collects the changes of several requests and commits them
//! together. It begins with the first change and ends after a while without any, so that other
//! programs can change the index, too.

use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use splade_index::IndexInfo;
use splade_sparse::SparseVector;
use tokio::sync::oneshot;

use super::target::Target;
use crate::encoder::SparseEncoder;
use crate::error::Error;
use crate::index::{Index, IndexOptions};
use crate::record::Record;
use crate::searcher::Searcher;
use crate::serve::error::ApiError;
use crate::serve::metrics::Metrics;
use crate::serve::model::Model;

/// The number of requests that may wait for the writer; more are refused.
const QUEUE: usize = 64;
/// The time without changes after which the writer lets the index go.
const IDLE: Duration = Duration::from_secs(5);
/// The time after which small segments are joined again where that failed, for example because the
/// disk was full.
const JOIN_AGAIN: Duration = Duration::from_secs(60);

/// A document to add or to replace.
#[derive(Debug)]
pub(crate) enum Document {
    /// A text, which is encoded.
    Text(Record),
    /// An id and a vector that the client made.
    Vector(String, SparseVector),
}

/// A change of an index.
#[derive(Debug)]
pub(crate) enum Change {
    Put(Vec<Document>),
    Delete(Vec<String>),
    Merge,
}

/// What a change did.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// The documents that were added, replaced or deleted.
    pub(crate) documents: usize,
    /// The index after the commit.
    pub(crate) info: IndexInfo,
}

/// A change that somebody waits for.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) model: Arc<Model>,
    pub(crate) change: Change,
    pub(crate) done: Done,
}

type Done = oneshot::Sender<Result<Changed, ApiError>>;

/// When a commit is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterLimits {
    /// The longest time from a change to its commit.
    pub(crate) interval: Duration,
    /// The number of changed documents that are committed earlier.
    pub(crate) documents: usize,
}

/// The thread, if it runs.
#[derive(Debug)]
pub(crate) struct Writer {
    job: Arc<Job>,
    running: Arc<Mutex<Running>>,
}

/// What the thread works with.
#[derive(Debug)]
struct Job {
    target: Arc<Target>,
    limits: WriterLimits,
    metrics: Arc<Metrics>,
    /// When small segments may be joined again.
    next_join: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Running {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
    /// Whether the index takes no more changes.
    closed: bool,
}

impl Writer {
    pub(crate) fn new(target: Arc<Target>, limits: WriterLimits, metrics: Arc<Metrics>) -> Self {
        let job = Job { target, limits, metrics, next_join: Mutex::default() };
        Self { job: Arc::new(job), running: Arc::default() }
    }

    /// Hands over a change, and begins the thread if it does not run.
    pub(crate) fn send(&self, order: Order) -> Result<(), ApiError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.closed {
            return Err(ApiError::not_found("the index is closed"));
        }
        let order = match &running.orders {
            None => order,
            Some(orders) => match orders.try_send(order) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(_)) => return Err(ApiError::overloaded()),
                // The thread has ended.
                Err(TrySendError::Disconnected(order)) => order,
            },
        };
        if let Some(thread) = running.thread.take() {
            _ = thread.join();
        }
        let (sender, orders) = sync_channel(QUEUE);
        _ = sender.try_send(order);
        let (job, state) = (Arc::clone(&self.job), Arc::clone(&self.running));
        let thread = std::thread::Builder::new()
            .name(format!("write {}", job.target.name))
            .spawn(move || job.run(&orders, &state))
            .map_err(|error| Error::Threads(Box::new(error)))?;
        (running.orders, running.thread) = (Some(sender), Some(thread));
        Ok(())
    }

    /// Takes no more changes, commits those that are waiting, and ends the thread.
    pub(crate) fn close(&self) {
        let thread = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.closed = true;
            running.orders = None;
            running.thread.take()
        };
        if let Some(thread) = thread {
            _ = thread.join();
        }
    }
}

impl Job {
    fn run(&self, orders: &Receiver<Order>, running: &Mutex<Running>) {
        let mut index = None;
        loop {
            let first = match orders.recv_timeout(IDLE) {
                Ok(order) => order,
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    // No sender may add an order between the last look and the end.
                    let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                    match orders.try_recv() {
                        Ok(order) => {
                            drop(running);
                            order
                        }
                        Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                            running.orders = None;
                            return;
                        }
                    }
                }
            };
            if let Err(error) = self.commit_round(&mut index, first, orders) {
                tracing::error!(index = self.target.name, error = error.message);
                // What was not committed is gone; the next round opens the index anew.
                index = None;
            }
        }
    }

    /// Makes changes until a commit is due, commits them, and answers all requests.
    fn commit_round(
        &self,
        index: &mut Option<Index>,
        first: Order,
        orders: &Receiver<Order>,
    ) -> Result<(), ApiError> {
        let begun = Instant::now();
        let mut waiting: Vec<(Done, usize)> = Vec::new();
        let mut merges: Vec<(Done, usize)> = Vec::new();
        let mut next = Some(first);
        let mut changed = 0;
        let mut model = None;
        while let Some(Order { model: of, change, done }) = next.take() {
            if index.is_none() {
                match Index::open(self.target.folder(), &IndexOptions::default()) {
                    Ok(open) => *index = Some(open),
                    Err(error) => {
                        _ = done.send(Err(error.into()));
                        return Ok(());
                    }
                }
            }
            let open = index.as_mut().expect("it was opened: this is a bug");
            match change {
                Change::Merge => merges.push((done, 0)),
                change => match check(open, &of.encoder, &change) {
                    Err(error) => _ = done.send(Err(error.into())),
                    Ok(()) => match apply(open, &of.encoder, change) {
                        Ok(documents) => {
                            changed += documents;
                            waiting.push((done, documents));
                        }
                        // A part of the change may be in the index, so nothing is committed.
                        Err(error) => {
                            waiting.push((done, 0));
                            waiting.append(&mut merges);
                            return Err(fail(waiting, error));
                        }
                    },
                },
            }
            model = Some(of);
            if changed >= self.limits.documents || !merges.is_empty() {
                break;
            }
            let left = self.limits.interval.saturating_sub(begun.elapsed());
            next = orders.recv_timeout(left).ok();
        }
        let (Some(open), Some(model)) = (index.as_mut(), model) else { return Ok(()) };
        if waiting.is_empty() && merges.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let info = match open.commit().and_then(|info| self.show(&model).map(|()| info)) {
            Ok(info) => info,
            Err(error) => {
                waiting.append(&mut merges);
                return Err(fail(waiting, error));
            }
        };
        let name = [self.target.name.as_str()];
        let elapsed = start.elapsed().as_secs_f64();
        self.metrics.commit_duration.with_label_values(&name).observe(elapsed);
        self.metrics.changed_documents.with_label_values(&name).inc_by(changed as u64);
        succeed(waiting, &info);
        // A merge that fails, for example because the disk is full, takes nothing of the commit back.
        if merges.is_empty() {
            return Ok(self.join(open, &model)?);
        }
        match open.merge().and_then(|info| self.show(&model).map(|()| info)) {
            Ok(info) => {
                succeed(merges, &info);
                Ok(())
            }
            Err(error) => Err(fail(merges, error)),
        }
    }

    /// Joins small segments where there are many.
    fn join(&self, index: &mut Index, model: &Model) -> Result<(), Error> {
        let mut next = self.next_join.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some_and(|next| Instant::now() < next) {
            return Ok(());
        }
        match index.join_recent() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => self.show(model),
            Err(error) => {
                *next = Some(Instant::now() + JOIN_AGAIN);
                Err(error)
            }
        }
    }

    /// Has searches see the last commit.
    fn show(&self, model: &Model) -> Result<(), Error> {
        let searcher = Searcher::open(self.target.folder(), Some(model.encoder.clone()))?;
        self.target.show(Arc::new(searcher));
        Ok(())
    }
}

/// Tells all who wait that their changes are committed.
fn succeed(waiting: Vec<(Done, usize)>, info: &IndexInfo) {
    for (done, documents) in waiting {
        _ = done.send(Ok(Changed { documents, info: info.clone() }));
    }
}

/// Tells all who wait that nothing was changed.
fn fail(waiting: Vec<(Done, usize)>, error: Error) -> ApiError {
    let error = ApiError::from(error);
    for (done, _) in waiting {
        _ = done.send(Err(error.clone()));
    }
    error
}

/// Refuses documents for an index of another model, before anything is changed.
fn check(index: &mut Index, encoder: &SparseEncoder, change: &Change) -> Result<(), Error> {
    match change {
        Change::Put(_) => index.use_encoder(encoder),
        Change::Delete(_) | Change::Merge => Ok(()),
    }
}

/// Makes a change and returns the number of documents that it changed.
fn apply(index: &mut Index, encoder: &SparseEncoder, change: Change) -> Result<usize, Error> {
    match change {
        Change::Merge => Ok(0),
        Change::Delete(ids) => Ok(ids.iter().filter(|id| index.delete(id)).count()),
        Change::Put(documents) => {
            let count = documents.len();
            let is_text = |document: &Document| matches!(document, Document::Text(_));
            let mut texts = Vec::new();
            let mut documents = documents.into_iter().peekable();
            while let Some(document) = documents.next() {
                match document {
                    Document::Text(record) => texts.push(record),
                    Document::Vector(id, vector) => {
                        index.upsert_vector(&id, &index.provenance().pruning().apply(vector))?;
                    }
                }
                // Texts that follow each other are encoded together.
                if !texts.is_empty() && !documents.peek().is_some_and(is_text) {
                    index.upsert(encoder, std::mem::take(&mut texts), &mut ())?;
                }
            }
            Ok(count)
        }
    }
}
