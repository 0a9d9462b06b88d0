//! Runs one command as a process of its own and keeps what it said.
//!
//! The process ends with the pipeline: on Linux it is sent SIGTERM when the pipeline dies, however
//! that happens, saves what it has, and ends. Until then it holds the pipeline's lock.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use splade_io::{Event, NewFile, Observer};

use super::lock::Lock;
use super::plan::Step;
use super::record::Record;
use crate::error::{Error, invalid};

/// Between two looks at the process.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The ending of the folder in which commands keep the finished parts of an output.
const UNFINISHED: &str = ".parts";

/// Gives what a run with other settings made, whole or not, other names: nothing is lost, and the
/// command finds nothing to go on with.
pub(super) fn move_aside(step: &Step) -> Result<(), Error> {
    for output in &step.outputs {
        for ending in ["", UNFINISHED] {
            rename_aside(&beside(output, ending))?;
        }
    }
    Ok(())
}

/// Does so with what has its final name, for commands that would refuse to overwrite it.
pub(super) fn move_finished_aside(step: &Step) -> Result<(), Error> {
    step.outputs.iter().try_for_each(|output| rename_aside(output))
}

/// Does so with the file for standard output, which would be overwritten without a word.
pub(super) fn move_stdout_aside(step: &Step) -> Result<(), Error> {
    step.stdout.iter().try_for_each(|output| rename_aside(output))
}

/// Gives what stands at a path another name.
fn rename_aside(path: &Path) -> Result<(), Error> {
    let path = &beside(path, "");
    // A device or a pipe holds nothing.
    let special =
        |path: &Path| path.metadata().is_ok_and(|found| crate::output_guard::is_special(&found));
    if is_there(path) && !special(path) {
        std::fs::rename(path, old_name(path)).map_err(Error::io("move aside", path))?;
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

/// A step that is to run, and where.
pub(super) struct Run<'a> {
    pub(super) step: &'a Step,
    pub(super) program: &'a Path,
    /// The folder of records and logs.
    pub(super) folder: &'a Path,
    pub(super) lock: &'a mut Lock,
    pub(super) observer: &'a mut dyn Observer,
}

impl Run<'_> {
    /// Runs the step; `record` is its record as it begins, and has the time and memory of what was
    /// done before if it `goes_on`. Its log is `steps/NAME.log`.
    pub(super) fn run(&mut self, mut record: Record, goes_on: bool) -> Result<Record, Error> {
        let (step, folder) = (self.step, self.folder);
        record.write(folder, &step.name)?;
        for output in step.outputs.iter().filter_map(|path| path.parent()) {
            std::fs::create_dir_all(output).map_err(Error::io("make", output))?;
        }
        let path = folder.join(format!("{}.log", step.name));
        let log = open_log(&path, goes_on).map_err(Error::io("write", &path))?;
        let stdout = step.stdout.as_deref().map(NewFile::create).transpose()?;
        let sink = match &stdout {
            None => log.try_clone(),
            Some(file) => File::options().append(true).open(file.temporary_path()),
        };
        let sink = sink.map_err(Error::io("write", step.stdout.as_deref().unwrap_or(&path)))?;
        let start = Instant::now();
        let mut child = self.start(sink)?;
        self.lock.held_by(&step.name, child.id())?;
        let stderr = child.stderr.take().expect("it is piped: this is a bug");
        let (say, said) = channel();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n') {
                let line = line?;
                _ = say.send(String::from_utf8_lossy(&line).into_owned());
            }
            Ok::<(), std::io::Error>(())
        });
        let ended = self.wait(&mut child, &said, &log, &path);
        let (status, peak_mib) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                // Nobody would hear it any more.
                _ = child.kill();
                _ = child.wait();
                return Err(error);
            }
        };
        record.add(start.elapsed().as_secs_f64(), peak_mib);
        if !status.success() {
            let stopped = self.observer.stop();
            // What a failed command has left is not taken for its result.
            record.began_empty &= stopped;
            record.write(folder, &step.name)?;
            return Err(match stopped {
                true => {
                    Error::Stopped { kept: "the same command goes on with this step".to_owned() }
                }
                false => Error::StepFailed { status },
            });
        }
        let unreadable = |source| Error::Step { doing: "read the messages of", source };
        let panicked = |_| unreadable(std::io::Error::other("the thread of the messages panicked"));
        listener.join().map_err(panicked)?.map_err(unreadable)?;
        if let Some(file) = stdout {
            file.commit()?;
        }
        if let Some(path) = step.outputs.iter().find(|path| !path.exists()) {
            return Err(invalid(format!(
                "the step did not make {}, which is in its outputs",
                path.display()
            )));
        }
        self.record_done(record)
    }

    /// Records that the step is done.
    pub(super) fn record_done(&self, record: Record) -> Result<Record, Error> {
        let record = record.done(self.step)?;
        record.write(self.folder, &self.step.name)?;
        Ok(record)
    }

    /// Starts the process of the step.
    fn start(&self, stdout: File) -> Result<Child, Error> {
        let mut command = Command::new(self.program);
        command.args(&self.step.command).stdin(Stdio::null());
        command.stdout(stdout).stderr(Stdio::piped());
        #[cfg(unix)]
        tie(&mut command, self.lock.descriptor());
        command.spawn().map_err(Error::io("start the program", self.program))
    }

    /// Waits for the end, tells what the step says, passes a stop on, and follows the peak of
    /// memory.
    fn wait(
        &mut self,
        child: &mut Child,
        said: &Receiver<String>,
        mut log: &File,
        path: &Path,
    ) -> Result<(ExitStatus, Option<f64>), Error> {
        let (mut peak, mut told, mut last_look) = (None, false, Instant::now());
        let (mut status, mut open) = (None, true);
        // Everything that was said is told before the end.
        while status.is_none() || open {
            match said.recv_timeout(LOOK_EVERY) {
                Ok(line) => {
                    self.observer.event(Event::Note(&format!("  {line}")));
                    writeln!(log, "{line}").map_err(Error::io("write", path))?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if open => open = false,
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
            }
            if status.is_none() && (!open || last_look.elapsed() >= LOOK_EVERY) {
                last_look = Instant::now();
                peak = peak_mib(child.id()).or(peak);
                if !told && self.observer.stop() {
                    told = true;
                    interrupt(child).map_err(|source| Error::Step { doing: "stop", source })?;
                }
                let ended = child.try_wait();
                status = ended.map_err(|source| Error::Step { doing: "wait for", source })?;
            }
        }
        let status = status.expect("the loop ends with a status: this is a bug");
        Ok((status, peak))
    }
}

