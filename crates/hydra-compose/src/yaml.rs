//! Parses a YAML config file into [`Node`]s.
//!
//! The parser emits events with the style of every scalar. The type of a plain scalar is decided in
//! this crate, since OmegaConf's rules are neither those of YAML 1.2 nor those of 1.1. Keys must be
//! strings, and a duplicate key is an error, as in OmegaConf.

use std::collections::HashMap;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::error::{ComposeError, Fault};
use crate::node::{Map, Node};
use crate::scalar;

/// The limit of nested lists and mappings. Other parts of the crate traverse them recursively.
const MAX_DEPTH: usize = 64;

/// The limit of values in a file. Nested aliases can grow exponentially.
const MAX_NODES: usize = 20_000;

/// A parsed config file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The content without the defaults list, which [`super::repository`] removes.
    pub(crate) content: Map,
    /// The value of a `# @package X` header.
    pub(crate) package: Option<String>,
}

/// Parses the text of a file; `path` is used in messages only.
pub(crate) fn parse(text: &str, path: &Path) -> Result<File, ComposeError> {
    let at = |line: usize| format!("{}:{line}", path.display());
    let package = package_header(text)
        .map_err(|fault| ComposeError::at(path.display().to_string(), fault))?;
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| {
            ComposeError::at(at(e.marker().line()), format!("not valid YAML: {}", e.info()))
        })?;
        reader.take(event).map_err(|fault| ComposeError::at(at(span.start.line()), fault))?;
    }
    match reader.root {
        None | Some(Node::Null) => Ok(File { content: Map::default(), package }),
        Some(Node::Map(content)) => Ok(File { content, package }),
        Some(other) => Err(ComposeError::at(
            at(1),
            format!("a config must be a mapping, but the file is {}", other.kind()),
        )),
    }
}

/// Returns the value of `# @package X` among the leading lines that are empty or `# @key value`.
fn package_header(text: &str) -> Result<Option<String>, Fault> {
    let mut package = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some(header) = line.strip_prefix('#').map(str::trim_start) else {
            break;
        };
        let Some(header) = header.strip_prefix('@') else {
            break;
        };
        let words: Vec<&str> = header.split(' ').filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["package", value] => package = Some(value.to_owned()),
            [_, _] => {}
            _ => {
                return Err(format!(
                    "expected the header `# @package NAME`, but found `# @{header}`"
                )
                .into());
            }
        }
    }
    Ok(package)
}

/// A list or a mapping whose end has not been read yet.
enum Open {
    List(Vec<Node>),
    Map {
        own: Map,
        /// The mappings of `<<` keys; a later one takes precedence over an earlier one.
        merged: Vec<Map>,
        /// The key whose value has not been read yet.
        key: Option<Key>,
    },
}

enum Key {
    Name(String),
    /// The merge key `<<`: the keys of its value are added where the mapping does not set them.
    Merge,
}

