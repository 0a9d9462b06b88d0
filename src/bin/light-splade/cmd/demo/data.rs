//! The texts and questions of the demo: those that are built in, or another data set.

use std::path::PathBuf;

use anyhow::Result;
use light_splade::Observer;
use light_splade::data::dataset_folder;
use splade_eval::Dataset;
use splade_io::{NewFolder, counted, is_free, write_file};

use crate::args::DemoArgs;
use crate::cmd::advised;

/// The file that tells a folder of the demo from others.
const MARKER: &str = "demo.json";

/// The questions of the built-in texts that are asked: of the split `test`, in both languages, and ones
/// whose answers the model ranks higher than BM25 does. The tour says so, and measures both on all.
const QUESTIONS: [&str; 2] = [
    "花見でよく見られる桜の品種は、何と何を掛け合わせてできましたか",
    "Which South American country was Dutch before it became British?",
];

/// How many questions of another data set are asked.
const ASKED: usize = 2;

/// What the tour shows.
#[derive(Debug)]
pub(super) struct DemoData {
    /// The folder into which the tour writes.
    pub(super) out: PathBuf,
    /// The data set, as it is named on the command line.
    pub(super) set: PathBuf,
    /// The file or files of the documents.
    pub(super) documents: Vec<PathBuf>,
    /// The file or files of the questions.
    pub(super) queries: Vec<PathBuf>,
    /// Questions that are asked.
    pub(super) questions: Vec<String>,
    /// Whether the set is built in, which has a split for training.
    pub(super) is_built_in: bool,
    counts: [usize; 2],
}

impl DemoData {
    /// Writes the built-in texts into the folder of the demo, or finds another data set.
    pub(super) fn prepare(args: &DemoArgs, observer: &mut dyn Observer) -> Result<Self> {
        let out = args.output.clone();
        if !is_free(&out) && !args.overwrite.force {
            let what = format!("{} exists already", out.display());
            return Err(advised(
                what,
                "replace it with --force, or name another folder with --out",
            ));
        }
        let found = args.data.as_deref().map(|set| dataset_folder(set, observer)).transpose()?;
        let new = NewFolder::create(&out)?;
        if found.is_none() {
            for (name, content) in splade_demo_data::FILES {
                let path = new.path().join(name);
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                write_file(&path, content.as_bytes())?;
            }
        }
        let version = env!("CARGO_PKG_VERSION");
        let marker =
            format!("{{\"made_by\": \"light-splade demo\", \"version\": \"{version}\"}}\n");
        write_file(&new.path().join(MARKER), marker.as_bytes())?;
        new.replace(MARKER)?;
        let folder = found.unwrap_or_else(|| out.clone());
        let dataset = Dataset::open(&folder)?;
        let (documents, queries) = (dataset.documents(), dataset.queries());
        let (documents, queries) = (count(documents)?, count(queries)?);
        let is_built_in = args.data.is_none();
        let questions = match is_built_in {
            true => QUESTIONS.map(str::to_owned).to_vec(),
            false => first_questions(&dataset)?,
        };
        Ok(Self {
            set: args.data.clone().unwrap_or_else(|| out.clone()),
            documents: dataset.document_files().to_vec(),
            queries: dataset.query_files().to_vec(),
            out,
            questions,
            is_built_in,
            counts: [documents, queries],
        })
    }

    /// The lines above the first step.
    pub(super) fn introduction(&self) -> String {
        let [documents, queries] = self.counts;
        let what = format!("{} and {}", counted(documents, "texts"), counted(queries, "questions"));
        match self.is_built_in {
            true => format!(
                "{what} in Japanese and English, from Wikipedia (CC BY-SA) and The World Factbook,\n\
                 are in the folder {} now; its README.md names the sources.\n",
                self.out.display()
            ),
            false => format!("The data set {} has {what}.\n", self.set.display()),
        }
    }

    pub(super) fn index(&self) -> PathBuf {
        self.out.join("index")
    }
}

fn count(
    texts: impl Iterator<Item = Result<splade_eval::Text, splade_eval::EvalError>>,
) -> Result<usize> {
    let mut count = 0;
    for text in texts {
        text?;
        count += 1;
    }
    Ok(count)
}

/// The first questions of a data set that are judged.
fn first_questions(dataset: &Dataset) -> Result<Vec<String>> {
    let qrels = dataset.qrels(None)?;
    let mut questions = Vec::new();
    for query in dataset.queries() {
        let query = query?;
        if qrels.get(&query.id).is_some() {
            questions.push(query.text);
        }
        if questions.len() == ASKED {
            break;
        }
    }
    Ok(questions)
}
