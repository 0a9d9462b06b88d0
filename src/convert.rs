//! Training data out of what others publish: mMARCO, MS MARCO, BEIR, SQuAD, and several of them as
//! one; out of pairs of a query and a document; and out of texts without questions.

mod corpus;
mod steps;

use std::path::PathBuf;

use serde_json::{Value, json};
use splade_data::convert::{
    BeirOptions, Conversion, Converted, JoinOptions, MmarcoFiles, MmarcoOptions, MsMarcoFiles,
    MsMarcoOptions, PairsOptions, Purpose, SquadOptions, made_with,
};
use splade_io::{Event, Observer};
use splade_model::hub::{HubOptions, resolve_dataset};

use crate::datasets::dataset_folder;
use crate::error::{Error, invalid};

use corpus::Target;
use steps::{convert_into, full, sizes};

pub use corpus::{CorpusFilter, CorpusSource};

/// Settings of [`convert`].
///
/// ```
/// use light_splade::data::{BeirOptions, ConvertOptions, ConvertSource, convert};
///
/// let folder = tempfile::tempdir()?;
/// let source = BeirOptions {
///     dir: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir").into(),
///     train: "test".to_owned(),
///     validation: None,
///     judged_only: false,
/// };
/// let (source, out) = (ConvertSource::Beir(source), folder.path().join("data"));
/// let options = ConvertOptions { source, out, force: false, resume: false };
/// let converted = convert(&options, &mut ())?.expect("the folder is new");
/// assert!(!converted.notes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// What is converted.
    pub source: ConvertSource,
    /// The folder for `train` and `validation`; it appears once it is complete.
    pub out: PathBuf,
    /// Replaces what an earlier conversion wrote there.
    pub force: bool,
    /// Does nothing if the folder exists already and is complete, of the same settings and files.
    pub resume: bool,
}

/// What training data is made of.
///
/// ```
/// use light_splade::data::{BeirOptions, ConvertOptions, ConvertSource, convert};
///
/// let folder = tempfile::tempdir()?;
/// let source = BeirOptions {
///     dir: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir").into(),
///     train: "test".to_owned(),
///     validation: None,
///     judged_only: false,
/// };
/// let (source, out) = (ConvertSource::Beir(source), folder.path().join("data"));
/// let options = ConvertOptions { source, out, force: false, resume: false };
/// let converted = convert(&options, &mut ())?.expect("the folder is new");
/// assert!(!converted.notes.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub enum ConvertSource {
    /// Passages and triples of mMARCO, in 14 languages.
    Mmarco(MmarcoSource),
    /// A folder in BEIR's form, or a data set of the hub by its name.
    Beir(BeirOptions),
    /// Passages of MS MARCO.
    MsMarco(MsMarcoSource),
    /// Questions about paragraphs: SQuAD, JaQuAD.
    Squad {
        /// The folder with train and dev: folders of `.json` files, or files whose names begin so.
        data: PathBuf,
        /// Whether documents begin with the title of their article.
        titles: bool,
    },
    /// Pairs of a query and a document that answers it, in files of any form that is read.
    Pairs(PairsOptions),
    /// Texts without questions, out of which pairs are cut.
    Corpus(CorpusSource),
    /// Folders that conversions wrote, as one.
    Join(Vec<PathBuf>),
}

/// The files of mMARCO, and what is made of them.
#[derive(Debug, Clone)]
pub struct MmarcoSource {
    /// A folder with the files, or a data set of the Hugging Face hub.
    pub data: PathBuf,
    /// What the data is for.
    pub purpose: Purpose,
    /// The language, as the files are named.
    pub language: String,
    /// The translation, as the folders are named.
    pub translation: String,
    /// The passages, in place of the file in `data`.
    pub collection: Option<PathBuf>,
    /// The queries of train, in place of the file in `data`.
    pub train_queries: Option<PathBuf>,
    /// The queries of dev.full, in place of the file in `data`.
    pub dev_queries: Option<PathBuf>,
    /// The triples of ids or texts, in place of the file in `data`.
    pub triples: Option<PathBuf>,
    /// The number of negatives of a query for distillation; 0 for all.
    pub max_negatives: usize,
    /// Decides what is drawn at random.
    pub seed: u64,
}

impl Default for MmarcoSource {
    fn default() -> Self {
        Self {
            data: splade_data::convert::MmarcoFiles::REPOSITORY.into(),
            purpose: Purpose::Triplet,
            language: "japanese".to_owned(),
            translation: "google".to_owned(),
            collection: None,
            train_queries: None,
            dev_queries: None,
            triples: None,
            max_negatives: 40,
            seed: 42,
        }
    }
}

