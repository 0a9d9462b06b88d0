//! `Encoder`: a model that turns texts into sparse vectors.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use light_splade::encode::{Ended, Isa, Precision, Pruning, Side};
use light_splade::input::{Position, Record};
use light_splade::{Error, Observer, SparseEncoder, SparseEncoderOptions, SparseVector, TermId};
use pyo3::prelude::*;

use crate::csr::{Arrays, CsrBuilder};
use crate::errors;
use crate::observer::observed;
use crate::settings::choice;

/// A loaded model.
#[pyclass(frozen, module = "light_splade_rs._native")]
#[derive(Debug)]
pub(crate) struct Encoder {
    name: PathBuf,
    options: SparseEncoderOptions,
    loaded: Mutex<Loaded>,
}

/// The model and the process that loaded it. A process that was forked has none of the threads of the model, so it
/// loads the model again.
#[derive(Debug)]
struct Loaded {
    process: u32,
    encoder: SparseEncoder,
}

/// The side of a name.
pub(crate) fn side(py: Python<'_>, name: &str) -> PyResult<Side> {
    choice(py, "side", name, &[("document", Side::Document), ("query", Side::Query)])
}

/// The precision of a name.
pub(crate) fn precision(py: Python<'_>, name: &str) -> PyResult<Precision> {
    choice(
        py,
        "precision",
        name,
        &[("f32", Precision::F32), ("int8", Precision::Int8), ("bf16", Precision::Bf16)],
    )
}

/// An explanation: the tokens of the text, and the ids, weights and token positions of the terms.
type Explained = (Vec<String>, Vec<u32>, Vec<f32>, Vec<usize>);

impl Encoder {
    /// The model, loaded in this process.
    pub(crate) fn get(&self) -> Result<SparseEncoder, Error> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.process != std::process::id() {
            let encoder = SparseEncoder::load(&self.name, &self.options)?;
            // Dropping the old one would wait for threads that are not in this process.
            std::mem::forget(std::mem::replace(&mut loaded.encoder, encoder));
            loaded.process = std::process::id();
        }
        Ok(loaded.encoder.clone())
    }

    /// The model with another prompt and another longest text.
    fn with(
        &self,
        side: Side,
        prompt: Option<String>,
        max_length: Option<usize>,
    ) -> Result<SparseEncoder, Error> {
        let mut encoder = self.get()?;
        if let Some(prompt) = prompt {
            encoder = encoder.with_prompt(side, prompt);
        }
        match max_length {
            Some(max_length) => encoder.with_max_length(max_length),
            None => Ok(encoder),
        }
    }
}

/// Encodes texts in order, with progress, and hands over the vectors.
pub(crate) fn encode_all(
    encoder: &SparseEncoder,
    side: Side,
    texts: Vec<String>,
    observer: &mut dyn Observer,
    mut take: impl FnMut(SparseVector),
) -> Result<(), Error> {
    let position = Position::of(texts.len() as u64);
    let read = position.clone();
    let records = texts.into_iter().map(|text| {
        read.read(1);
        Record::new("", text)
    });
    let ended = encoder.encode_each(side, records, position, observer, |_, vector| {
        take(vector);
        Ok::<(), Error>(())
    })?;
    match ended {
        Ended::Whole => Ok(()),
        Ended::Stopped => Err(Error::Stopped { kept: "nothing is kept".to_owned() }),
    }
}

