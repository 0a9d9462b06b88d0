//! Runs one command as a process of its own and keeps what it said.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::plan::Step;
use super::record::Record;
use crate::interrupt::{self, Interrupted};
use crate::progress::say;

/// Between two looks at the process.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Endings of an output's name under which its command keeps it until it is whole.
const UNFINISHED: [&str; 3] = [".partial", ".partial.json", ".parts"];

/// Gives what a run with other settings made, whole or not, other names: nothing is lost, and the
/// command finds nothing to go on with.
pub(super) fn move_aside(step: &Step) -> Result<()> {
    for output in &step.outputs {
        for ending in std::iter::once("").chain(UNFINISHED) {
            let path = beside(output, ending);
            if is_there(&path) {
                let old = old_name(&path);
                std::fs::rename(&path, &old).with_context(|| {
                    format!("cannot move {} to {}", path.display(), old.display())
                })?;
            }
        }
    }
    Ok(())
}

/// The first of `PATH.old`, `PATH.old.2`, `PATH.old.3` … that is free.
fn old_name(path: &Path) -> PathBuf {
    let (mut old, mut number) = (beside(path, ".old"), 1);
    while is_there(&old) {
        number += 1;
        old = beside(path, &format!(".old.{number}"));
    }
    old
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    // Behind a slash at the end it would be a name inside.
    let mut name = path.components().collect::<PathBuf>().into_os_string();
    name.push(ending);
    name.into()
}

/// Links that lead nowhere are there, too.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Runs a step; `record` is its record as it begins, and has the time and memory of what was done
/// before if it `goes_on`. Its log is `steps/NAME.log`.
pub(super) fn run(step: &Step, mut record: Record, goes_on: bool, folder: &Path) -> Result<Record> {
    record.write(folder, &step.name)?;
    for output in step.outputs.iter().filter_map(|path| path.parent()) {
        std::fs::create_dir_all(output)
            .with_context(|| format!("cannot make {}", output.display()))?;
    }
    let log = folder.join(format!("{}.log", step.name));
    let log = open_log(&log, goes_on).with_context(|| format!("cannot write {}", log.display()))?;
    let aside = step.stdout.as_deref().map(splade_sparse::files::aside);
    let stdout = match &aside {
        None => Stdio::from(log.try_clone().context("cannot write the log")?),
        Some(aside) => {
            File::create(aside).with_context(|| format!("cannot write {}", aside.display()))?.into()
        }
    };
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    command.args(&step.command).stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    // Ctrl-C reaches this process alone, which passes it on once: a second one would end the step
    // before it has saved what it did.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let start = Instant::now();
    let mut child = command.spawn().context("cannot start this program again")?;
    let stderr = child.stderr.take().context("the step's messages cannot be read")?;
    let listener = std::thread::spawn(move || repeat(stderr, log));
    let (status, peak_mib) = wait(&mut child)?;
    let said = listener.join();
    record.add(start.elapsed().as_secs_f64(), peak_mib);
    if !status.success() {
        record.write(folder, &step.name)?;
        if interrupt::asked() {
            let how = "the same command goes on with this step".to_owned();
            return Err(Interrupted(how).into());
        }
        bail!("the step failed ({status})");
    }
    said.map_err(|_| anyhow::anyhow!("the step's messages cannot be read"))??;
    if let Some(path) = &step.stdout {
        splade_sparse::files::sync_and_rename(path)?;
    }
    if let Some(path) = step.outputs.iter().find(|path| !path.exists()) {
        bail!("the step did not make {}, which is in its outputs", path.display());
    }
    let record = record.done(step)?;
    record.write(folder, &step.name)?;
    Ok(record)
}

/// Waits for the end, passes Ctrl-C on, and follows the peak of memory.
fn wait(child: &mut Child) -> Result<(std::process::ExitStatus, Option<f64>)> {
    let (mut peak, mut told) = (None, false);
    loop {
        if let Some(status) = child.try_wait().context("the step was lost")? {
            return Ok((status, peak));
        }
        peak = peak_mib(child.id()).or(peak);
        if interrupt::asked() && !told {
            told = true;
            interrupt(child)?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(unix)]
fn interrupt(child: &mut Child) -> Result<()> {
    let pid = libc::pid_t::try_from(child.id()).context("cannot stop the step")?;
    // SAFETY: no memory is involved. The process was not waited for: its number is no other's.
    #[allow(unsafe_code, reason = "a call of the system")]
    let result = unsafe { libc::kill(pid, libc::SIGINT) };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()).context("cannot stop the step"),
    }
}

#[cfg(not(unix))]
fn interrupt(child: &mut Child) -> Result<()> {
    child.kill().context("cannot stop the step")
}

/// Linux alone tells.
fn peak_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}

/// Empties the log of a step that begins anew.
fn open_log(path: &Path, goes_on: bool) -> std::io::Result<File> {
    if !goes_on {
        File::create(path)?;
    }
    File::options().create(true).append(true).open(path)
}

/// Says what the step says and keeps it.
fn repeat(stderr: impl std::io::Read, mut log: File) -> Result<()> {
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.context("the step's messages cannot be read")?;
        let line = String::from_utf8_lossy(&line);
        say(&format!("  {line}"));
        writeln!(log, "{line}").context("cannot write the log")?;
    }
    Ok(())
}
