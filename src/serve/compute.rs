//! The one thread that computes. Requests put texts into its queue; it takes as many as fit a batch
//! and computes them together on all cores. While it computes, new texts gather in the queue, so
//! batches grow with the load and a text that comes alone waits for nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use splade_model::{Explanation, Side};
use splade_sparse::SparseVector;
use splade_text::PairEncoding;
use tokio::sync::oneshot;

use super::metrics::Metrics;
use super::model::Model;
use crate::error::{Error, invalid};

/// The number of tokens that keep one core busy long enough. Larger batches would not be computed
/// faster, but texts that come meanwhile would wait longer.
const TOKENS_OF_A_CORE: usize = 1024;

/// What the thread is asked to compute.
#[derive(Debug)]
pub(crate) enum Work {
    /// The vector of token ids.
    Encode(Side, Vec<u32>, Reply<SparseVector>),
    /// The logits of a query and a document, which are tokenized.
    Pair(PairEncoding, Reply<Vec<f32>>),
    /// The terms of token ids, and the tokens that they come from.
    Explain(Side, Vec<u32>, Reply<Explanation>),
}

/// Where the result goes. It is closed when the client has gone.
pub(crate) type Reply<T> = oneshot::Sender<Result<Computed<T>, Error>>;

/// A result, and how long it took.
#[derive(Debug)]
pub(crate) struct Computed<T> {
    pub(crate) value: T,
    /// The time in the queue.
    pub(crate) queue: Duration,
    /// The time of the batch.
    pub(crate) inference: Duration,
}

#[derive(Debug)]
struct Job {
    model: Arc<Model>,
    work: Work,
    tokens: usize,
    queued: Instant,
}

impl Job {
    /// Whether nobody waits for the result any more.
    fn is_abandoned(&self) -> bool {
        match &self.work {
            Work::Encode(.., reply) => reply.is_closed(),
            Work::Pair(_, reply) => reply.is_closed(),
            Work::Explain(.., reply) => reply.is_closed(),
        }
    }

    /// Whether both can be in one batch.
    fn joins(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.model, &other.model)
            && match (&self.work, &other.work) {
                (Work::Encode(side, ..), Work::Encode(other, ..)) => side == other,
                (Work::Pair(..), Work::Pair(..)) => true,
                _ => false,
            }
    }
}

/// The largest batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimit {
    pub(crate) tokens: usize,
    pub(crate) texts: usize,
}

impl BatchLimit {
    /// The limit of the options, but no more than keeps the threads busy.
    pub(crate) fn new(tokens: usize, texts: Option<usize>, threads: usize) -> Self {
        let tokens = tokens.min(TOKENS_OF_A_CORE * threads);
        Self { tokens: tokens.max(1), texts: texts.unwrap_or(usize::MAX).max(1) }
    }
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// The queue of the computing thread.
#[derive(Debug)]
pub(crate) struct Compute {
    queue: Mutex<Queue>,
    filled: Condvar,
    limit: BatchLimit,
    metrics: Arc<Metrics>,
}

impl Compute {
    /// Starts the thread. It ends when the queue has been closed and is empty.
    pub(crate) fn start(limit: BatchLimit, metrics: Arc<Metrics>) -> Result<Arc<Self>, Error> {
        let this =
            Arc::new(Self { queue: Mutex::default(), filled: Condvar::new(), limit, metrics });
        let thread = Arc::clone(&this);
        std::thread::Builder::new()
            .name("compute".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| Error::Threads(Box::new(error)))?;
        Ok(this)
    }

    /// Puts work into the queue. The caller holds a permit for it, which bounds the queue.
    pub(crate) fn push(&self, model: &Arc<Model>, work: Work, tokens: usize) {
        let job = Job { model: Arc::clone(model), work, tokens, queued: Instant::now() };
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        self.metrics.queue_size.set(queue.jobs.len() as i64);
        self.filled.notify_one();
    }

    /// Lets the thread end when it has done everything.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(batch) = self.next_batch() {
            self.metrics.batch_texts.observe(batch.len() as f64);
            self.metrics.batch_tokens.observe(batch.iter().map(|job| job.tokens as f64).sum());
            let compute = std::panic::AssertUnwindSafe(|| compute(batch));
            if std::panic::catch_unwind(compute).is_err() {
                // The replies were dropped with the batch, so its requests fail; later ones work.
                tracing::error!("a batch could not be computed: this is a bug");
            }
        }
    }

    /// Waits for work and takes a batch: the oldest job, and those after it that can be computed
    /// with it.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        loop {
            queue.jobs.retain(|job| !job.is_abandoned());
            let Some(first) = queue.jobs.pop_front() else {
                if queue.closed {
                    return None;
                }
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let mut tokens = first.tokens;
            let mut batch = vec![first];
            let mut later = VecDeque::new();
            while let Some(job) = queue.jobs.pop_front() {
                let fits = batch.len() < self.limit.texts
                    && tokens + job.tokens <= self.limit.tokens
                    && batch[0].joins(&job);
                match fits {
                    true => {
                        tokens += job.tokens;
                        batch.push(job);
                    }
                    false => later.push_back(job),
                }
            }
            queue.jobs = later;
            self.metrics.queue_size.set(queue.jobs.len() as i64);
            return Some(batch);
        }
    }
}

/// Computes the jobs of a batch, which are of one model and one kind.
fn compute(batch: Vec<Job>) {
    let start = Instant::now();
    let Some(model) = batch.first().map(|job| Arc::clone(&job.model)) else { return };
    let (mut ids, mut vectors) = (Vec::new(), Vec::new());
    let (mut pairs, mut logits) = (Vec::new(), Vec::new());
    let mut side = Side::Document;
    for Job { work, queued, .. } in batch {
        let waited = start.duration_since(queued);
        match work {
            Work::Encode(of, text, reply) => {
                side = of;
                ids.push(text);
                vectors.push((reply, waited));
            }
            Work::Pair(pair, reply) => {
                pairs.push(pair);
                logits.push((reply, waited));
            }
            Work::Explain(side, ids, reply) => {
                let value = model.tower(side).explain_ids(&ids).map_err(Error::from);
                answer(vec![(reply, waited)], vec![value], start);
            }
        }
    }
    let tower = model.tower(side);
    let encoded = each(&ids, &|ids| tower.encode_ids(ids).map_err(Error::from));
    answer(vectors, encoded, start);
    let scored = each(&pairs, &|pairs| match &model.reranker {
        Some(reranker) => Ok(model.threads.install(|| reranker.logits_of(pairs))?),
        None => Err(invalid("the service has no re-ranker")),
    });
    answer(logits, scored, start);
}

/// What computes a batch of inputs.
type Batch<'a, I, T> = &'a dyn Fn(&[I]) -> Result<Vec<T>, Error>;

/// Computes all inputs together, or where one of them fails each alone, so that the others get
/// their results.
fn each<I, T>(inputs: &[I], compute: Batch<'_, I, T>) -> Vec<Result<T, Error>> {
    match compute(inputs) {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) if inputs.len() == 1 => vec![Err(error)],
        Err(_) => inputs.chunks(1).flat_map(|one| each(one, compute)).collect(),
    }
}

/// Sends the results. A client that has gone gets nothing.
fn answer<T>(replies: Vec<(Reply<T>, Duration)>, results: Vec<Result<T, Error>>, start: Instant) {
    let inference = start.elapsed();
    for ((reply, queue), result) in replies.into_iter().zip(results) {
        _ = reply.send(result.map(|value| Computed { value, queue, inference }));
    }
}
