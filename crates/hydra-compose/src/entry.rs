//! The entries of a defaults list: reading them, and where the file of one lies and goes to.

use crate::node::{Map, Node};

/// What a defaults list names, before it is known where the list stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
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
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) package: Option<String>,
    pub(crate) optional: bool,
    /// By an override with `+`.
    pub(crate) appended: bool,
    /// The folder and package of the list that it stands in.
    pub(crate) folder: String,
    pub(crate) parent_package: String,
    /// The file's own `# @package`.
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

    /// As written, without a slash at the start.
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

    /// The folder of the file, from the root of the configs.
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

    /// The name of the file in its folder; none where nothing is chosen.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::This => None,
            Kind::File { path } => path.rsplit('/').next(),
            Kind::Group { names, .. } => names.first().map(String::as_str),
        }
    }

    pub(crate) fn path(&self) -> String {
        let name = self.name().unwrap_or_default();
        match self.group() {
            group if group.is_empty() => name.to_owned(),
            group => format!("{group}/{name}"),
        }
    }

    pub(crate) fn default_package(&self) -> String {
        self.group().replace('/', ".")
    }

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
        // `_global_` begins anew at the root.
        match full.rsplit_once("_global_") {
            None => full,
            Some((_, after)) => after.strip_prefix('.').unwrap_or(after).to_owned(),
        }
    }

    /// What an override of this entry is called: the group, and its package if that is not the
    /// usual one.
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

/// A header is counted from the root; `_group_` is where the file goes anyway.
pub(crate) fn header_package(header: &str) -> Option<String> {
    match header {
        "_group_" => None,
        "_global_" => Some(header.to_owned()),
        global if global.starts_with("_global_.") => Some(global.to_owned()),
        other => Some(format!("_global_.{other}")),
    }
}

/// Reads a defaults list.
pub(crate) fn entries(defaults: Option<Node>) -> Result<Vec<Entry>, String> {
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
