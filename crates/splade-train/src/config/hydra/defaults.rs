//! The defaults list: which files make up a config, in which order, and where in it each one goes.
//!
//! An entry is a file beside (`- other`), a choice of a group (`- model: small`, also with several
//! names) or the file itself (`_self_`, last if it is not named). Files of groups have defaults
//! lists of their own, relative to their folder. A later file wins over an earlier one. The package
//! of a file, where its content goes, is its group's name below its parent's package, unless the
//! entry (`group@package`) or the file (`# @package`) says otherwise.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::super::nearest::did_you_mean;
use super::node::{Map, Node};
use super::overrides::{Action, Choice, Override};
use super::value::Value;
use super::yaml::{self, File};
use crate::error::TrainError;

/// Longer chains of defaults lists are refused: they refer to each other.
const MAX_DEPTH: usize = 32;

/// A file of the composition and the package it goes to, dotted; empty for the root.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    pub(super) path: String,
    pub(super) package: String,
    /// Of a group's choice: no other may have the same.
    key: Option<String>,
}

/// The files below a folder, read once.
pub(super) struct Repository {
    dir: PathBuf,
    files: HashMap<String, (File, Vec<Entry>)>,
}

/// What a defaults list names, before it is known where the list stands.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    This,
    File {
        path: String,
    },
    Group {
        group: String,
        /// Names; none for `null`, which chooses nothing.
        names: Vec<String>,
        /// A list was written, so that names may be several.
        several: bool,
        overrides: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    kind: Kind,
    package: Option<String>,
    optional: bool,
    /// By an override with `+`.
    appended: bool,
    /// The folder and package of the list that it stands in.
    folder: String,
    parent_package: String,
    /// The file's own `# @package`.
    header: Option<String>,
}

impl Entry {
    fn new(kind: Kind, package: Option<String>, optional: bool) -> Entry {
        Entry {
            kind,
            package: package.map(|p| if p == "_here_" { String::new() } else { p }),
            optional,
            appended: false,
            folder: String::new(),
            parent_package: String::new(),
            header: None,
        }
    }

    fn place(&mut self, folder: &str, parent_package: &str) {
        self.folder = folder.to_owned();
        self.parent_package = parent_package.to_owned();
        if let Some(package) = &self.package
            && package.contains("_group_")
        {
            let package = package.replace("_group_", &self.default_package());
            self.package = Some(format!("_global_.{package}"));
        }
    }

    /// As written, without a slash at the start.
    fn relative_group(&self) -> &str {
        match &self.kind {
            Kind::This => "",
            Kind::Group { group, .. } => group.strip_prefix('/').unwrap_or(group),
            Kind::File { path } => {
                let path = path.strip_prefix('/').unwrap_or(path);
                path.rsplit_once('/').map_or("", |(group, _)| group)
            }
        }
    }

    /// The folder of the file, from the root of the configs.
    fn group(&self) -> String {
        let written = match &self.kind {
            Kind::Group { group, .. } => group,
            Kind::File { path } => path,
            Kind::This => "",
        };
        let relative = self.relative_group();
        if written.starts_with('/') || self.folder.is_empty() {
            relative.to_owned()
        } else if relative.is_empty() {
            self.folder.clone()
        } else {
            format!("{}/{relative}", self.folder)
        }
    }

    /// The name of the file in its folder; none where nothing is chosen.
    fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::This => None,
            Kind::File { path } => path.rsplit('/').next(),
            Kind::Group { names, .. } => names.first().map(String::as_str),
        }
    }

    fn path(&self) -> String {
        let name = self.name().unwrap_or_default();
        match self.group() {
            group if group.is_empty() => name.to_owned(),
            group => format!("{group}/{name}"),
        }
    }

    fn default_package(&self) -> String {
        self.group().replace('/', ".")
    }

    fn package(&self, with_header: bool) -> String {
        let own = match (&self.package, &self.header) {
            (Some(package), _) => package.clone(),
            (None, Some(header)) if with_header => header.clone(),
            (None, _) => self.relative_group().replace('/', "."),
        };
        let full = match (self.parent_package.as_str(), own.as_str()) {
            ("", own) => own.to_owned(),
            (parent, "") => parent.to_owned(),
            (parent, own) => format!("{parent}.{own}"),
        };
        // `_global_` begins anew at the root.
        match full.rsplit_once("_global_") {
            None => full,
            Some((_, after)) => after.strip_prefix('.').unwrap_or(after).to_owned(),
        }
    }

    /// What an override of this entry is called: the group, and its package if that is not the
    /// usual one.
    fn key(&self) -> String {
        let package = self.package(false);
        let group = self.group();
        if package == self.default_package() {
            group
        } else if package.is_empty() {
            format!("{group}@_global_")
        } else {
            format!("{group}@{package}")
        }
    }
}

