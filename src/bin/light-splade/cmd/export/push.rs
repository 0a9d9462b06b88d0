//! `light-splade export … --push`: documents straight to a server.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use splade_export::Target;
use splade_export::push::{Client, ClientOptions, PushError, PushOptions, Pusher, Server};
use splade_io::{Event, Observer};

use super::documents::{Documents, check_inputs};
use super::queries;
use super::terms::TermsOf;
use crate::args::{IndexArgs, PushArgs, VectorsArgs};
use crate::interrupt::{self, Interrupted};
use crate::progress::say;
use light_splade::Ended;

pub(super) fn run(
    args: &VectorsArgs,
    terms: &TermsOf,
    (target, server): (&Target, &dyn Server),
    (url, names, push): (&str, &IndexArgs, &PushArgs),
    options: &Value,
) -> Result<()> {
    if args.shard_rows.is_some() {
        bail!("--shard-rows is for files of documents; with --push give --batch-documents");
    }
    check_inputs(args, terms)?;
    let client = Client::new(url, client_options(server, push)?)?;
    let options = PushOptions {
        index: names.index.clone(),
        documents: push.batch_documents as usize,
        bytes: push.batch_bytes,
        resume: args.resume,
        append: push.append,
        settings: super::settings(args, options),
        tokens: terms.tokens().to_vec(),
    };
    let more = "go on with --resume";
    let mut pusher = stopped_is_interrupted(
        Pusher::open(&args.out, &client, server, options, &mut Terminal),
        if args.resume { more } else { "nothing is sent yet" },
    )?;
    if pusher.is_complete() {
        say("all documents are there already");
        return refused(&pusher, server);
    }
    let queries = queries::write(args, terms, target)?;
    target.complete(&args.out, &[])?;
    let (rows, last_id) = pusher.done();
    let done = if rows > 0 { vec![(rows, last_id.to_owned())] } else { Vec::new() };
    let mut documents = Documents::open(args, terms, done);
    let ended = documents.each(|row, id, vector| {
        stopped_is_interrupted(pusher.put(row, id, vector, &mut Terminal), more)
    })?;
    if ended == Ended::Stopped {
        let done = pusher.pushed().documents;
        return Err(Interrupted(format!("{done} documents are done; {more}")).into());
    }
    let pushed = stopped_is_interrupted(pusher.finish(&mut Terminal), more)?;
    if let Some(document) = documents.example().filter(|_| args.queries.is_empty()) {
        queries::write_example(args, target, document)?;
    }
    say(&format!("{url}: {} documents are in {}", pushed.documents - pushed.rejected, names.index));
    queries::say_effect(&target.quantisation(), &queries, &documents);
    refused(&pusher, server)
}

fn client_options(server: &dyn Server, push: &PushArgs) -> Result<ClientOptions> {
    let read = |path| {
        std::fs::read(path)
            .with_context(|| format!("cannot read {}", std::path::Path::display(path)))
    };
    let key = push.api_key.as_ref().filter(|key| !key.0.is_empty());
    Ok(ClientOptions {
        key: key.map(|key| server.key(&key.0)),
        authorities: push.ca_file.as_deref().map(read).transpose()?,
        retries: push.retries,
        ..ClientOptions::default()
    })
}

/// A failure, if the server refused documents.
fn refused(pusher: &Pusher<'_>, server: &dyn Server) -> Result<()> {
    match pusher.pushed().rejected {
        0 => Ok(()),
        count => bail!(
            "the server refused {count} documents; they are with its reasons in {}, which can be \
             pushed as --vectors from another folder with {}",
            pusher.rejects().display(),
            server.append()
        ),
    }
}

fn stopped_is_interrupted<T>(result: Result<T, PushError>, more: &str) -> Result<T> {
    result.map_err(|error| match error {
        PushError::Stopped => Interrupted(more.to_owned()).into(),
        error => error.into(),
    })
}

/// Waits are told to the person, and Ctrl-C ends them.
struct Terminal;

impl Observer for Terminal {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Note(message) = event {
            say(message);
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::asked()
    }
}
