//! What all requests share.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use splade_model::Side;
use tokio::sync::Semaphore;

use super::compute::{BatchLimit, Compute};
use super::error::{ApiError, ErrorType};
use super::hosted::Indexes;
use super::metrics::Metrics;
use super::model::Model;
use super::options::ServeOptions;
use super::trace::Tracer;
use crate::error::Error;

/// The number of the largest bodies that fit the memory for bodies.
const LARGEST_BODIES: usize = 64;
/// The unit of the memory for bodies, in bytes.
pub(crate) const BODY_UNIT: usize = 1024;

/// What the service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It loads the model.
    Starting,
    /// It answers.
    Ready,
    /// It finishes what it has begun and accepts nothing new.
    Draining,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: ServeOptions,
    phase: AtomicU8,
    model: RwLock<Option<Arc<Model>>>,
    pub(crate) compute: Arc<Compute>,
    /// One permit for each text that waits or is computed.
    pub(crate) texts: Arc<Semaphore>,
    /// One permit for each thread that may tokenize long texts.
    pub(crate) long_texts: Arc<Semaphore>,
    /// One permit for each [`BODY_UNIT`] of a body that is held in memory.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) indexes: Indexes,
    pub(crate) tracer: Tracer,
}

/// The state as handlers take it.
#[derive(Debug, Clone)]
pub(crate) struct App {
    state: Arc<State>,
    /// What a text is where a request does not say.
    pub(crate) side: Side,
}

impl App {
    pub(crate) fn new(options: ServeOptions) -> Result<Self, Error> {
        let side = if options.default_query { Side::Query } else { Side::Document };
        Ok(Self { state: Arc::new(State::new(options)?), side })
    }

    /// The same state for routes whose texts are of a side.
    pub(crate) fn with_side(&self, side: Side) -> Self {
        Self { state: Arc::clone(&self.state), side }
    }
}

impl std::ops::Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl State {
    fn new(options: ServeOptions) -> Result<Self, Error> {
        let metrics = Arc::new(Metrics::new()?);
        let limits = &options.limits;
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = options.encoder.threads.unwrap_or_else(cores);
        let limit = BatchLimit::new(limits.max_batch_tokens, limits.max_batch_requests, threads);
        let bodies = (limits.payload_limit.div_ceil(BODY_UNIT) * LARGEST_BODIES)
            .clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            phase: AtomicU8::new(Phase::Starting as u8),
            model: RwLock::new(None),
            compute: Compute::start(limit, Arc::clone(&metrics))?,
            texts: Arc::new(Semaphore::new(limits.max_concurrent_requests)),
            long_texts: Arc::new(Semaphore::new(threads.max(1))),
            bodies: Arc::new(Semaphore::new(bodies)),
            indexes: Indexes::new(&options, Arc::clone(&metrics)),
            tracer: Tracer::start(options.otlp.as_ref(), &metrics)?,
            metrics,
            options,
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Loads the model and the indexes, for the first time or anew. Where that fails, what was
    /// loaded before stays.
    pub(crate) fn load(&self) -> Result<(), Error> {
        let model = Arc::new(Model::load(&self.options)?);
        self.indexes.open_all(&model)?;
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Some(model);
        Ok(())
    }

    /// The model; an error while the service is starting.
    pub(crate) fn model(&self) -> Result<Arc<Model>, ApiError> {
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        model.clone().ok_or_else(|| ApiError::new(ErrorType::Unhealthy, "the model is loading"))
    }

    /// The name by which clients know the model.
    pub(crate) fn served_name(&self) -> String {
        let name = || self.options.model.display().to_string();
        self.options.served_model_name.clone().unwrap_or_else(name)
    }
}