#[derive(Default)]
struct Reader {
    /// The open containers, outermost first, each with the number of its anchor (0 if none).
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(
                        "a config must be one YAML document, but a second starts here".into()
                    );
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref())?
            }
            Event::SequenceStart(anchor, tag) => {
                self.no_tag(tag.as_deref())?;
                self.start(Open::List(Vec::new()), anchor)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.no_tag(tag.as_deref())?;
                let open = Open::Map { own: Map::default(), merged: Vec::new(), key: None };
                self.start(open, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (open, anchor) =
                    self.open.pop().expect("the parser closes what it opened: this is a bug");
                let node = match open {
                    Open::List(list) => Node::List(list),
                    Open::Map { own, merged, .. } => Node::Map(with_merged(own, merged)),
                };
                self.value(node, anchor)?;
            }
            Event::Alias(anchor) => {
                let node = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or("an alias refers to a value that contains it")?;
                self.value(node, 0)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn no_tag(&self, tag: Option<&Tag>) -> Result<(), Fault> {
        match tag {
            None => Ok(()),
            Some(tag) => {
                Err(Fault::new(format!("the YAML tag {tag} is not implemented"), "remove it"))
            }
        }
    }

    fn start(&mut self, open: Open, anchor: usize) -> Result<(), Fault> {
        if let Some((Open::Map { key: None, .. }, _)) = self.open.last() {
            return Err("a key must be a string, not a list or a mapping".into());
        }
        if self.open.len() == MAX_DEPTH {
            return Err(format!("lists and mappings are nested more than {MAX_DEPTH} deep").into());
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Fault> {
        let forced_string = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
        if !forced_string {
            self.no_tag(tag)?;
        }
        let node = if style == ScalarStyle::Plain && !forced_string {
            scalar::resolve(text)?
        } else {
            Node::Str(text.to_owned())
        };
        if let Some((Open::Map { own, key, .. }, _)) = self.open.last_mut()
            && key.is_none()
        {
            *key = Some(match node {
                Node::Str(name) if name == "<<" && style == ScalarStyle::Plain => Key::Merge,
                Node::Str(name) if own.get(&name).is_some() => {
                    return Err(format!("the key {name} is set twice").into());
                }
                Node::Str(name) => Key::Name(name),
                other => {
                    return Err(Fault::new(
                        format!("the key {text} is {}, but a key must be a string", other.kind()),
                        format!("write '{text}'"),
                    ));
                }
            });
            return Ok(());
        }
        self.value(node, anchor)
    }

    /// Adds a finished value to the innermost open container.
    fn value(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += count(&node);
        if self.nodes > MAX_NODES {
            let problem = format!("the file has more than {MAX_NODES} values");
            return Err(Fault::new(problem, "avoid nested aliases"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((Open::List(list), _)) => list.push(node),
            Some((Open::Map { own, merged, key }, _)) => match key.take() {
                Some(Key::Name(name)) => own.0.push((name, node)),
                Some(Key::Merge) => merged.extend(merge_sources(node)?),
                None => return Err("a key must be a string".into()),
            },
        }
        Ok(())
    }
}

/// Counts a value and all values within it. The values of a container are counted again when it
/// closes, so a value that is nested d deep counts at most d times.
fn count(node: &Node) -> usize {
    match node {
        Node::List(list) => 1 + list.iter().map(count).sum::<usize>(),
        Node::Map(map) => 1 + map.0.iter().map(|(_, v)| count(v)).sum::<usize>(),
        _ => 1,
    }
}

/// Returns the mappings of `<<: *base` or `<<: [*a, *b]`, in reverse order, since the first takes
/// precedence.
fn merge_sources(node: Node) -> Result<Vec<Map>, Fault> {
    let sources = match node {
        Node::List(list) => list,
        other => vec![other],
    };
    sources
        .into_iter()
        .rev()
        .map(|source| match source {
            Node::Map(map) => Ok(map),
            other => Err(format!("`<<` needs a mapping, but this is {}", other.kind()).into()),
        })
        .collect()
}

fn with_merged(own: Map, merged: Vec<Map>) -> Map {
    let mut all = Map::default();
    for (key, value) in merged.into_iter().chain([own]).flat_map(|map| map.0) {
        all.set(&key, value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text, Path::new("x.yaml")).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(error("a: 1\nb: 2\na: 3\n"), "x.yaml:3: the key a is set twice");
        assert!(error("a:\n  b: [1, 2\nc: 3\n").starts_with("x.yaml:"));
        assert!(error("a: 1\n1: 2\n").starts_with("x.yaml:2: the key 1 is a number"));
        assert!(error("- 1\n").contains("a config must be a mapping, but the file is a list"));
        assert!(error("a: !custom 1\n").contains("tag"));
        assert!(
            error("a: 1\n---\nb: 1\n").starts_with("x.yaml:2: a config must be one YAML document")
        );
        assert!(error("? [a, b]\n: 1\n").contains("a key must be a string"));
        assert!(error("# @package a b\nx: 1").contains("`# @package NAME`"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = |depth| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
        assert!(error(&nested(100)).contains("nested more than 64 deep"));
        // At this depth, the parser itself reports the error.
        assert!(error(&nested(50_000)).starts_with("x.yaml:1"));
        assert!(parse(&nested(60), Path::new("x.yaml")).is_ok());
    }

    #[test]
    fn nested_aliases_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..30 {
            let aliases = vec![format!("*a{}", i - 1); 8].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
        }
        assert!(error(&text).contains("values"));
    }

    #[test]
    fn anchors_merge_keys_and_headers() {
        let file = parse(
            "# @package _global_\nbase: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\nempty:\n",
            Path::new("x.yaml"),
        )
        .unwrap();
        assert_eq!(file.package.as_deref(), Some("_global_"));
        let used = file.content.get("use").unwrap();
        assert_eq!(used.child("x"), Some(&Node::Int(1)));
        assert_eq!(used.child("y"), Some(&Node::Int(3)));
        assert_eq!(file.content.get("empty"), Some(&Node::Null));
    }
}
