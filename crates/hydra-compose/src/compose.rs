//! Composes the config of one job from its files, their packages, the overrides and Hydra's own
//! node.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::error::{ComposeError, Fault};
use crate::interpolate::Resolver;
use crate::node::{Map, Node};
use crate::overrides::{Override, give};
use crate::repository::Repository;
use crate::runtime::Run;
use crate::time::Moment;
use crate::{apply, defaults, emit, runtime};

/// The input of [`compose`] and of a sweep.
///
/// ```
/// use hydra_compose::{ComposeOptions, compose};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("run.yaml"), "seed: 42\nname: run-${seed}\n")?;
/// let mut options = ComposeOptions::new(folder.path(), "run", vec!["+at=${now:%Y}".to_owned()]);
/// // A test has a time of its own.
/// options.now = std::time::SystemTime::UNIX_EPOCH;
/// assert_eq!(compose(&options)?.value()?["at"], "1970");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ComposeOptions {
    /// The folder that holds the configs (`--config-dir`).
    pub config_dir: PathBuf,
    /// The name of the primary config in that folder (`--config-name`), with or without `.yaml`.
    pub config_name: String,
    /// The overrides in the order in which they were typed.
    pub overrides: Vec<String>,
    /// The time that `${now:...}` prints, in UTC. All jobs of a sweep share it.
    pub now: SystemTime,
}

impl ComposeOptions {
    /// Returns options whose `now` is the current time.
    pub fn new(
        config_dir: impl Into<PathBuf>,
        config_name: impl Into<String>,
        overrides: Vec<String>,
    ) -> ComposeOptions {
        ComposeOptions {
            config_dir: config_dir.into(),
            config_name: config_name.into(),
            overrides,
            now: SystemTime::now(),
        }
    }
}

/// A composed config. Interpolations are resolved when values are asked for, not before.
///
/// ```
/// use hydra_compose::{ComposeOptions, compose};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("run.yaml"), "seed: 42\nname: run-${seed}\n")?;
/// let composed = compose(&ComposeOptions::new(folder.path(), "run", vec!["seed=7".to_owned()]))?;
/// assert_eq!(composed.to_yaml(), "seed: 7\nname: run-${seed}\n");
/// assert_eq!(composed.value()?["name"], "run-7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Composed {
    /// The config of the run, without the node `hydra`.
    config: Map,
    /// The config with the node `hydra` added, which is the tree that interpolations refer to.
    root: Node,
    overrides: Vec<String>,
    now: SystemTime,
}

/// Composes the config of a single run.
///
/// ```
/// use hydra_compose::{ComposeOptions, compose};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("run.yaml"), "seed: 42\nname: run-${seed}\n")?;
/// let options = ComposeOptions::new(folder.path(), "run", vec!["sede=7".to_owned()]);
/// let error = compose(&options).expect_err("there is no such key");
/// assert!(error.to_string().contains("sede"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if a file is missing or malformed, or if an override is malformed or does not
/// apply to the config.
pub fn compose(options: &ComposeOptions) -> Result<Composed, ComposeError> {
    compose_job(options, None)
}

/// Composes the config of one job; `job` is its number in a sweep, counted from 0, or `None` for a
/// single run.
pub(crate) fn compose_job(
    options: &ComposeOptions,
    job: Option<usize>,
) -> Result<Composed, ComposeError> {
    if !options.config_dir.is_dir() {
        return Err(ComposeError::at(
            options.config_dir.display().to_string(),
            Fault::new(
                "the folder of the configs does not exist",
                "name the config by its path, or its folder with --config-dir",
            ),
        ));
    }
    let overrides = parse_overrides(&options.overrides)?;
    let (of_hydra, of_run): (Vec<Override>, Vec<Override>) =
        overrides.into_iter().partition(Override::is_hydra);
    let mut repository = Repository::new(&options.config_dir);
    let (pieces, values) = defaults::compose(&mut repository, &options.config_name, &of_run)?;
    let mut config = Map::default();
    for piece in pieces {
        let content = repository.content(&piece.path)?.content.clone();
        config.merge(embed(content, &piece.package)).map_err(|problem| {
            ComposeError::at(repository.file(&piece.path).display().to_string(), problem)
        })?;
    }
    let mut hydra = runtime::defaults(&Run {
        config_name: &options.config_name,
        override_dirname: override_dirname(&of_run),
        job,
        cwd: working_directory(),
    });
    if let Some(Node::Map(given)) = config.remove("hydra") {
        runtime::take(&mut hydra, &given, "hydra")?;
    }
    let mut config = Node::Map(config);
    for one in &values {
        apply::apply(&mut config, one)?;
    }
    let mut root = Node::Map(Map(vec![("hydra".to_owned(), hydra)]));
    for one in &of_hydra {
        let path: Vec<String> = one.key.split('.').map(str::to_owned).collect();
        if one.key.contains('/') || root.select(&path).is_none() {
            return Err(runtime::not_implemented(&one.key));
        }
        apply::apply(&mut root, one)?;
    }
    if root.select(&["hydra", "job", "chdir"].map(str::to_owned)) == Some(&Node::Bool(true)) {
        return Err(ComposeError::at(
            "hydra.job.chdir",
            Fault::new(
                "changing the working directory is not implemented",
                "leave it out, and write absolute paths, or ${hydra:runtime.output_dir}",
            ),
        ));
    }
    let (Node::Map(config), Node::Map(mut all)) = (config, root) else {
        unreachable!("both roots are mappings: this is a bug");
    };
    all.0.extend(config.0.iter().cloned());
    let composed = Composed {
        config,
        root: Node::Map(all),
        overrides: of_run.into_iter().map(|one| one.line).collect(),
        now: options.now,
    };
    Ok(composed)
}