/// The files of MS MARCO, and what is made of them.
///
/// ```
/// use light_splade::data::{ConvertOptions, ConvertSource, MsMarcoSource, convert};
///
/// let folder = tempfile::tempdir()?;
/// let data = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/splade-data/tests/fixtures/convert/msmarco");
/// let source = MsMarcoSource {
///     data: data.into(),
///     triples: None,
///     hard_negatives: None,
///     max_negatives: 10,
///     validation_docs: 100,
///     seed: 1,
/// };
/// let (source, out) = (ConvertSource::MsMarco(source), folder.path().join("data"));
/// convert(&ConvertOptions { source, out: out.clone(), force: false, resume: false }, &mut ())?;
/// assert!(out.join("train/positive_lists.ndjson").is_file() || out.join("train").is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MsMarcoSource {
    /// The folder with `collection.tsv`, and queries and qrels of train and dev.small.
    pub data: PathBuf,
    /// Triples of ids or texts, for training with triplets.
    pub triples: Option<PathBuf>,
    /// Hard negatives or scores of a teacher, for distillation.
    pub hard_negatives: Option<PathBuf>,
    /// The number of negatives of a query for distillation; 0 for all.
    pub max_negatives: usize,
    /// The number of documents of validation beside its positives, drawn at random; 0 for all.
    pub validation_docs: usize,
    /// Decides what is drawn at random.
    pub seed: u64,
}

impl Default for MsMarcoSource {
    fn default() -> Self {
        Self {
            data: PathBuf::new(),
            triples: None,
            hard_negatives: None,
            max_negatives: 40,
            validation_docs: 10_000,
            seed: 42,
        }
    }
}

/// Makes training data of a source, with files of the Hugging Face hub where it is named by a data
/// set there. Returns nothing where the folder was complete already and
/// [`resume`](ConvertOptions::resume) is set.
///
/// ```
/// use light_splade::data::{BeirOptions, ConvertOptions, ConvertSource, convert};
///
/// let folder = tempfile::tempdir()?;
/// let source = BeirOptions {
///     dir: concat!(env!("CARGO_MANIFEST_DIR"), "/data/toy-beir").into(),
///     train: "test".to_owned(),
///     validation: None,
///     judged_only: false,
/// };
/// let options = ConvertOptions {
///     source: ConvertSource::Beir(source),
///     out: folder.path().join("data"),
///     force: false,
///     resume: false,
/// };
/// convert(&options, &mut ())?;
/// assert!(options.out.join("train").is_dir() && options.out.join("validation").is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If a file is missing, cannot be fetched or is not sound, the folder exists already, nothing can be
/// written, or the observer asks to stop. The folder is then as it was.
pub fn convert(
    options: &ConvertOptions,
    observer: &mut dyn Observer,
) -> Result<Option<Converted>, Error> {
    let (source, settings) = open(&options.source, observer)?;
    let out = options.out.display();
    if options.resume
        && let Some(made_with) = made_with(&options.out)
    {
        if made_with != settings {
            return Err(Error::OtherSettings { path: options.out.clone() });
        }
        observer.event(Event::Note(&format!("{out} is complete; nothing is to be done")));
        return Ok(None);
    }
    let made = match &source {
        Opened::Files(source) => {
            convert_into(source, &options.out, &settings, options.force, observer)
        }
        Opened::Corpus(source) => {
            let target = Target { out: &options.out, force: options.force, resume: options.resume };
            corpus::run(source, &target, &settings, observer)
        }
    }?;
    Ok(Some(made))
}

/// A source with its files found.
enum Opened<'a> {
    Files(Box<Conversion>),
    /// Made in several steps.
    Corpus(&'a CorpusSource),
}