#[pymethods]
impl Encoder {
    /// Loads a model by its name.
    #[new]
    #[pyo3(signature = (name, *, precision = "f32", max_length = None, threads = None, query_prompt = None,
        document_prompt = None, mecab_dicdir = None, side = None, reporter = None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the keyword arguments of a Python class"
    )]
    fn new(
        py: Python<'_>,
        name: PathBuf,
        precision: &str,
        max_length: Option<usize>,
        threads: Option<usize>,
        query_prompt: Option<String>,
        document_prompt: Option<String>,
        mecab_dicdir: Option<PathBuf>,
        side: Option<&str>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        if threads == Some(0) {
            return Err(errors::invalid(py, "threads is 0", Some("leave it out for one a core")));
        }
        let options = SparseEncoderOptions {
            precision: self::precision(py, precision)?,
            max_length,
            query_prompt,
            document_prompt,
            threads,
            isa: Isa::detect(),
            mecab_dicdir,
            only: side.map(|name| self::side(py, name)).transpose()?,
            ..SparseEncoderOptions::default()
        };
        let encoder = observed(py, reporter, |observer| {
            SparseEncoder::load_observed(&name, &options, observer)
        })?;
        let loaded = Mutex::new(Loaded { process: std::process::id(), encoder });
        Ok(Self { name, options, loaded })
    }

    /// The number of terms.
    #[getter]
    fn vocab_size(&self, py: Python<'_>) -> PyResult<usize> {
        observed(py, None, |_| Ok(self.get()?.vocab()))
    }

    /// The longest text of a side in tokens.
    fn max_length(&self, py: Python<'_>, side: &str) -> PyResult<usize> {
        let side = self::side(py, side)?;
        observed(py, None, |_| Ok(self.get()?.tower(side)?.max_length()))
    }

    /// The longest text in tokens that the model of a side takes.
    fn length_limit(&self, py: Python<'_>, side: &str) -> PyResult<usize> {
        let side = self::side(py, side)?;
        observed(py, None, |_| Ok(self.get()?.tower(side)?.length_limit()))
    }

    /// The text before every text of a side.
    fn prompt(&self, py: Python<'_>, side: &str) -> PyResult<String> {
        let side = self::side(py, side)?;
        observed(py, None, |_| Ok(self.get()?.tower(side)?.prompt().to_owned()))
    }

    /// The tokens of all terms by their ids.
    fn tokens(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        observed(py, None, |_| {
            let encoder = self.get()?;
            Ok((0..encoder.vocab() as u32).map(|id| encoder.token(TermId(id))).collect())
        })
    }

    /// The token ids of texts. With `special`, special tokens are around them and they are cut off at `max_length`.
    #[pyo3(signature = (texts, side, *, special = true, max_length = None))]
    fn token_ids(
        &self,
        py: Python<'_>,
        texts: Vec<String>,
        side: &str,
        special: bool,
        max_length: Option<usize>,
    ) -> PyResult<Vec<Vec<u32>>> {
        let side = self::side(py, side)?;
        observed(py, None, |_| {
            let encoder = self.get()?;
            let tokenizer = encoder.tower(side)?.tokenizer();
            let ids = texts.iter().map(|text| match special {
                true => Ok(tokenizer.encode(text, max_length)?.ids),
                false => Ok(tokenizer.encode_plain(text)?),
            });
            ids.collect::<Result<Vec<_>, Error>>()
        })
    }

    /// The vectors of texts as the arrays of a CSR matrix.
    #[pyo3(signature = (texts, side, *, prompt = None, max_length = None, max_active_dims = None, reporter = None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the keyword arguments of a Python method"
    )]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<String>,
        side: &str,
        prompt: Option<String>,
        max_length: Option<usize>,
        max_active_dims: Option<usize>,
        reporter: Option<Py<PyAny>>,
    ) -> PyResult<Arrays<'py>> {
        let side = self::side(py, side)?;
        let pruning = Pruning { top_k: max_active_dims, ..Pruning::default() };
        let matrix = observed(py, reporter, |observer| {
            let encoder = self.with(side, prompt, max_length)?;
            let mut matrix = CsrBuilder::new(texts.len());
            encode_all(&encoder, side, texts, observer, |vector| {
                matrix.push(&pruning.apply(vector));
            })?;
            Ok(matrix)
        })?;
        Ok(matrix.into_arrays(py))
    }

    /// The vectors of texts that are token ids.
    fn encode_ids<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<Vec<u32>>,
        side: &str,
    ) -> PyResult<Arrays<'py>> {
        let side = self::side(py, side)?;
        let vectors = observed(py, None, |_| self.get()?.encode_ids(side, &ids))?;
        let mut matrix = CsrBuilder::new(vectors.len());
        vectors.iter().for_each(|vector| matrix.push(vector));
        Ok(matrix.into_arrays(py))
    }

    /// Which token of a text gave each term its weight.
    #[pyo3(signature = (text, side, *, prompt = None, max_length = None))]
    fn explain(
        &self,
        py: Python<'_>,
        text: &str,
        side: &str,
        prompt: Option<String>,
        max_length: Option<usize>,
    ) -> PyResult<Explained> {
        let side = self::side(py, side)?;
        let explained =
            observed(py, None, |_| self.with(side, prompt, max_length)?.explain(side, text))?;
        let terms = &explained.terms;
        let ids = terms.iter().map(|term| term.term.0).collect();
        let weights = terms.iter().map(|term| term.weight).collect();
        let positions = terms.iter().map(|term| term.position).collect();
        Ok((explained.tokens, ids, weights, positions))
    }
}
