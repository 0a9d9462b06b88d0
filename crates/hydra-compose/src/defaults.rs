//! Expands defaults lists: determines which files make up a config, in which order they are merged,
//! and which package each one goes to.
//!
//! An entry is a file (`- other`), a choice of a group (`- model: small`, or a list of names) or
//! the file that contains the list (`_self_`, which is implied at the end of a list that does not
//! name it). Files of groups have defaults lists of their own, with names relative to their folder.
//! When files set the same value, the later file wins. The package of a file, which is the key that
//! its content is nested under, is the name of its group appended to its parent's package, unless
//! the entry (`group@package`) or the file (`# @package`) says otherwise.

use crate::apply::several_values;
use crate::entry::{Entry, Kind, header_package};
use crate::error::{ComposeError, Fault};
use crate::nearest::did_you_mean;
use crate::overrides::{Action, Choice, Override};
use crate::repository::Repository;
use crate::suggest::shell;
use crate::value::Value;

/// The limit of nested defaults lists. It catches lists that refer to each other.
const MAX_DEPTH: usize = 32;

/// A file of the composition with the dotted package that it goes to; the root's package is empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) path: String,
    pub(crate) package: String,
    /// The key of the group whose choice this is, or `None` for other files. A key may occur only
    /// once in a composition.
    key: Option<String>,
}

/// A choice that replaces the one written in a defaults list.
struct Chosen {
    names: Vec<String>,
    several: bool,
    /// The override or the file that the choice comes from.
    from: ChosenBy,
    used: bool,
}

/// The origin of a choice: an override as the user typed it, or the path of a config file.
enum ChosenBy {
    Line(String),
    File(String),
}

/// Expands the defaults lists into the list of files.
pub(crate) struct Composer<'a> {
    repository: &'a mut Repository,
    chosen: Vec<(String, Chosen)>,
    appended: Vec<Entry>,
    /// The overrides that delete a choice (`~group` or `~group=name`), each with whether it matched
    /// an entry.
    deleted: Vec<(Override, bool)>,
    /// The choice of every group that has been expanded so far, by key.
    known: Vec<(String, String)>,
}

/// Returns the files of the config `name` and the overrides that are not choices of groups.
pub(crate) fn compose(
    repository: &mut Repository,
    name: &str,
    overrides: &[Override],
) -> Result<(Vec<Piece>, Vec<Override>), ComposeError> {
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
        let problem = format!("the defaults lists contain {} twice", twice[0]);
        return Err(composer.in_file(name, problem));
    }
    Ok((pieces, values))
}

