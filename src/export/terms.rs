//! What the terms of vectors are called: tokens of a model or of a file, or ids.

use std::collections::HashMap;
use std::path::Path;

use splade_export::TermNames;
use splade_io::{ContentHasher, Event, Observer};
use splade_model::Side;
use splade_model::tokenizer_content;
use splade_sparse::TermId;
use splade_sparse::files::{FileError, Lines, VectorReader, VectorRow};
use splade_text::TokenizerOptions;

use super::options::ExportOptions;
use crate::encode_files::TermKeys;
use crate::error::{Error, advised, invalid};
use crate::model::Vocabulary;
use crate::provenance::{Provenance, VectorSources};

/// The vocabulary of vectors.
pub(super) struct TermsOf {
    /// In the order of the ids; empty if nothing is known.
    tokens: Vec<String>,
    ids: HashMap<String, TermId>,
    by_ids: bool,
    /// How the vectors of the documents were made, as far as they say.
    vectors_of: Provenance,
}

impl TermsOf {
    /// Reads the tokens of the model or file that was named.
    pub(super) fn open(
        options: &ExportOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let vectors_of = vectors_of(options)?;
        let tokens = match (&options.model, &options.tokens) {
            (Some(model), _) => {
                let tokenizer = TokenizerOptions::default();
                let vocabulary = Vocabulary::open(model, Side::Document, &tokenizer, observer)?;
                if !options.any_model {
                    check_tokenizer(&vectors_of, &vocabulary)?;
                }
                vocabulary.tokens()
            }
            (None, Some(path)) => read(path)?,
            (None, None) => Vec::new(),
        };
        let mut ids = HashMap::with_capacity(tokens.len());
        for (id, token) in (0..).zip(&tokens) {
            ids.entry(token.clone()).or_insert(TermId(id));
        }
        Ok(Self { tokens, ids, by_ids: options.terms == TermKeys::Ids, vectors_of })
    }

    /// How the vectors of the documents were made, as far as they say.
    pub(super) fn vectors_of(&self) -> &Provenance {
        &self.vectors_of
    }

    /// The hash of the tokens in the order of their ids.
    pub(super) fn content(&self) -> String {
        let mut hasher = ContentHasher::new();
        self.tokens.iter().for_each(|token| hasher.text(token));
        hasher.finish().to_string()
    }

    /// Number of terms, where it is known.
    pub(super) fn size(&self) -> Option<usize> {
        (!self.tokens.is_empty()).then_some(self.tokens.len())
    }

    /// Number of terms, or what was typed in its place.
    pub(super) fn dimensions(&self, typed: Option<usize>) -> Result<usize, Error> {
        match (self.size(), typed) {
            (Some(size), Some(typed)) if size != typed => Err(advised(
                format!("--dimensions is {typed}, but the vocabulary has {size} terms"),
                "leave out --dimensions",
            )),
            (size, typed) => size.or(typed).ok_or_else(|| {
                advised(
                    "the target needs the number of terms",
                    "give --model, --tokens or --dimensions",
                )
            }),
        }
    }

    /// What a target is to call the terms.
    pub(super) fn names(&self, observer: &mut dyn Observer) -> Result<TermNames, Error> {
        if self.by_ids {
            return Ok(TermNames::ids());
        }
        if self.tokens.is_empty() {
            observer.event(Event::Note(
                "note: terms are called by their ids; --model or --tokens gives their tokens",
            ));
            return Ok(TermNames::ids());
        }
        let names = TermNames::tokens(self.tokens.clone());
        let remedy = "write the ids of terms with --terms ids";
        names.map_err(|problem| Error::Invalid(problem.with_remedy(remedy)))
    }

    /// In the order of the ids; empty if they are not known.
    #[cfg(feature = "push")]
    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The term of a key of NDJSON.
    pub(super) fn term(&self, key: &str) -> Option<TermId> {
        match self.tokens.is_empty() {
            true => VectorReader::id(key),
            false => self.ids.get(key).copied(),
        }
    }

    /// Checks that a vector has no terms but these.
    pub(super) fn check(&self, row: &VectorRow) -> Result<(), Error> {
        match (row.vector.terms().last(), self.size()) {
            (Some(term), Some(vocab)) if term.0 as usize >= vocab => {
                Err(Error::UnknownTerm { id: row.id.clone(), term: *term, vocab })
            }
            _ => Ok(()),
        }
    }

    /// Wraps the error of a row with what to do about keys that are no terms.
    pub(super) fn unreadable(&self) -> impl FnOnce(FileError) -> Error {
        let doing = match self.tokens.is_empty() {
            true => "cannot read the vectors; if their keys are tokens, give --model or --tokens",
            false => "cannot read the vectors",
        };
        move |error: FileError| Error::during(doing)(error.into())
    }
}

/// How the vectors of the documents were made, if all say the same and the queries are of the same
/// model.
fn vectors_of(options: &ExportOptions) -> Result<Provenance, Error> {
    let documents = VectorSources::read(&options.vectors)?;
    let queries = VectorSources::read(&options.queries)?;
    if options.any_model {
        let alike = documents.joined().unwrap_or_default();
        return Ok(alike.unwrap_or_default());
    }
    let documents = documents.joined()?.unwrap_or_default();
    if let Some(queries) = queries.joined()? {
        documents.check_model("the documents were made with", &queries, "the queries with")?;
    }
    Ok(documents)
}

/// Checks that the terms of vectors are the tokens of a model: its weights do not matter here.
fn check_tokenizer(vectors: &Provenance, vocabulary: &Vocabulary) -> Result<(), Error> {
    let Some(content) = &vectors.content else { return Ok(()) };
    let given = tokenizer_content(vocabulary.tokenizer())?;
    // A model with a table of queries has a second tokenizer, which counts where it is another.
    if content.tokenizer == given
        || Provenance::of_vocabulary(vocabulary)?.content == vectors.content
    {
        return Ok(());
    }
    Err(Error::OtherModel {
        what: format!(
            "the vectors were made with the model {}, but --model {} has the tokenizer {}",
            vectors.shown(),
            vocabulary.name().display(),
            given.short()
        ),
    })
}

/// The lines of a file, which are tokens.
fn read(path: &Path) -> Result<Vec<String>, Error> {
    let (mut lines, mut tokens) = (Lines::open(path)?, Vec::new());
    while let Some(line) = lines.next_line()? {
        tokens.push(line);
    }
    match tokens.is_empty() {
        true => Err(invalid(format!("{} has no tokens", path.display()))),
        false => Ok(tokens),
    }
}
