//! Runs the commands of a page in one shell, in a fresh folder, as a reader would who pastes them
//! from the first to the last.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::page::{Block, Page};

/// The folders of the repository that a page may read.
const OF_A_CLONE: [&str; 8] =
    ["LICENSE", "config", "crates", "data", "docs", "examples", "models", "scripts"];
/// Longer than any page takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(900);
/// The address in pages; each page gets a port of its own instead.
const PORT: &str = "3000";

/// Programs that pages use and that a machine may lack.
const TOOLS: [&str; 2] = ["curl", "jq"];

/// A command of a page.
#[derive(Debug)]
pub(super) struct Step {
    /// The command as the shell gets it; empty for a file that is written.
    command: String,
    /// The index of the command's first line in the page.
    pub(super) line: usize,
    /// The shown output: index of its first line, and number of lines.
    pub(super) shown: (usize, usize),
    pub(super) indent: usize,
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The exit code, or `None` for a command that did not run because the page took too long.
    pub(super) code: Option<i32>,
    /// Standard output and standard error, in the order in which they were written.
    pub(super) printed: String,
}

/// Returns the commands of the blocks that are run, in their order.
pub(super) fn steps(page: &Page) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for block in page.blocks.iter().filter(|block| block.skip.is_none()) {
        match (&block.file, block.language.as_str()) {
            (Some(name), _) => steps.push(file(page, block, name)),
            (None, "sh") => steps.push(Step {
                command: page.text(block).join("\n"),
                line: block.first,
                shown: (block.first + block.len, 0),
                indent: block.indent,
            }),
            (None, "console") => console(page, block, &mut steps)?,
            _ => {}
        }
    }
    Ok(steps)
}

fn file(page: &Page, block: &Block, name: &str) -> Step {
    let end = "end-of-the-file-that-the-page-shows";
    let folder = Path::new(name).parent().map(|folder| folder.display().to_string());
    let folder = folder.filter(|folder| !folder.is_empty()).unwrap_or_else(|| ".".to_owned());
    let text = page.text(block).join("\n");
    Step {
        command: format!("mkdir -p '{folder}'; cat >'{name}' <<'{end}'\n{text}\n{end}"),
        line: block.first,
        shown: (block.first + block.len, 0),
        indent: block.indent,
    }
}

/// Splits a block into commands, which begin with `$ `, and the lines that follow each of them, its
/// output. A command goes on in the next line if the line ends with `\` or a quote is open.
fn console(page: &Page, block: &Block, steps: &mut Vec<Step>) -> Result<(), String> {
    let mut goes_on = false;
    let first = steps.len();
    for (at, line) in page.text(block).into_iter().enumerate() {
        let at = block.first + at;
        match (line.strip_prefix("$ "), steps.get_mut(first..).and_then(<[Step]>::last_mut)) {
            (None, Some(step)) if goes_on => {
                step.command = format!("{}\n{line}", step.command);
                step.shown.0 = at + 1;
                goes_on = is_open(&step.command);
            }
            (Some(command), _) => {
                goes_on = is_open(command);
                let command = command.to_owned();
                steps.push(Step { command, line: at, shown: (at + 1, 0), indent: block.indent });
            }
            (None, Some(step)) => step.shown.1 += 1,
            (None, None) => {
                return Err(format!(
                    "{}:{}: a console block begins with a command: $ …",
                    page.path.display(),
                    at + 1
                ));
            }
        }
    }
    Ok(())
}

fn is_open(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// Returns a program that the commands need and that is not on the PATH: the tests of this repository
/// need a Rust toolchain only, and skip what needs more.
pub(super) fn missing_tool(steps: &[Step]) -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |tool: &str| std::env::split_paths(&path).any(|one| one.join(tool).is_file());
    let is_used = |tool: &str| {
        let mut words = steps.iter().flat_map(|step| step.command.split_whitespace());
        words.any(|word| word == tool)
    };
    TOOLS.into_iter().find(|tool| is_used(tool) && !is_there(tool))
}

/// Runs the commands and returns what each did.
pub(super) fn run(root: &Path, page: &Page, steps: &[Step]) -> Result<Vec<Outcome>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", page.path.display());
    let folder = tempfile::tempdir().map_err(failed)?;
    let (work, results) = (folder.path().join("work"), folder.path().join("results"));
    fs::create_dir(&work).and_then(|()| fs::create_dir(&results)).map_err(failed)?;
    for name in OF_A_CLONE {
        std::os::unix::fs::symlink(root.join(name), work.join(name)).map_err(failed)?;
    }
    let port = free_port().map_err(failed)?;
    let with_port = |text: &str, from: &str, to: &str| {
        text.replace(&format!("127.0.0.1:{from}"), &format!("127.0.0.1:{to}"))
    };
    let mut script = String::from("cd work\n");
    for (number, step) in steps.iter().enumerate() {
        let command = with_port(&step.command, PORT, &port);
        // The ERR trap sees every failing command of a block, not only the last one.
        let _ = writeln!(script, "code=0; trap 'code=$?' ERR");
        let _ = writeln!(script, "{{\n{command}\n}} </dev/null >../results/{number} 2>&1");
        if command.ends_with('&') {
            let health = format!("curl -sf http://127.0.0.1:{port}/health");
            let _ = writeln!(script, "for _ in {{1..300}}; do {health} && break; sleep 0.1; done");
        }
        let _ = writeln!(script, "trap - ERR; echo $code >../results/{number}.code");
    }
    script.push_str("kill $(jobs -p) 2>/dev/null; wait\n");
    fs::write(folder.path().join("script"), script).map_err(failed)?;
    shell(folder.path(), &port).map_err(failed)?;
    let outcome = |number: usize| {
        let read = |name: String| fs::read(results.join(name)).ok();
        let code = read(format!("{number}.code"));
        let printed = read(number.to_string()).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        Outcome {
            code: code.and_then(|code| String::from_utf8_lossy(&code).trim().parse().ok()),
            printed: with_port(&printed, &port, PORT),
        }
    };
    Ok((0..steps.len()).map(outcome).collect())
}

/// Runs the script of a page with the program on the PATH and nothing of this process's settings.
fn shell(folder: &Path, port: &str) -> std::io::Result<()> {
    let program = Path::new(env!("CARGO_BIN_EXE_light-splade"));
    let programs = program.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command.arg("script").current_dir(folder).stdin(Stdio::null());
    command.env("PATH", format!("{programs}:{path}")).env("PORT", port);
    // Pages say when they need the network; this one is not there.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LIGHT_SPLADE")) {
        command.env_remove(name);
    }
    // A group of its own, so that a page that takes too long ends with all that it started.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Returns a port that was free a moment ago.
fn free_port() -> std::io::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string())
}
