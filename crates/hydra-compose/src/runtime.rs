//! Hydra's own settings as far as they are implemented: the output folders of a run and of a
//! sweep's jobs.

use crate::error::{ComposeError, Fault};
use crate::node::{Map, Node};

/// The facts about a run that are known when its config is composed.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    pub(crate) config_name: &'a str,
    /// The overrides of the job, joined with commas, for folder names.
    pub(crate) override_dirname: String,
    /// The number of the job in a sweep, counted from 0.
    pub(crate) job: Option<usize>,
    pub(crate) cwd: String,
}

/// Returns the node `hydra` with its default settings. A setting that is not in it is not
/// implemented.
pub(crate) fn defaults(run: &Run<'_>) -> Node {
    let text = |text: &str| Node::Str(text.to_owned());
    let job = match run.job {
        Some(number) => Node::Int(number as i64),
        None => text("???"),
    };
    let output = match run.job {
        Some(_) => "${hydra.sweep.dir}/${hydra.sweep.subdir}",
        None => "${hydra.run.dir}",
    };
    map(vec![
        ("run", map(vec![("dir", text("outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"))])),
        (
            "sweep",
            map(vec![
                ("dir", text("multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}")),
                ("subdir", text("${hydra.job.num}")),
            ]),
        ),
        ("output_subdir", text(".hydra")),
        (
            "job",
            map(vec![
                ("name", text("light-splade")),
                ("chdir", Node::Null),
                ("override_dirname", text(&run.override_dirname)),
                ("num", job),
                ("config_name", text(run.config_name)),
            ]),
        ),
        ("runtime", map(vec![("cwd", text(&run.cwd)), ("output_dir", text(output))])),
    ])
}

fn map(pairs: Vec<(&str, Node)>) -> Node {
    Node::Map(Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()))
}

/// Merges the `hydra:` section of a config into the defaults. A key that the defaults do not have
/// is an error.
pub(crate) fn take(defaults: &mut Node, given: &Map, at: &str) -> Result<(), ComposeError> {
    for (key, value) in &given.0 {
        let here = format!("{at}.{key}");
        match (defaults.child_mut(key), value) {
            (Some(inner @ Node::Map(_)), Node::Map(given)) => take(inner, given, &here)?,
            (Some(Node::Map(_)), other) => {
                let problem = format!("Hydra expects a mapping here, not {}", other.kind());
                return Err(ComposeError::at(here, problem));
            }
            (Some(old), value) => *old = value.clone(),
            (None, _) => return Err(not_implemented(&here)),
        }
    }
    Ok(())
}

/// Returns the error for a setting of Hydra that is not implemented.
pub(crate) fn not_implemented(key: &str) -> ComposeError {
    let problem = "this setting of Hydra is not implemented, only hydra.run.dir, hydra.sweep.dir, \
                   hydra.sweep.subdir, hydra.output_subdir and hydra.job.name";
    ComposeError::at(key, Fault::new(problem, "leave it out"))
}
