//! `light-splade convert`: training data out of what others publish.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use splade_data::DataError;
use splade_data::convert::{
    BeirOptions, Conversion, JoinOptions, MmarcoFiles, MmarcoOptions, MsMarcoFiles, MsMarcoOptions,
    SquadOptions, convert, made_with,
};
use splade_io::{Event, Observer};
use splade_model::hub::{HubOptions, resolve_dataset};

use crate::args::{ConvertCommand, MmarcoArgs, MsMarcoArgs, OutputArgs};
use crate::input::Position;
use crate::interrupt::{self, Interrupted};
use crate::progress::{Progress, Transfers, say};

pub(crate) fn run(command: &ConvertCommand) -> Result<()> {
    match command {
        ConvertCommand::Mmarco(args) => {
            let files = mmarco_files(args)?;
            let inputs =
                [&files.collection, &files.train_queries, &files.dev_queries, &files.triples];
            let mut settings = json!({
                "source": "mmarco",
                "for": args.purpose.to_string(),
                "seed": args.draw.seed,
                "inputs": sizes(inputs)?,
            });
            let max_negatives = args.draw.max_negatives_per_query;
            settings["max_negatives_per_query"] = max_negatives.into();
            let (purpose, seed) = (args.purpose.into(), args.draw.seed);
            let options = MmarcoOptions { files, purpose, max_negatives, seed };
            write(&Conversion::Mmarco(options), &settings, &args.output)
        }
        ConvertCommand::Beir(args) => {
            let settings = json!({
                "source": "beir",
                "data": full(&args.data)?,
                "train": args.train,
                "validation": args.validation,
                "judged_only": args.judged_only,
            });
            let options = BeirOptions {
                dir: args.data.clone(),
                train: args.train.clone(),
                validation: args.validation.clone(),
                judged_only: args.judged_only,
            };
            write(&Conversion::Beir(options), &settings, &args.output)
        }
        ConvertCommand::Msmarco(args) => msmarco(args),
        ConvertCommand::Squad(args) => {
            let options = SquadOptions::find(&args.data, !args.no_titles)?;
            let settings = json!({
                "source": "squad",
                "titles": options.titles,
                "inputs": sizes(options.train.iter().chain(&options.dev))?,
            });
            write(&Conversion::Squad(options), &settings, &args.output)
        }
        ConvertCommand::Join(args) => {
            let dirs = args.dirs.iter().map(|dir| full(dir)).collect::<Result<Vec<_>>>()?;
            // What they were made with tells of changes.
            let made: Vec<_> = dirs.iter().map(|dir| made_with(dir)).collect();
            let settings = json!({"source": "join", "data": dirs, "made_with": made});
            write(&Conversion::Join(JoinOptions { dirs }), &settings, &args.output)
        }
    }
}

fn msmarco(args: &MsMarcoArgs) -> Result<()> {
    let files = MsMarcoFiles::find(&args.data)?;
    let inputs = [
        &files.collection,
        &files.train_queries,
        &files.train_qrels,
        &files.dev_queries,
        &files.dev_qrels,
    ];
    let inputs = inputs.into_iter().chain(&args.triples).chain(&args.hard_negatives);
    let settings = json!({
        "source": "msmarco",
        "triples": args.triples,
        "hard_negatives": args.hard_negatives,
        "max_negatives_per_query": args.draw.max_negatives_per_query,
        "validation_docs": args.validation_docs,
        "seed": args.draw.seed,
        "inputs": sizes(inputs)?,
    });
    let options = MsMarcoOptions {
        files,
        triples: args.triples.clone(),
        hard_negatives: args.hard_negatives.clone(),
        max_negatives: args.draw.max_negatives_per_query,
        validation_docs: args.validation_docs,
        seed: args.draw.seed,
    };
    write(&Conversion::MsMarco(options), &settings, &args.output)
}

/// The files of mMARCO, in a folder or fetched from the hub.
fn mmarco_files(args: &MmarcoArgs) -> Result<MmarcoFiles> {
    let MmarcoArgs { data, language, translation, .. } = args;
    let named = [&args.collection, &args.train_queries, &args.dev_queries, &args.triples];
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
            let mut downloads = Transfers::new("fetching");
            let name = data.to_string_lossy();
            resolve_dataset(&name, &wanted, &HubOptions::from_env()?, &mut |progress| {
                downloads.show(progress);
            })?
        }
    };
    let given = named.map(Option::as_deref);
    Ok(MmarcoFiles::find(&dir, language, translation, given)?)
}

fn full(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("cannot open {}", path.display()))
}

/// Files with their sizes: of others the result would be another.
fn sizes<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<Value> {
    let mut sizes = json!({});
    for file in files {
        let path = full(file)?;
        let size = std::fs::metadata(&path).map(|data| data.len());
        let size = size.with_context(|| format!("cannot open {}", path.display()))?;
        sizes[path.to_string_lossy().as_ref()] = size.into();
    }
    Ok(sizes)
}

fn write(conversion: &Conversion, settings: &Value, output: &OutputArgs) -> Result<()> {
    let out = output.out.display();
    if output.resume
        && let Some(made_with) = made_with(&output.out)
    {
        if made_with != *settings {
            bail!("{out} was made of other files or with other settings; replace it with --force");
        }
        say(&format!("{out} is whole; nothing is to be done"));
        return Ok(());
    }
    // Not before: a download ends at once, and goes on the next time.
    interrupt::listen()?;
    let mut shown = Shown::default();
    let converted = convert(conversion, &output.out, settings, output.force, &mut shown);
    shown.clear();
    match converted {
        Ok(converted) => {
            converted.notes.iter().for_each(|note| say(note));
            say(&format!("{out} is whole"));
            Ok(())
        }
        Err(DataError::Stopped) => Err(Interrupted("nothing is kept".to_owned()).into()),
        Err(error) => Err(error.into()),
    }
}

/// Progress of one kind of work after the other.
#[derive(Default)]
struct Shown {
    /// What is counted, and how much of it is done.
    now: Option<(String, u64, Position, Progress)>,
}

impl Observer for Shown {
    fn event(&mut self, event: Event<'_>) {
        let Event::Progress(told) = event else { return };
        if self.now.as_ref().is_none_or(|(unit, ..)| unit != told.unit) {
            self.clear();
            let position = told.total.map_or_else(Position::default, Position::of);
            let progress = Progress::start(position.clone(), told.unit);
            self.now = Some((told.unit.to_owned(), 0, position, progress));
        }
        if let Some((_, done, position, progress)) = &mut self.now {
            let more = told.done.saturating_sub(*done);
            position.read(more);
            progress.add(more as usize, 0);
            *done = told.done;
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}

impl Shown {
    fn clear(&mut self) {
        if let Some((.., progress)) = self.now.take() {
            progress.clear();
        }
    }
}
