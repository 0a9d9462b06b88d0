//! Texts without queries, for masked language modelling: sequences of one length, cut from all
//! documents one after another ("full sentences" of RoBERTa, arXiv 1907.11692, section 4.2).
//!
//! Every document ends with what the tokenizer puts after a text. The cuts begin at another place in
//! each epoch, which follows from the seed; so does the order of the sequences. Nothing has to be
//! kept to continue. Memory: four bytes a token.

use rayon::prelude::*;
use splade_text::Tokenizer;

use super::random::{CUT, ORDER, Permutation, Random, SPLIT, hash};
use crate::error::DataError;

/// Sequences to train on, and some that are held out.
#[derive(Debug)]
pub struct Corpus {
    train: Vec<u32>,
    held_out: Vec<u32>,
    /// Tokens before and after every sequence.
    around: (Vec<u32>, Vec<u32>),
    /// Tokens of a sequence between them.
    room: usize,
    eval_share: f64,
    shuffle: bool,
    seed: u64,
    documents: u64,
    /// Of all tokens.
    fingerprint: u64,
}

/// How a corpus is cut.
#[derive(Debug, Clone, Copy)]
pub struct CorpusOptions {
    /// Tokens of a sequence, special ones included.
    pub max_length: usize,
    /// Share of the documents that is held out.
    pub eval_share: f64,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Of all that is random.
    pub seed: u64,
}

impl Corpus {
    /// An empty corpus.
    ///
    /// # Errors
    /// If sequences have no room for tokens beside the special ones.
    pub fn new(tokenizer: &Tokenizer, options: CorpusOptions) -> Result<Self, DataError> {
        let CorpusOptions { max_length, eval_share, shuffle, seed } = options;
        let (before, after) = tokenizer.around();
        let special = before.len() + after.len();
        let room = max_length.checked_sub(special).filter(|room| *room > after.len());
        let room = room.ok_or_else(|| DataError::Config {
            at: "model.max_length".into(),
            message: format!("{max_length} tokens have no room beside {special} special ones"),
        })?;
        Ok(Self {
            train: Vec::new(),
            held_out: Vec::new(),
            around: (before.to_vec(), after.to_vec()),
            room,
            eval_share,
            shuffle,
            seed,
            documents: 0,
            fingerprint: 0,
        })
    }

    /// Adds documents, on all threads, and gives the number of their tokens. Those without a token
    /// are left out.
    ///
    /// # Errors
    /// If the tokenizer cannot take a text.
    pub fn add(&mut self, tokenizer: &Tokenizer, texts: &[String]) -> Result<usize, DataError> {
        let encode = |text: &String| tokenizer.encode_plain(text);
        let all: Vec<Vec<u32>> = texts.par_iter().map(encode).collect::<Result<_, _>>()?;
        for ids in all.iter().filter(|ids| !ids.is_empty()) {
            let draw = Random::new(&[self.seed, SPLIT, self.documents]).share();
            let part = if draw < self.eval_share { &mut self.held_out } else { &mut self.train };
            part.extend(ids);
            part.extend(&self.around.1);
            self.documents += 1;
            let words = ids.iter().map(|id| u64::from(*id));
            self.fingerprint = words.fold(hash(&[self.fingerprint]), |h, id| hash(&[h, id]));
        }
        Ok(all.iter().map(Vec::len).sum())
    }

    /// Documents with tokens.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// A number that tells whether it is the same corpus.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Sequences of an epoch.
    pub fn len(&self) -> usize {
        self.count(&self.train)
    }

    /// Whether there is nothing to train on.
    pub fn is_empty(&self) -> bool {
        self.train.is_empty()
    }

    /// Sequences that are held out.
    pub fn held_out(&self) -> usize {
        self.count(&self.held_out)
    }

    /// The sequence at a position of an epoch, and its number.
    ///
    /// # Panics
    /// If there is no such position.
    pub fn sequence(&self, epoch: u64, position: usize) -> (usize, Vec<u32>) {
        let index = match self.shuffle {
            true => Permutation::new(self.len(), &[self.seed, ORDER, epoch]).at(position),
            false => position,
        };
        let cut = match epoch {
            0 => 0,
            _ => Random::new(&[self.seed, CUT, epoch]).below(self.train.len()),
        };
        (index, self.cut(&self.train, cut, index))
    }

    /// A sequence that is held out.
    ///
    /// # Panics
    /// If there is no such sequence.
    pub fn held_out_sequence(&self, index: usize) -> Vec<u32> {
        self.cut(&self.held_out, 0, index)
    }

    /// Whole sequences; what is left over is another part in each epoch.
    fn count(&self, tokens: &[u32]) -> usize {
        (tokens.len() / self.room).max(usize::from(!tokens.is_empty()))
    }

    /// Sequence `index` of tokens that begin at `cut` and go around.
    fn cut(&self, tokens: &[u32], cut: usize, index: usize) -> Vec<u32> {
        assert!(index < self.count(tokens), "sequence {index} of {}", self.count(tokens));
        let (before, after) = &self.around;
        let start = (cut + index * self.room) % tokens.len();
        let end = start + self.room.min(tokens.len());
        let mut ids = before.clone();
        ids.extend(&tokens[start..end.min(tokens.len())]);
        ids.extend(&tokens[..end.saturating_sub(tokens.len())]);
        // The end of a document may be where a sequence ends or begins.
        if !after.is_empty() && ids[before.len()..].starts_with(after) {
            ids.drain(before.len()..before.len() + after.len());
        }
        if after.is_empty() || !ids.ends_with(after) {
            ids.extend(after);
        }
        ids
    }
}
