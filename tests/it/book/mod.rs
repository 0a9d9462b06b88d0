//! The documentation is true: its commands run and print what the pages show, its links lead
//! somewhere, and the pages that describe the code say what the code says.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --test it book` writes what commands print into the pages, and
//! the generated pages anew. docs/contributing/documentation.md has the rules for pages.

mod errors;
#[cfg(feature = "serve")]
mod http;
mod links;
mod page;
mod settings;
#[cfg(unix)]
mod shell;
mod shown;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use page::Page;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn updates() -> bool {
    std::env::var_os("UPDATE_SNAPSHOTS").is_some()
}

/// The pages with blocks that are run: the README in both languages and the pages of the book.
fn pages() -> Vec<PathBuf> {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("the contents");
    let links = summary.split("](").skip(1).filter_map(|link| link.split_once(')'));
    let of_book = links.map(|(path, _)| Path::new("docs").join(path));
    ["README.md", "README.ja.md"].into_iter().map(PathBuf::from).chain(of_book).collect()
}

/// Compares a generated page with its file, or writes the file if `UPDATE_SNAPSHOTS` is set.
fn is_generated(path: &str, text: &str) {
    let file = root().join(path);
    if updates() {
        fs::write(&file, text).expect("written");
        return;
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = there.lines().zip(text.lines()).find(|(old, new)| old != new);
    assert!(
        there == text,
        "{path} is not what the code says ({differs:?}); UPDATE_SNAPSHOTS=1 writes it anew"
    );
}

/// Every page is in the contents of the book, so that it is found and read by these tests. The records of
/// decisions are read in the repository.
#[test]
fn the_contents_are_complete() {
    let named = pages();
    let missing: Vec<_> = links::markdown_files(&root().join("docs"))
        .into_iter()
        .filter(|path| !path.ends_with("SUMMARY.md") && !path.starts_with("docs/decisions"))
        .filter(|path| !named.contains(path))
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md lacks {missing:?}");
}

/// Every command of a page succeeds and prints what the page shows.
#[cfg(unix)]
#[test]
fn commands_print_what_the_pages_show() {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let only = std::env::var("BOOK_PAGE").ok();
    let mut pages = pages();
    pages.retain(|path| only.as_ref().is_none_or(|name| path.to_string_lossy().contains(name)));
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (run, skipped) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<String, usize>::new()));
    let work = || {
        while let Some(path) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let page = match Page::read(root(), path) {
                Ok(page) => page,
                Err(problem) => {
                    failures.lock().expect("not poisoned").push(problem);
                    continue;
                }
            };
            for reason in page.blocks.iter().filter_map(|block| block.skip.clone()) {
                *skipped.lock().expect("not poisoned").entry(reason).or_default() += 1;
            }
            let steps = shell::steps(&page).unwrap_or_default();
            if let Some(tool) = shell::missing_tool(&steps) {
                let reason = format!("{tool} is not on this machine (pages)");
                *skipped.lock().expect("not poisoned").entry(reason).or_default() += 1;
                continue;
            }
            match check(page) {
                Ok(steps) => _ = run.fetch_add(steps, Ordering::Relaxed),
                Err(problems) => failures.lock().expect("not poisoned").extend(problems),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads.min(4) {
            scope.spawn(work);
        }
    });
    // Not `eprintln`, which is only shown when a test fails.
    let said = format!("book: {} commands and files\n", run.into_inner());
    let reasons = skipped.into_inner().expect("not poisoned");
    let lines = reasons.iter().map(|(reason, count)| format!("book: {count} not run: {reason}\n"));
    let said: String = std::iter::once(said).chain(lines).collect();
    std::io::stderr().write_all(said.as_bytes()).expect("said");
    let failures = failures.into_inner().expect("not poisoned");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs the commands of a page and returns how many there were. Writes what they print into the page
/// if `UPDATE_SNAPSHOTS` is set.
#[cfg(unix)]
fn check(mut page: Page) -> Result<usize, Vec<String>> {
    let steps = shell::steps(&page).map_err(|problem| vec![problem])?;
    if steps.is_empty() {
        return Ok(0);
    }
    let outcomes = shell::run(root(), &page, &steps).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut changed = false;
    // From the end, so that the places of the earlier ones stay.
    for (step, outcome) in steps.iter().zip(&outcomes).rev() {
        let (first, len) = step.shown;
        let place = format!("{}:{}", page.path.display(), step.line + 1);
        let printed: Vec<&str> = outcome.printed.lines().collect();
        let shown: Vec<&str> = page.lines[first..first + len]
            .iter()
            .map(|line| line.get(step.indent..).unwrap_or_default())
            .collect();
        if outcome.code != Some(0) {
            let code = outcome
                .code
                .map_or("did not run to its end".to_owned(), |code| format!("ended with {code}"));
            problems.push(format!("{place}: the command {code}\n{}", outcome.printed));
        } else if !shown.is_empty() && !shown::matches(&shown, &printed) {
            match shown::renewed(&shown, &printed).filter(|_| updates()) {
                Some(lines) => {
                    let indent = " ".repeat(step.indent);
                    let lines = lines.iter().map(|line| format!("{indent}{line}"));
                    drop(page.lines.splice(first..first + len, lines));
                    changed = true;
                }
                None => problems.push(format!("{place}: the command prints\n{}", outcome.printed)),
            }
        }
    }
    if changed {
        let text = page.lines.join("\n") + "\n";
        fs::write(root().join(&page.path), text).expect("written");
    }
    problems.reverse();
    if problems.is_empty() { Ok(steps.len()) } else { Err(problems) }
}

/// Rustdoc runs the Rust blocks of the pages that the library includes.
#[test]
fn rust_blocks_are_run_by_rustdoc() {
    let library = fs::read_to_string(root().join("src/lib.rs")).expect("the library");
    for path in pages() {
        let page = Page::read(root(), &path).unwrap_or_else(|problem| panic!("{problem}"));
        let has_rust = page.blocks.iter().any(|block| block.language == "rust");
        let included = library.contains(&format!("include_str!(\"../{}\")", path.display()));
        assert_eq!(has_rust, included, "{}: src/lib.rs includes it", path.display());
    }
}
