//! Tests of retries, and of observers that ask to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use splade_http::{Again, Content, HttpError, Request};
use splade_io::{Event, Observer};

use crate::servers::{Server, dead_port, ok};
use crate::{http, request, text};

/// An observer that keeps notes, and asks to stop when it has been asked a number of times.
#[derive(Default)]
struct Watcher {
    notes: Vec<String>,
    progress: Vec<(String, u64, Option<u64>)>,
    patience: Option<usize>,
}

impl Observer for Watcher {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Note(note) => self.notes.push(note.to_owned()),
            Event::Progress(at) => self.progress.push((at.unit.to_owned(), at.done, at.total)),
            _ => {}
        }
    }

    fn stop(&mut self) -> bool {
        match &mut self.patience {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

/// Starts a server that answers with a status a number of times before it succeeds.
fn busy(status: u16, times: usize, retry_after: &'static str) -> Server {
    let count = Arc::new(AtomicUsize::new(0));
    Server::start(move |_| match count.fetch_add(1, Ordering::Relaxed) < times {
        true => (status, vec![("Retry-After", retry_after.to_owned())], "busy".to_owned()),
        false => ok("done"),
    })
}

#[test]
fn busy_servers_are_asked_again() {
    for (again, status, times, retry_after, expected, requests) in [
        (Again::Busy, 429, 2, "0", "done", 3),
        (Again::Busy, 503, 2, "0", "done", 3),
        (Again::Busy, 500, 1, "0", "busy", 1),
        (Again::Failed, 500, 2, "", "done", 3),
        (Again::Failed, 503, 3, "", "busy", 3),
        (Again::Never, 503, 1, "0", "busy", 1),
        (Again::Always, 404, 1, "0", "busy", 1),
        // Nobody waits for an hour without being asked.
        (Again::Always, 429, 1, "3600", "busy", 1),
    ] {
        let (server, mut watcher) = (busy(status, times, retry_after), Watcher::default());
        let request = Request { again, ..request("GET", &server.url("/")) };
        let answer = http(&[]).call(&request, &mut watcher).expect("answered");
        assert_eq!(
            (text(answer).as_str(), server.seen().len()),
            (expected, requests),
            "{again:?} {status}"
        );
        assert_eq!(watcher.notes.len(), requests - 1);
        let note = format!("http://127.0.0.1:{} answered {status}; next try in 0.0 s", server.port);
        assert!(watcher.notes.iter().all(|told| *told == note), "{:?}", watcher.notes);
    }
}

#[test]
fn servers_without_an_answer() {
    let url = format!("http://127.0.0.1:{}/", dead_port());
    for (again, tries) in [(Again::Failed, 0), (Again::Always, 2)] {
        let mut watcher = Watcher::default();
        let request = Request { again, ..request("GET", &url) };
        let error = http(&[]).call(&request, &mut watcher).expect_err("nobody").to_string();
        let expected = format!("{} does not answer: ", url.trim_end_matches('/'));
        assert!(error.starts_with(&expected) && error.contains("refused"), "{error}");
        assert_eq!(watcher.notes.len(), tries);
    }
}

/// An observer is heard while the server is silent, and while the client waits to try again.
#[test]
fn stops_are_heard() {
    let (silent, slow) = (Server::start_silent(), busy(503, 9, "100"));
    for url in [silent.url("/"), slow.url("/")] {
        for content in [Content::None, Content::Bytes(b"x"[..].into())] {
            let mut watcher = Watcher { patience: Some(2), ..Watcher::default() };
            let request = Request { content, ..request("POST", &url) };
            let error = http(&[]).call(&request, &mut watcher).expect_err("stopped");
            assert_eq!(error, HttpError::Stopped);
        }
    }
    let answer =
        http(&[]).call(&request("GET", &busy(503, 0, "").url("/")), &mut ()).expect("answered");
    let mut watcher = Watcher { patience: Some(0), ..Watcher::default() };
    assert_eq!(answer.bytes(9, &mut watcher).expect_err("stopped"), HttpError::Stopped);
}

#[test]
fn files_are_sent_with_progress() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, size) = (folder.path().join("weights"), 300_000);
    std::fs::write(&path, vec![7; size as usize]).expect("written");
    let (server, mut watcher) = (busy(500, 1, ""), Watcher::default());
    let content = Content::File { path, size, name: "weights".to_owned() };
    let request = Request { content, ..request("PUT", &server.url("/")) };
    let answer = http(&[]).call(&request, &mut watcher).expect("sent");
    assert_eq!(text(answer), "done");
    assert!(server.seen().iter().all(|seen| seen.body.len() == size as usize));
    assert_eq!(watcher.progress.last(), Some(&("weights".to_owned(), size, Some(size))));

    let path = folder.path().join("missing");
    let content = Content::File { path, size, name: "missing".to_owned() };
    let request = Request { content, ..request };
    let error = http(&[]).call(&request, &mut ()).expect_err("no file").to_string();
    assert!(error.contains("missing: No such file"), "{error}");
}