/// The source with its files found, and what the result depends on.
fn open<'a>(
    source: &'a ConvertSource,
    observer: &mut dyn Observer,
) -> Result<(Opened<'a>, Value), Error> {
    let (conversion, settings) = match source {
        ConvertSource::Corpus(source) => {
            return Ok((Opened::Corpus(source), source.settings(observer)?));
        }
        ConvertSource::Mmarco(source) => {
            let files = mmarco_files(source, observer)?;
            let inputs =
                [&files.collection, &files.train_queries, &files.dev_queries, &files.triples];
            let (purpose, max_negatives, seed) =
                (source.purpose, source.max_negatives, source.seed);
            let mut settings = json!({
                "source": "mmarco",
                "for": match purpose {
                    Purpose::Triplet => "triplet",
                    Purpose::Distil => "distil",
                },
                "seed": seed,
                "inputs": sizes(inputs)?,
            });
            settings["max_negatives_per_query"] = max_negatives.into();
            let options = MmarcoOptions { files, purpose, max_negatives, seed };
            (Conversion::Mmarco(options), settings)
        }
        ConvertSource::Beir(options) => {
            let dir = dataset_folder(&options.dir, observer)?;
            let options = BeirOptions { dir, ..options.clone() };
            let settings = json!({
                "source": "beir",
                "data": full(&options.dir)?,
                "train": options.train,
                "validation": options.validation,
                "judged_only": options.judged_only,
            });
            (Conversion::Beir(options), settings)
        }
        ConvertSource::MsMarco(source) => msmarco(source)?,
        ConvertSource::Squad { data, titles } => {
            let options = SquadOptions::find(data, *titles)?;
            let settings = json!({
                "source": "squad",
                "titles": options.titles,
                "inputs": sizes(options.train.iter().chain(&options.dev))?,
            });
            (Conversion::Squad(options), settings)
        }
        ConvertSource::Pairs(options) => {
            let PairsOptions { query_field, document_field, validation_share, seed, .. } = options;
            if !(0.0..1.0).contains(validation_share) || *validation_share == 0.0 {
                let message =
                    format!("the share of validation is {validation_share}, not between 0 and 1");
                return Err(invalid(message));
            }
            let settings = json!({
                "source": "pairs",
                "query_field": query_field,
                "document_field": document_field,
                "format": options.format.map(|format| format.to_string()),
                "validation_share": validation_share,
                "seed": seed,
                "inputs": sizes(&options.files()?)?,
            });
            (Conversion::Pairs(options.clone()), settings)
        }
        ConvertSource::Join(dirs) => {
            let dirs = dirs.iter().map(|dir| full(dir)).collect::<Result<Vec<_>, Error>>()?;
            // What they were made with tells of changes.
            let made: Vec<_> = dirs.iter().map(|dir| made_with(dir)).collect();
            let settings = json!({"source": "join", "data": dirs, "made_with": made});
            (Conversion::Join(JoinOptions { dirs }), settings)
        }
    };
    Ok((Opened::Files(Box::new(conversion)), settings))
}

fn msmarco(source: &MsMarcoSource) -> Result<(Conversion, Value), Error> {
    let files = MsMarcoFiles::find(&source.data)?;
    let inputs = [
        &files.collection,
        &files.train_queries,
        &files.train_qrels,
        &files.dev_queries,
        &files.dev_qrels,
    ];
    let inputs = inputs.into_iter().chain(&source.triples).chain(&source.hard_negatives);
    let settings = json!({
        "source": "msmarco",
        "triples": source.triples,
        "hard_negatives": source.hard_negatives,
        "max_negatives_per_query": source.max_negatives,
        "validation_docs": source.validation_docs,
        "seed": source.seed,
        "inputs": sizes(inputs)?,
    });
    let options = MsMarcoOptions {
        files,
        triples: source.triples.clone(),
        hard_negatives: source.hard_negatives.clone(),
        max_negatives: source.max_negatives,
        validation_docs: source.validation_docs,
        seed: source.seed,
    };
    Ok((Conversion::MsMarco(options), settings))
}

/// The files of mMARCO, in a folder or fetched from the hub.
fn mmarco_files(source: &MmarcoSource, observer: &mut dyn Observer) -> Result<MmarcoFiles, Error> {
    let MmarcoSource { data, language, translation, .. } = source;
    let named = [&source.collection, &source.train_queries, &source.dev_queries, &source.triples];
    if let [Some(collection), Some(train_queries), Some(dev_queries), Some(triples)] =
        named.map(Clone::clone)
    {
        return Ok(MmarcoFiles { collection, train_queries, dev_queries, triples });
    }
    let dir = match data.is_dir() {
        true => data.clone(),
        false => {
            let wanted = MmarcoFiles::names(language, translation).into_iter().zip(named);
            let wanted: Vec<String> =
                wanted.filter(|(_, given)| given.is_none()).map(|(name, _)| name).collect();
            let name = data.to_string_lossy();
            resolve_dataset(&name, &wanted, &HubOptions::from_env()?, observer)?
        }
    };
    let given = named.map(Option::as_deref);
    Ok(MmarcoFiles::find(&dir, language, translation, given)?)
}