impl Composer<'_> {
    /// Keeps the choices of groups and returns all other overrides.
    fn sort_overrides(&mut self, overrides: &[Override]) -> Result<Vec<Override>, ComposeError> {
        let mut values = Vec::new();
        for one in overrides {
            let value = match &one.value {
                Some(Choice::One(value)) => Some(value),
                Some(Choice::Sweep(_) | Choice::Glob(_)) => {
                    return Err(one.error(several_values(one)));
                }
                None => None,
            };
            let is_group = self.repository.is_group(&one.key);
            if !is_group || matches!(value, Some(Value::Map(_))) {
                if one.package.is_some() {
                    return Err(one.error(format!(
                        "only a group takes `@package`, but no folder is named {}",
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
                    return Err(one.error(Fault::new(
                        "a group cannot be added with ++",
                        format!("write {}", one.with_sign("+")),
                    )));
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
                        from: ChosenBy::Line(one.line.clone()),
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
    ) -> Result<(), ComposeError> {
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
            let problem = "the defaults lists refer to each other in a cycle";
            return Err(self.in_file(&path, problem));
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
            return Err(self.in_file(&path, "the defaults list contains _self_ twice"));
        }
        self.place_and_override(&path, &this, &mut entries)?;
        if entries.iter().all(Entry::is_override) {
            out.push(own);
            return Ok(());
        }
        // Entries are expanded from the last to the first, as in Hydra, so that an earlier entry
        // sees the choices that a later one makes.
        let mut groups: Vec<Vec<Piece>> = Vec::new();
        for entry in entries.into_iter().rev().filter(|e| !e.is_override()) {
            let mut pieces = Vec::new();
            if entry.kind == Kind::This {
                // The key stands for the whole group, which this file alone is not.
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

    /// Sets the folder and the parent package of a list's entries and records its `override`
    /// entries.
    fn place_and_override(
        &mut self,
        path: &str,
        this: &Entry,
        entries: &mut [Entry],
    ) -> Result<(), ComposeError> {
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
                // An override that was recorded earlier is nearer to the command line and wins.
                if !self.chosen.iter().any(|(k, _)| *k == key) {
                    let chosen = Chosen {
                        names: names.clone(),
                        several: *several,
                        from: ChosenBy::File(path.to_owned()),
                        used: false,
                    };
                    self.chosen.push((key, chosen));
                }
            } else if seen_override && !entry.appended {
                let message = "`override` entries must be at the end of the defaults list";
                return Err(self.in_file(path, message));
            }
        }
        Ok(())
    }

    /// Applies a recorded choice to an entry and splits a list of names into one entry per file.
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

    /// Returns whether an override deletes the entry, and marks that override as used.
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

    /// Records the choice of a group; choosing two different configs for the same key is an error.
    fn remember(&mut self, entry: &Entry, parent: Option<&str>) -> Result<(), ComposeError> {
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
                    Fault::new(
                        format!("{key} is both {name} and {before}"),
                        format!(
                            "to replace {before}, write `override /{key}: {name}` in place of \
                             `{key}: {name}`, at the end of the list"
                        ),
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Checks that every override of a group matched an entry of a defaults list.
    fn all_used(&self) -> Result<(), ComposeError> {
        let groups = || self.known.iter().map(|(key, _)| key.as_str());
        let unused = self.chosen.iter().find(|(_, chosen)| !chosen.used);
        if let Some((key, chosen)) = unused {
            let hint = did_you_mean(key, groups().filter(|known| known != key));
            let same_group = groups().find(|known| known.split('@').next() == Some(key));
            let hint = match same_group {
                Some(known) => Some(format!("did you mean {known}?")),
                None => hint,
            };
            return Err(match &chosen.from {
                ChosenBy::Line(line) => {
                    let add = format!("to add it, write {}", shell(&format!("+{line}")));
                    let remedy = match hint {
                        Some(question) => format!("{question} Or, {add}"),
                        None => add,
                    };
                    let problem = format!("the defaults list has no {key}");
                    ComposeError::at(format!("override `{line}`"), Fault::new(problem, remedy))
                }
                ChosenBy::File(path) => {
                    let problem = format!("`override {key}`: no other defaults list has {key}");
                    self.in_file(path, Fault::from(problem).with(hint))
                }
            });
        }
        match self.deleted.iter().find(|(_, used)| !used) {
            Some((one, _)) => Err(one.error("the defaults list has no such choice to delete")),
            None => Ok(()),
        }
    }

    fn in_file(&self, path: &str, fault: impl Into<Fault>) -> ComposeError {
        ComposeError::at(self.repository.file(path).display().to_string(), fault)
    }

    fn no_primary(&self, name: &str) -> ComposeError {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let names = self.repository.names(folder);
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        let list = match &names[..] {
            [] => "the folder contains no *.yaml file".to_owned(),
            names => format!("the folder contains {}", names.join(", ")),
        };
        self.in_file(name, Fault::from(format!("no such config ({list})")).with(hint))
    }

    fn must_choose(&self, entry: &Entry) -> ComposeError {
        let key = entry.key();
        let names = self.repository.names(&entry.group());
        let remedy = format!("write {key}=NAME, where NAME is one of {}", names.join(", "));
        ComposeError::at(key, Fault::new("a choice must be given", remedy))
    }

    fn not_found(&self, entry: &Entry, parent: Option<&str>) -> ComposeError {
        let path = entry.path();
        let names = self.repository.names(&entry.group());
        let hint = did_you_mean(entry.name().unwrap_or_default(), names.iter().map(String::as_str));
        let problem = format!(
            "the defaults list names {path}, but {} does not exist (the names are {})",
            self.repository.file(&path).display(),
            names.join(", ")
        );
        self.in_file(parent.unwrap_or_default(), Fault::from(problem).with(hint))
    }
}

fn group_choice(
    one: &Override,
    value: Option<&Value>,
) -> Result<(Vec<String>, bool), ComposeError> {
    let name = |value: &Value| match value {
        Value::Str(name) | Value::Quoted(name, _) => Ok(name.clone()),
        _ => Err(one.error(format!(
            "{} is a group, and its value must be a name or a list of names",
            one.key
        ))),
    };
    match value {
        Some(Value::List(list)) => Ok((list.iter().map(name).collect::<Result<_, _>>()?, true)),
        Some(value) => Ok((vec![name(value)?], false)),
        None => Ok((Vec::new(), false)),
    }
}
