//! Documents straight to a server.

use splade_export::push::{Client, ClientOptions, PushError, PushOptions, Pusher, Server};
use splade_io::{Event, FileError, Observer, counted};

use super::documents::{Content, Documents, Done, check_inputs};
use super::folder::{Exported, begin_folder};
use super::options::{ExportOptions, PushTarget};
use super::target::Chosen;
use super::terms::TermsOf;
use super::{folder, queries};
use crate::error::{Error, advised};
use crate::stream::Ended;

pub(super) fn run(
    options: &ExportOptions,
    terms: &TermsOf,
    chosen: &Chosen,
    push: &PushTarget,
    observer: &mut dyn Observer,
) -> Result<Exported, Error> {
    let Some(server) = chosen.server.as_deref() else {
        return Err(advised("this target is not a server", "leave out the address"));
    };
    let (out, target) = (&options.out, &chosen.target);
    if options.shard_rows.is_some() {
        return Err(advised(
            "--shard-rows is for files of documents",
            "with --push, give --batch-documents",
        ));
    }
    check_inputs(options, terms)?;
    begin_folder(options, target, &[])?;
    let client = Client::new(&push.url, client_options(server, push)?)?;
    let settings = PushOptions {
        index: push.index.clone(),
        documents: push.batch_documents,
        bytes: push.batch_bytes,
        resume: options.resume,
        append: push.append,
        settings: folder::settings(options, &chosen.settings, terms)?,
        tokens: terms.tokens().to_vec(),
    };
    let more = "go on with --resume";
    let mut pusher = keeping(
        if options.resume { more } else { "nothing is sent yet" },
        Pusher::open(out, &client, server, settings, observer),
    )?;
    if pusher.is_complete() {
        observer.event(Event::Note("all documents are there already"));
        return taken(&pusher, server, true);
    }
    let queries = queries::write(options, terms, target, observer)?;
    target.complete(out, &[])?;
    let (rows, last_id, content) = pusher.done();
    let (last_id, content) = (last_id.to_owned(), content.map(str::to_owned).map(Content::Chain));
    let done = (rows > 0).then_some(Done { rows, last_id, content }).into_iter().collect();
    let mut documents = Documents::open(options, terms, done);
    let ended = documents.each(observer, |row, id, vector, observer| {
        keeping(more, pusher.put(row, id, vector, observer))
    })?;
    if ended == Ended::Stopped {
        let done = pusher.pushed().documents;
        return Err(Error::Stopped {
            kept: format!("sent {}; {more}", counted(done, "documents")),
        });
    }
    let pushed = keeping(more, pusher.finish(observer))?;
    if let Some(document) = documents.example().filter(|_| options.queries.is_empty()) {
        queries::write_example(options, target, document)?;
    }
    let (url, count) = (&push.url, pushed.documents - pushed.rejected);
    observer.event(Event::Note(&format!(
        "{url}: sent {} to {}",
        counted(count, "documents"),
        push.index
    )));
    queries::tell_effect(&target.quantisation(), &queries, &documents, observer);
    taken(&pusher, server, false)
}

fn client_options(server: &dyn Server, push: &PushTarget) -> Result<ClientOptions, Error> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map_err(FileError::io("read", path)).map_err(Error::from)
    };
    let key = push.api_key.as_ref().filter(|key| !key.is_empty());
    let mut http = ClientOptions::http_from_env(push.ca_file.as_ref().map(read).transpose()?);
    http.retries = push.retries;
    Ok(ClientOptions { key: key.map(|key| server.key(key)), http })
}

/// How many documents the server has, or an error where it refused some.
fn taken(pusher: &Pusher<'_>, server: &dyn Server, was_complete: bool) -> Result<Exported, Error> {
    let pushed = pusher.pushed();
    match pushed.rejected {
        0 => Ok(Exported { documents: pushed.documents, was_complete }),
        count => {
            let rejects = pusher.rejects();
            let rejects = rejects.display();
            Err(advised(
                format!(
                    "the server refused {}; {rejects} has them with its reasons",
                    counted(count, "documents")
                ),
                format!(
                    "push the vectors in {rejects} again from another folder with {}",
                    server.append()
                ),
            ))
        }
    }
}

/// Says what is kept where the observer ended a wait.
fn keeping<T>(kept: &str, result: Result<T, PushError>) -> Result<T, Error> {
    result.map_err(|error| match error {
        PushError::Stopped => Error::Stopped { kept: kept.to_owned() },
        error => error.into(),
    })
}
