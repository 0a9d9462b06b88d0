//! A body that computes the hidden states of texts in micro-batches and hands them to a head.

use std::sync::Mutex;

use splade_nn::{Isa, Precision};
use splade_text::ModelFiles;

use crate::arch::{ArchitectureConfig, Backbone, PackedTexts, Workspace};
use crate::error::ModelError;
use crate::loader::Loader;
use crate::network::{are_finite, in_micro_batches, offsets};
use crate::weights::Weights;

/// A body with its word embeddings.
#[derive(Debug)]
pub(crate) struct HiddenNetwork {
    backbone: Backbone,
    /// The width of the hidden states.
    pub(crate) hidden: usize,
    /// The longest text in tokens, by the position embeddings of the model.
    pub(crate) max_tokens: usize,
    /// The number of word embeddings.
    pub(crate) vocab: usize,
    /// The tensors of the file that the model does not use.
    pub(crate) unexpected: Vec<String>,
    batch_tokens: usize,
    workspaces: Mutex<Vec<Workspace>>,
}

/// The tokens of a text as a head gives them to the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prepared {
    pub(crate) ids: Vec<u32>,
    /// The number of tokens at the start that are those of the text. Appended ones follow.
    pub(crate) own: usize,
    /// The number of tokens at the start that are attended to.
    pub(crate) attended: usize,
    /// The number of tokens at the start that belong to the prompt.
    pub(crate) prompt: usize,
    pub(crate) truncated: bool,
}

/// The hidden states of a micro-batch.
pub(crate) struct HiddenBatch<'a> {
    /// The hidden states, `(tokens, hidden)`.
    pub(crate) hidden: &'a [f32],
    pub(crate) texts: Vec<&'a Prepared>,
    /// The index of the first token of each text, followed by the number of tokens.
    pub(crate) offsets: &'a [usize],
    /// Whether the head should use all threads.
    pub(crate) parallel: bool,
}

impl Prepared {
    /// Returns a text whose tokens are all attended to.
    pub(crate) fn plain(ids: Vec<u32>) -> Self {
        let (own, attended) = (ids.len(), ids.len());
        Self { ids, own, attended, prompt: 0, truncated: false }
    }
}

impl HiddenNetwork {
    /// Loads the weights of a model. `known` are names of tensors that a head reads.
    pub(crate) fn load(
        files: &ModelFiles,
        (isa, precision): (Isa, Precision),
        batch_tokens: usize,
        known: &[&str],
    ) -> Result<Self, ModelError> {
        let config = ArchitectureConfig::from_files(files)?;
        let mut weights = Weights::from_files(files)?;
        let embedding = config.0.word_head().embedding;
        weights.set_prefix(config.0.prefix(), config.0.other_prefix(), embedding);
        let loader = Loader::new(&weights, isa, precision);
        let backbone = Backbone::load(&loader, &config);
        known.iter().for_each(|name| loader.ignore(name));
        let unexpected = loader.finish()?.unexpected;
        Ok(Self {
            backbone,
            hidden: config.0.sizes().hidden,
            max_tokens: config.max_tokens(),
            vocab: config.vocab(),
            unexpected,
            batch_tokens: batch_tokens.max(1),
            workspaces: Mutex::default(),
        })
    }

    /// Computes the hidden states of texts on the threads of the current pool and returns what the
    /// head makes of each, or the index of the first text whose hidden states are not finite.
    pub(crate) fn run<R: Clone + Default + Send>(
        &self,
        texts: &[Prepared],
        head: impl Fn(&HiddenBatch<'_>) -> Vec<R> + Sync,
    ) -> Result<Vec<R>, usize> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let outcomes = in_micro_batches(&lengths, self.batch_tokens, |batch, parallel| {
            let texts: Vec<&Prepared> = batch.iter().map(|text| &texts[*text]).collect();
            let ids: Vec<&[u32]> = texts.iter().map(|text| &*text.ids).collect();
            let (offsets, ids) = (offsets(&ids), ids.concat());
            let attended: Vec<usize> = texts.iter().map(|text| text.attended).collect();
            let all = texts.iter().all(|text| text.attended == text.ids.len());
            let attended = if all { &[][..] } else { &attended };
            let packed = PackedTexts { ids: &ids, types: &[], offsets: &offsets, attended };
            let mut workspace =
                self.workspaces.lock().ok().and_then(|mut w| w.pop()).unwrap_or_default();
            self.backbone.forward(&packed, &mut workspace, parallel);
            let (hidden, width) = (&workspace.hidden[..], self.hidden);
            let rows = offsets.windows(2).map(|text| &hidden[text[0] * width..text[1] * width]);
            let sound: Vec<bool> = rows.map(are_finite).collect();
            let made = head(&HiddenBatch { hidden, texts, offsets: &offsets, parallel });
            if let Ok(mut workspaces) = self.workspaces.lock() {
                workspaces.push(workspace);
            }
            sound.into_iter().zip(made).map(|(sound, made)| sound.then_some(made)).collect()
        });
        // A text without tokens has no outcome and nothing that could be wrong.
        let broken = |(outcome, length): (&Option<R>, &usize)| outcome.is_none() && *length > 0;
        match outcomes.iter().zip(&lengths).position(broken) {
            Some(text) => Err(text),
            None => Ok(outcomes.into_iter().map(Option::unwrap_or_default).collect()),
        }
    }

    /// Returns the size of the weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.backbone.bytes()
    }
}