pub(crate) fn parse_overrides(lines: &[String]) -> Result<Vec<Override>, ComposeError> {
    lines.iter().map(|line| Override::parse(line)).collect()
}

/// Nests a file's content under the keys of its package.
fn embed(content: Map, package: &str) -> Map {
    package
        .rsplit('.')
        .filter(|key| !key.is_empty())
        .fold(content, |inner, key| Map(vec![(key.to_owned(), Node::Map(inner))]))
}

/// Returns all overrides except those of Hydra itself, sorted and joined with commas. Hydra names
/// the folders of a sweep's jobs by this string.
fn override_dirname(overrides: &[Override]) -> String {
    let mut lines: Vec<&str> = overrides.iter().map(|one| one.line.as_str()).collect();
    lines.sort_unstable();
    lines.join(",")
}

fn working_directory() -> String {
    std::env::current_dir().unwrap_or_else(|_| Path::new(".").to_owned()).display().to_string()
}

impl Composed {
    /// Returns the config as `--cfg job` prints it: YAML with the interpolations unresolved.
    pub fn to_yaml(&self) -> String {
        emit::to_yaml(&self.config)
    }

    /// Returns the overrides of the run as a YAML list, as in Hydra's `overrides.yaml`.
    pub fn overrides_yaml(&self) -> String {
        let list = self.overrides.iter().cloned().map(Node::Str).collect();
        emit::list_to_yaml(list)
    }

    /// Returns the overrides of the run, without those of Hydra itself.
    pub fn overrides(&self) -> &[String] {
        &self.overrides
    }

    /// Returns all values with interpolations resolved.
    ///
    /// # Errors
    ///
    /// Returns an error if a mandatory value is missing (`???`), if an interpolation refers to a
    /// key that does not exist, or if a number is not finite.
    pub fn value(&self) -> Result<Value, ComposeError> {
        let mut resolver = self.resolver();
        let mut object = serde_json::Map::new();
        for key in self.config.keys() {
            let path = [key.to_owned()];
            let node = resolver.resolve(&path)?;
            object.insert(key.to_owned(), json(node, key)?);
        }
        Ok(Value::Object(object))
    }

    /// Returns the folder that the run writes to: `hydra.run.dir`, or the job's folder below
    /// `hydra.sweep.dir`.
    ///
    /// # Errors
    ///
    /// Returns an error if the setting is not a string or cannot be resolved.
    pub fn run_dir(&self) -> Result<PathBuf, ComposeError> {
        self.hydra_text(&["runtime", "output_dir"]).map(PathBuf::from)
    }

    /// Returns the folder for Hydra's record of the run, relative to [`Composed::run_dir`], or
    /// `None` if it was switched off (`hydra.output_subdir=null`).
    ///
    /// # Errors
    ///
    /// Returns an error if the setting is not a string or cannot be resolved.
    pub fn output_subdir(&self) -> Result<Option<PathBuf>, ComposeError> {
        match self.hydra(&["output_subdir"])? {
            Node::Null => Ok(None),
            _ => self.hydra_text(&["output_subdir"]).map(|text| Some(text.into())),
        }
    }

    fn resolver(&self) -> Resolver<'_> {
        Resolver::new(&self.root, Moment::from(self.now))
    }

    fn hydra(&self, keys: &[&str]) -> Result<Node, ComposeError> {
        let path: Vec<String> =
            std::iter::once("hydra").chain(keys.iter().copied()).map(str::to_owned).collect();
        self.resolver().resolve(&path)
    }

    fn hydra_text(&self, keys: &[&str]) -> Result<String, ComposeError> {
        let node = self.hydra(keys)?;
        match node.python_str() {
            Some(text) if node != Node::Null && !node.is_missing() => Ok(text),
            _ => Err(ComposeError::at(
                format!("hydra.{}", keys.join(".")),
                format!("expected a string, but the value is {}", node.kind()),
            )),
        }
    }
}

fn json(node: Node, at: &str) -> Result<Value, ComposeError> {
    Ok(match node {
        node if node.is_missing() => {
            let fault = Fault::new("a value must be given (it is ???)", give(at));
            return Err(ComposeError::at(at, fault));
        }
        Node::Null => Value::Null,
        Node::Bool(b) => Value::Bool(b),
        Node::Int(i) => Value::from(i),
        Node::Float(f) => serde_json::Number::from_f64(f)
            .map(Value::Number)
            .ok_or_else(|| ComposeError::at(at, "the number must be finite"))?,
        Node::Str(s) => Value::String(s),
        Node::List(list) => list
            .into_iter()
            .enumerate()
            .map(|(i, node)| json(node, &format!("{at}.{i}")))
            .collect::<Result<_, _>>()?,
        Node::Map(map) => {
            let mut object = serde_json::Map::new();
            for (key, node) in map.0 {
                let value = json(node, &format!("{at}.{key}"))?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
    })
}