impl Repository {
    pub(super) fn new(dir: &Path) -> Repository {
        Repository { dir: dir.to_owned(), files: HashMap::new() }
    }

    pub(super) fn is_group(&self, key: &str) -> bool {
        !key.is_empty() && !key.starts_with('/') && self.dir.join(key).is_dir()
    }

    /// The names of a group's files, sorted.
    pub(super) fn names(&self, group: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.dir.join(group)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    pub(super) fn file(&self, path: &str) -> PathBuf {
        let path = path.strip_suffix(".yaml").unwrap_or(path);
        self.dir.join(format!("{path}.yaml"))
    }

    fn exists(&self, path: &str) -> bool {
        self.file(path).is_file()
    }

    /// A file's content and header, read once.
    pub(super) fn content(&mut self, path: &str) -> Result<&File, TrainError> {
        Ok(&self.load(path)?.0)
    }

    fn load(&mut self, path: &str) -> Result<&(File, Vec<Entry>), TrainError> {
        if !self.files.contains_key(path) {
            let file = self.file(path);
            let text = std::fs::read_to_string(&file)
                .map_err(|source| TrainError::Io { path: file.clone(), source })?;
            let mut content = yaml::parse(&text, &file)?;
            let defaults = content.content.remove("defaults");
            let entries = entries(defaults).map_err(|message| TrainError::Config {
                at: format!("{}: defaults", file.display()),
                message,
            })?;
            self.files.insert(path.to_owned(), (content, entries));
        }
        Ok(&self.files[path])
    }
}

/// Reads a defaults list.
fn entries(defaults: Option<Node>) -> Result<Vec<Entry>, String> {
    let list = match defaults {
        None => return Ok(Vec::new()),
        Some(Node::List(list)) => list,
        Some(other) => return Err(format!("this must be a list, but it is {}", other.kind())),
    };
    list.into_iter().map(entry).collect()
}

fn entry(node: Node) -> Result<Entry, String> {
    match node {
        Node::Str(text) if text == "_self_" => Ok(Entry::new(Kind::This, None, false)),
        Node::Str(text) => {
            let (path, package) = split_package(&text);
            no_interpolation(&path)?;
            let (optional, path) = match path.strip_prefix("optional ") {
                Some(path) => (true, path.to_owned()),
                None => (false, path),
            };
            if path == "_self_" {
                return Err("_self_ has no package".to_owned());
            }
            Ok(Entry::new(Kind::File { path }, package, optional))
        }
        Node::Map(map) => group_entry(map),
        other => Err(format!("an entry is a name or `group: name`, but this is {}", other.kind())),
    }
}

fn group_entry(map: Map) -> Result<Entry, String> {
    let mut pairs = map.0.into_iter();
    let (Some((key, value)), None) = (pairs.next(), pairs.next()) else {
        return Err("an entry has one group: write every group behind its own `-`".to_owned());
    };
    let (group, package) = split_package(&key);
    let mut words: Vec<&str> = group.split(' ').collect();
    let group = words.pop().unwrap_or_default().to_owned();
    let (mut optional, mut overrides) = (false, false);
    for word in words {
        match word {
            "optional" => optional = true,
            "override" => overrides = true,
            other => {
                return Err(format!(
                    "`{other}` before a group means nothing; there are `optional` and `override`"
                ));
            }
        }
    }
    let name = |node: Node| match node {
        Node::Str(name) => no_interpolation(&name).map(|()| name),
        other => Err(format!(
            "the choice of {group} must be a string, but it is {}; hint: quote it",
            other.kind()
        )),
    };
    let (names, several) = match value {
        Node::Null => (Vec::new(), false),
        Node::List(list) => (list.into_iter().map(name).collect::<Result<_, _>>()?, true),
        other => (vec![name(other)?], false),
    };
    let kind = Kind::Group { group, names, several, overrides };
    Ok(Entry::new(kind, package, optional))
}

fn split_package(text: &str) -> (String, Option<String>) {
    match text.split_once('@') {
        Some((name, package)) => (name.to_owned(), Some(package.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn no_interpolation(name: &str) -> Result<(), String> {
    if name.contains("${") {
        return Err(format!("{name}: interpolations in a defaults list are not implemented"));
    }
    Ok(())
}

/// A choice that replaces the one of a defaults list.
struct Chosen {
    names: Vec<String>,
    several: bool,
    /// Where it comes from: the override as it was typed, or the file.
    from: Source,
    used: bool,
}

enum Source {
    Line(String),
    File(String),
}

/// Makes the list of files.
pub(super) struct Composer<'a> {
    repository: &'a mut Repository,
    chosen: Vec<(String, Chosen)>,
    appended: Vec<Entry>,
    /// Keys of groups that are taken out, with the name that has to be there.
    deleted: Vec<(Override, bool)>,
    known: Vec<(String, String)>,
}

/// The files of the config `name`, and the overrides that are no choices of groups.
pub(super) fn compose(
    repository: &mut Repository,
    name: &str,
    overrides: &[Override],
) -> Result<(Vec<Piece>, Vec<Override>), TrainError> {
    let mut composer = Composer {
        repository,
        chosen: Vec::new(),
        appended: Vec::new(),
        deleted: Vec::new(),
        known: Vec::new(),
    };
    let values = composer.sort_overrides(overrides)?;
    let name = name.strip_suffix(".yaml").unwrap_or(name);
    if !composer.repository.exists(name) {
        return Err(composer.no_primary(name));
    }
    let path = name.to_owned();
    let mut pieces = Vec::new();
    composer.expand(Entry::new(Kind::File { path }, None, false), None, 0, &mut pieces)?;
    composer.all_used()?;
    let mut keys: Vec<&str> = pieces.iter().filter_map(|p| p.key.as_deref()).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(TrainError::Config {
            at: composer.repository.file(name).display().to_string(),
            message: format!("{} is there twice in the defaults lists", twice[0]),
        });
    }
    Ok((pieces, values))
}

impl Composer<'_> {
    /// Keeps the choices of groups and returns the others.
    fn sort_overrides(&mut self, overrides: &[Override]) -> Result<Vec<Override>, TrainError> {
        let mut values = Vec::new();
        for one in overrides {
            let value =
                match &one.value {
                    Some(Choice::One(value)) => Some(value),
                    Some(Choice::Sweep(_) | Choice::Glob(_)) => return Err(one.error(
                        "several values need a sweep; hint: add -m to run them in turn, or write \
                     key=[a,b] for a list and key='a,b' for a string",
                    )),
                    None => None,
                };
            let is_group = self.repository.is_group(&one.key);
            if !is_group || matches!(value, Some(Value::Map(_))) {
                if one.package.is_some() {
                    return Err(one.error(format!(
                        "`{}@` looks like a group, but there is no folder of that name",
                        one.key
                    )));
                }
                values.push(one.clone());
                continue;
            }
            if one.action == Action::Delete {
                self.deleted.push((one.clone(), false));
                continue;
            }
            let (names, several) = group_choice(one, value)?;
            match one.action {
                Action::ForceAdd => {
                    return Err(one.error("a group is added with one +"));
                }
                Action::Add => {
                    let kind =
                        Kind::Group { group: one.key.clone(), names, several, overrides: false };
                    self.appended.push(Entry {
                        appended: true,
                        ..Entry::new(kind, one.package.clone(), false)
                    });
                }
                _ => {
                    let key = one.key_element();
                    self.chosen.retain(|(k, _)| *k != key);
                    let chosen = Chosen {
                        names,
                        several,
                        from: Source::Line(one.line.clone()),
                        used: false,
                    };
                    self.chosen.push((key, chosen));
                }
            }
        }
        Ok(values)
    }

    /// Appends the files of an entry in the order in which they are merged.
    fn expand(
        &mut self,
        mut this: Entry,
        parent: Option<&str>,
        depth: usize,
        out: &mut Vec<Piece>,
    ) -> Result<(), TrainError> {
        let path = this.path();
        if self.is_deleted(&this) {
            return Ok(());
        }
        self.remember(&this, parent)?;
        if this.name() == Some("???") {
            return Err(self.must_choose(&this));
        }
        if this.name().is_none() {
            return Ok(());
        }
        if !self.repository.exists(&path) {
            return if this.optional { Ok(()) } else { Err(self.not_found(&this, parent)) };
        }
        if depth > MAX_DEPTH {
            return Err(TrainError::Config {
                at: self.repository.file(&path).display().to_string(),
                message: "the defaults lists refer to each other without end".to_owned(),
            });
        }
        let (file, entries) = self.repository.load(&path)?;
        this.header = file.package.as_deref().and_then(header_package);
        let mut entries = entries.clone();
        let own = Piece {
            package: this.package(true),
            key: matches!(this.kind, Kind::Group { .. }).then(|| this.key()),
            path: path.clone(),
        };
        let has_this = entries.iter().any(|entry| entry.kind == Kind::This);
        let is_root = depth == 0;
        if !has_this && (is_root || entries.iter().any(|entry| !entry.is_override())) {
            entries.push(Entry::new(Kind::This, None, false));
        }
        if is_root {
            entries.append(&mut self.appended);
        }
        if entries.iter().filter(|entry| entry.kind == Kind::This).count() > 1 {
            return Err(self.in_file(&path, "_self_ is there twice"));
        }
        self.place_and_override(&path, &this, &mut entries)?;
        if entries.iter().all(Entry::is_override) {
            out.push(own);
            return Ok(());
        }
        // From the last to the first, as Hydra: what a later entry chooses is known to an earlier.
        let mut groups: Vec<Vec<Piece>> = Vec::new();
        for entry in entries.into_iter().rev().filter(|e| !e.is_override()) {
            let mut pieces = Vec::new();
            if entry.kind == Kind::This {
                // The key stands for the whole group, not for the file alone.
                let key = None;
                pieces.push(Piece { key, ..own.clone() });
            } else {
                for entry in self.choices(entry) {
                    self.expand(entry, Some(&path), depth + 1, &mut pieces)?;
                }
            }
            groups.push(pieces);
        }
        out.extend(groups.into_iter().rev().flatten());
        Ok(())
    }

    /// Tells the entries of a list where they stand and takes its `override`s down.
    fn place_and_override(
        &mut self,
        path: &str,
        this: &Entry,
        entries: &mut [Entry],
    ) -> Result<(), TrainError> {
        let (folder, package) = (this.group(), this.package(true));
        let mut seen_override = false;
        for entry in entries {
            if entry.kind == Kind::This {
                continue;
            }
            entry.place(&folder, &package);
            if let Kind::Group { names, several, overrides: true, .. } = &entry.kind {
                seen_override = true;
                let key = entry.key();
                if key.starts_with("hydra/") {
                    return Err(self.in_file(
                        path,
                        format!("`override {key}`: Hydra's own groups are not implemented"),
                    ));
                }
                // Whoever came first is nearer to the command line.
                if !self.chosen.iter().any(|(k, _)| *k == key) {
                    let chosen = Chosen {
                        names: names.clone(),
                        several: *several,
                        from: Source::File(path.to_owned()),
                        used: false,
                    };
                    self.chosen.push((key, chosen));
                }
            } else if seen_override && !entry.appended {
                let message = "overrides must be at the end of the defaults list";
                return Err(self.in_file(path, message));
            }
        }
        Ok(())
    }

    /// The files of an entry after overrides: one, several or none.
    fn choices(&mut self, mut entry: Entry) -> Vec<Entry> {
        let key = entry.key();
        let Kind::Group { group, names, several, .. } = &mut entry.kind else {
            return vec![entry];
        };
        if let Some((_, chosen)) = self.chosen.iter_mut().find(|(k, _)| *k == key) {
            chosen.used = true;
            names.clone_from(&chosen.names);
            *several = chosen.several;
        }
        if !*several {
            return vec![entry];
        }
        let paths: Vec<String> = names.iter().map(|name| format!("{group}/{name}")).collect();
        paths.into_iter().map(|path| Entry { kind: Kind::File { path }, ..entry.clone() }).collect()
    }

    fn is_deleted(&mut self, entry: &Entry) -> bool {
        if !matches!(entry.kind, Kind::Group { .. }) {
            return false;
        }
        let key = entry.key();
        let mut deleted = false;
        for (one, used) in &mut self.deleted {
            let name = match &one.value {
                Some(Choice::One(Value::Str(name))) => Some(name.as_str()),
                _ => None,
            };
            if one.key_element()[1..] == key && (name.is_none() || name == entry.name()) {
                *used = true;
                deleted = true;
            }
        }
        deleted
    }

    /// A group that is chosen twice must be chosen alike.
    fn remember(&mut self, entry: &Entry, parent: Option<&str>) -> Result<(), TrainError> {
        if !matches!(entry.kind, Kind::Group { .. }) {
            return Ok(());
        }
        let key = entry.key();
        let name = entry.name().unwrap_or("null").to_owned();
        match self.known.iter().find(|(k, _)| *k == key) {
            None => self.known.push((key, name)),
            Some((_, before)) if *before == name => {}
            Some((_, before)) => {
                let before = before.clone();
                return Err(self.in_file(
                    parent.unwrap_or_default(),
                    format!(
                        "{key} is both {name} and {before}; hint: to replace a choice write \
                         `override {key}: {name}`"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn all_used(&self) -> Result<(), TrainError> {
        let groups = || self.known.iter().map(|(key, _)| key.as_str());
        for (key, chosen) in self.chosen.iter().filter(|(_, chosen)| !chosen.used) {
            let hint = did_you_mean(key, groups().filter(|known| known != key));
            let same_group = groups().find(|known| known.split('@').next() == Some(key));
            let hint = match same_group {
                Some(known) => format!("; did you mean {known}?"),
                None => hint,
            };
            return Err(match &chosen.from {
                Source::Line(line) => TrainError::Config {
                    at: format!("override `{line}`"),
                    message: format!(
                        "the defaults list has no {key}{hint} hint: to add it write +{line}"
                    ),
                },
                Source::File(path) => self.in_file(
                    path,
                    format!("`override {key}`: no other defaults list has {key}{hint}"),
                ),
            });
        }
        match self.deleted.iter().find(|(_, used)| !used) {
            Some((one, _)) => Err(one.error("the defaults list has no such choice to take out")),
            None => Ok(()),
        }
    }

    fn in_file(&self, path: &str, message: impl Into<String>) -> TrainError {
        TrainError::Config {
            at: self.repository.file(path).display().to_string(),
            message: message.into(),
        }
    }

    fn no_primary(&self, name: &str) -> TrainError {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let names = self.repository.names(folder);
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        let list = match &names[..] {
            [] => "there is no *.yaml in that folder".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        TrainError::Config {
            at: self.repository.file(name).display().to_string(),
            message: format!("there is no such config{hint} hint: {list}"),
        }
    }

    fn must_choose(&self, entry: &Entry) -> TrainError {
        let key = entry.key();
        let names = self.repository.names(&entry.group());
        TrainError::Config {
            at: key.clone(),
            message: format!(
                "a choice must be given; hint: {key}=NAME, where NAME is one of {}",
                names.join(", ")
            ),
        }
    }

    fn not_found(&self, entry: &Entry, parent: Option<&str>) -> TrainError {
        let path = entry.path();
        let names = self.repository.names(&entry.group());
        let hint = did_you_mean(entry.name().unwrap_or_default(), names.iter().map(String::as_str));
        self.in_file(
            parent.unwrap_or_default(),
            format!(
                "{path} is in the defaults list, but there is no {}{hint} hint: there are {}",
                self.repository.file(&path).display(),
                names.join(", ")
            ),
        )
    }
}

impl Entry {
    fn is_override(&self) -> bool {
        matches!(self.kind, Kind::Group { overrides: true, .. })
    }
}

/// A header is counted from the root; `_group_` is where the file goes anyway.
fn header_package(header: &str) -> Option<String> {
    match header {
        "_group_" => None,
        "_global_" => Some(header.to_owned()),
        global if global.starts_with("_global_.") => Some(global.to_owned()),
        other => Some(format!("_global_.{other}")),
    }
}

fn group_choice(one: &Override, value: Option<&Value>) -> Result<(Vec<String>, bool), TrainError> {
    let name = |value: &Value| match value {
        Value::Str(name) | Value::Quoted(name, _) => Ok(name.clone()),
        _ => Err(one.error(format!(
            "{} is a group, whose value is the name of a file or a list of names",
            one.key
        ))),
    };
    match value {
        Some(Value::List(list)) => Ok((list.iter().map(name).collect::<Result<_, _>>()?, true)),
        Some(value) => Ok((vec![name(value)?], false)),
        None => Ok((Vec::new(), false)),
    }
}