/// Ties the process of a step to this one: it has a process group of its own, inherits the lock, and
/// is told when this process dies.
#[cfg(unix)]
fn tie(command: &mut Command, lock: std::os::fd::RawFd) {
    use std::os::unix::process::CommandExt;
    // Ctrl-C reaches this process alone, which passes it on once: a second one would end the step
    // before it has saved what it did.
    command.process_group(0);
    #[cfg(target_os = "linux")]
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: the calls take numbers only and are allowed between fork and exec. The descriptor
        // is open in this process until the command has been started.
        #[allow(unsafe_code, reason = "calls of the system")]
        unsafe {
            if libc::fcntl(lock, libc::F_SETFD, 0) == -1 {
                return Err(std::io::Error::last_os_error());
            }
            #[cfg(target_os = "linux")]
            {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                // The parent may have died before the call.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    return Err(std::io::Error::from_raw_os_error(libc::ESRCH));
                }
            }
        }
        Ok(())
    };
    // SAFETY: the closure neither allocates nor takes locks; see above.
    #[allow(unsafe_code, reason = "a call of the system")]
    unsafe {
        command.pre_exec(prepare);
    }
}

#[cfg(unix)]
fn interrupt(child: &mut Child) -> std::io::Result<()> {
    let pid = libc::pid_t::try_from(child.id()).map_err(std::io::Error::other)?;
    // SAFETY: no memory is involved. The process was not waited for: its number is no other's.
    #[allow(unsafe_code, reason = "a call of the system")]
    let result = unsafe { libc::kill(pid, libc::SIGINT) };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(not(unix))]
fn interrupt(child: &mut Child) -> std::io::Result<()> {
    child.kill()
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
