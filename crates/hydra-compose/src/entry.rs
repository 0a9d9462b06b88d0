//! The entries of a defaults list: parsing them, and finding the path and the package of their
//! files.

use crate::error::Fault;
use crate::node::{Map, Node};

/// The content of an entry, independent of the folder that the list stands in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// The file that contains the list (`_self_`).
    This,
    /// Another file, as a path relative to the list's folder or, after a `/`, to the root.
    File { path: String },
    /// A choice of a group.
    Group {
        group: String,
        /// The chosen names; empty for `null`, which chooses nothing.
        names: Vec<String>,
        /// Whether the choice was written as a list, so that it may have several names.
        several: bool,
        /// Whether the entry begins with `override`.
        overrides: bool,
    },
}

/// An entry of a defaults list with the place where the list stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) package: Option<String>,
    pub(crate) optional: bool,
    /// Whether the entry was added by an override with `+`.
    pub(crate) appended: bool,
    /// The folder and, in the next field, the package of the file that contains the list.
    pub(crate) folder: String,
    pub(crate) parent_package: String,
    /// The package that the file's own `# @package` header sets.
    pub(crate) header: Option<String>,
}

impl Entry {
    pub(crate) fn new(kind: Kind, package: Option<String>, optional: bool) -> Entry {
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

    /// Records the folder and the package of the file that contains the list.
    pub(crate) fn place(&mut self, folder: &str, parent_package: &str) {
        self.folder = folder.to_owned();
        self.parent_package = parent_package.to_owned();
        if let Some(package) = &self.package
            && package.contains("_group_")
        {
            let package = package.replace("_group_", &self.default_package());
            self.package = Some(format!("_global_.{package}"));
        }
    }

    /// Returns the group as written, without a leading slash.
    pub(crate) fn relative_group(&self) -> &str {
        match &self.kind {
            Kind::This => "",
            Kind::Group { group, .. } => group.strip_prefix('/').unwrap_or(group),
            Kind::File { path } => {
                let path = path.strip_prefix('/').unwrap_or(path);
                path.rsplit_once('/').map_or("", |(group, _)| group)
            }
        }
    }

    /// Returns the folder of the entry's file, relative to the root of the configs.
    pub(crate) fn group(&self) -> String {
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

    /// Returns the file's name in its folder, or `None` if nothing is chosen.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::This => None,
            Kind::File { path } => path.rsplit('/').next(),
            Kind::Group { names, .. } => names.first().map(String::as_str),
        }
    }

    /// Returns the path of the entry's file relative to the root of the configs, without `.yaml`.
    pub(crate) fn path(&self) -> String {
        let name = self.name().unwrap_or_default();
        match self.group() {
            group if group.is_empty() => name.to_owned(),
            group => format!("{group}/{name}"),
        }
    }

    /// Returns the package of a file whose entry and header do not set one: its group, dotted.
    pub(crate) fn default_package(&self) -> String {
        self.group().replace('/', ".")
    }

    /// Returns the dotted package of the entry's file, with or without regard to its header.
    pub(crate) fn package(&self, with_header: bool) -> String {
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
        // `_global_` restarts the package at the root.
        match full.rsplit_once("_global_") {
            None => full,
            Some((_, after)) => after.strip_prefix('.').unwrap_or(after).to_owned(),
        }
    }

    /// Returns the name by which an override refers to this entry: the group, followed by
    /// `@package` if the package is not the default one.
    pub(crate) fn key(&self) -> String {
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

impl Entry {
    pub(crate) fn is_override(&self) -> bool {
        matches!(self.kind, Kind::Group { overrides: true, .. })
    }
}

/// Returns the package that a header sets, counted from the root. `_group_` is the default package,
/// so it returns `None`.
pub(crate) fn header_package(header: &str) -> Option<String> {
    match header {
        "_group_" => None,
        "_global_" => Some(header.to_owned()),
        global if global.starts_with("_global_.") => Some(global.to_owned()),
        other => Some(format!("_global_.{other}")),
    }
}

/// Parses a defaults list.
pub(crate) fn entries(defaults: Option<Node>) -> Result<Vec<Entry>, Fault> {
    let list = match defaults {
        None => return Ok(Vec::new()),
        Some(Node::List(list)) => list,
        Some(other) => {
            return Err(format!("expected a list, but the value is {}", other.kind()).into());
        }
    };
    list.into_iter().map(entry).collect()
}

fn entry(node: Node) -> Result<Entry, Fault> {
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
                return Err("_self_ cannot have a package".into());
            }
            Ok(Entry::new(Kind::File { path }, package, optional))
        }
        Node::Map(map) => group_entry(map),
        other => {
            Err(format!("expected a name or `group: name`, but the entry is {}", other.kind())
                .into())
        }
    }
}

fn group_entry(map: Map) -> Result<Entry, Fault> {
    let mut pairs = map.0.into_iter();
    let (Some((key, value)), None) = (pairs.next(), pairs.next()) else {
        return Err(Fault::new("an entry has exactly one group", "give every group its own `-`"));
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
                    "unknown word `{other}` before a group (only `optional` and `override` exist)"
                )
                .into());
            }
        }
    }
    let name = |node: Node| match node {
        Node::Str(name) => no_interpolation(&name).map(|()| name),
        other => Err(Fault::new(
            format!("the choice of {group} must be a string, but it is {}", other.kind()),
            "quote it",
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

fn no_interpolation(name: &str) -> Result<(), Fault> {
    if name.contains("${") {
        return Err(format!("{name}: interpolations in a defaults list are not implemented").into());
    }
    Ok(())
}
