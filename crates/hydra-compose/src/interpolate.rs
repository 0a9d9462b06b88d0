//! Resolves interpolations as OmegaConf 2.3 does: `${a.b}`, `${.sibling}`, `${..x}` and
//! `${oc.env:NAME,default}`, alone, within a string and nested in each other.
//!
//! The implemented resolvers are `oc.env`, `oc.decode`, `oc.select`, and Hydra's `now` and `hydra`.

use crate::error::{ComposeError, Fault};
use crate::nearest::did_you_mean;
use crate::node::Node;
use crate::overrides::{give, parse_value};
use crate::template::{Argument, Fragment, Interpolation, is_interpolation, parse};
use crate::time::Moment;

/// The limit of resolved nodes. Nested interpolations can grow exponentially.
const MAX_WORK: usize = 100_000;

/// The limit of chained interpolations. Chains are followed recursively.
const MAX_CHAIN: usize = 100;

/// Resolves the values of one config.
pub(crate) struct Resolver<'a> {
    /// The config with Hydra's own node, `hydra`.
    root: &'a Node,
    now: Moment,
    /// The paths that are being resolved, outermost first. A path that occurs a second time is a
    /// cycle.
    open: Vec<Vec<String>>,
    /// The number of nodes resolved so far, bounded by [`MAX_WORK`].
    work: usize,
}

/// Joins the keys of a path with dots.
fn dotted(path: &[String]) -> String {
    path.join(".")
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(root: &'a Node, now: Moment) -> Resolver<'a> {
        Resolver { root, now, open: Vec::new(), work: 0 }
    }

    /// Returns the value at a path, with everything below it resolved.
    pub(crate) fn resolve(&mut self, path: &[String]) -> Result<Node, ComposeError> {
        let node = self.root.select(path).ok_or_else(|| error(path, "no such key"))?;
        self.resolve_node(path, node)
    }

    fn resolve_node(&mut self, path: &[String], node: &Node) -> Result<Node, ComposeError> {
        let child = |key: String| {
            let mut path = path.to_vec();
            path.push(key);
            path
        };
        self.work += 1;
        if self.work > MAX_WORK {
            return Err(error(path, "nested interpolations resolve to too many values"));
        }
        match node {
            Node::Map(map) => {
                let mut resolved = super::node::Map::default();
                for (key, value) in &map.0 {
                    let value = self.resolve_node(&child(key.clone()), value)?;
                    resolved.set(key, value);
                }
                Ok(Node::Map(resolved))
            }
            Node::List(list) => list
                .iter()
                .enumerate()
                .map(|(i, value)| self.resolve_node(&child(i.to_string()), value))
                .collect::<Result<_, _>>()
                .map(Node::List),
            Node::Str(text) if is_interpolation(text) => {
                if self.open.iter().any(|open| open == path) {
                    let around: Vec<String> = self.open.iter().map(|p| dotted(p)).collect();
                    return Err(error(
                        path,
                        format!("the interpolation needs itself: {}", around.join(" -> ")),
                    ));
                }
                if self.open.len() == MAX_CHAIN {
                    return Err(error(path, "the chain of interpolations is too long"));
                }
                let parts = parse(text).map_err(|message| error(path, message))?;
                self.open.push(path.to_vec());
                let value = self.parts(path, &parts);
                self.open.pop();
                value
            }
            other => Ok(other.clone()),
        }
    }

    /// Resolves a parsed string. A single interpolation keeps the type of its value; with text
    /// around it, the result is a string.
    fn parts(&mut self, path: &[String], parts: &[Fragment]) -> Result<Node, ComposeError> {
        if let [Fragment::Interpolation(one)] = parts {
            return self.interpolation(path, one);
        }
        let mut text = String::new();
        for part in parts {
            match part {
                Fragment::Text(piece) => text.push_str(piece),
                Fragment::Interpolation(one) => {
                    let value = self.interpolation(path, one)?;
                    let piece = value.python_str().ok_or_else(|| {
                        error(path, format!("{} cannot be part of a string", value.kind()))
                    })?;
                    text.push_str(&piece);
                }
            }
            self.work += text.len() / 1024;
        }
        Ok(Node::Str(text))
    }

    fn interpolation(
        &mut self,
        path: &[String],
        one: &Interpolation,
    ) -> Result<Node, ComposeError> {
        match one {
            Interpolation::Node { dots, keys } => {
                let mut names = Vec::new();
                for key in keys {
                    names.push(self.name(path, key)?);
                }
                let target = absolute(path, *dots, &names)?;
                self.lookup(path, &target)
            }
            Interpolation::Resolver { name, arguments } => {
                let name = self.name(path, name)?;
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.argument(path, argument)?);
                }
                self.call(path, &name, values)
            }
        }
    }

    fn name(&mut self, path: &[String], parts: &[Fragment]) -> Result<String, ComposeError> {
        match self.parts(path, parts)? {
            Node::Str(name) => Ok(name),
            other => Err(error(
                path,
                format!("a key must be a string, but the value is {}", other.kind()),
            )),
        }
    }

    fn argument(&mut self, path: &[String], argument: &Argument) -> Result<Node, ComposeError> {
        match argument {
            Argument::Value(value) => Ok(value.to_node()),
            Argument::Parts(parts) => self.parts(path, parts),
        }
    }

    /// Returns the value at an absolute path, following the interpolations on the way.
    fn lookup(&mut self, from: &[String], target: &[String]) -> Result<Node, ComposeError> {
        let mut here: Vec<String> = Vec::new();
        let mut node = self.root;
        for (i, key) in target.iter().enumerate() {
            let Some(child) = node.child(key) else {
                return Err(not_found(from, target, &here, node, key));
            };
            here.push(key.clone());
            node = child;
            let last = i + 1 == target.len();
            if !last
                && let Node::Str(text) = node
                && is_interpolation(text)
            {
                let rest = &target[i + 1..];
                let moved = self.follow(from, &here, text)?;
                self.work += 1;
                if self.work > MAX_WORK || self.open.contains(&here) {
                    return Err(error(&here, "the interpolation needs itself"));
                }
                self.open.push(here);
                let value = self.lookup(from, &[&moved[..], rest].concat());
                self.open.pop();
                return value;
            }
        }
        if node.is_missing() {
            return Err(error(
                from,
                Fault::new(
                    format!("{} is ???: a value must be given", dotted(target)),
                    give(&dotted(target)),
                ),
            ));
        }
        self.resolve_node(&here, node)
    }

    /// Returns the absolute path that an interpolation leads to when keys below it are looked up.
    fn follow(
        &mut self,
        from: &[String],
        here: &[String],
        text: &str,
    ) -> Result<Vec<String>, ComposeError> {
        let parts = parse(text).map_err(|message| error(here, message))?;
        let [Fragment::Interpolation(Interpolation::Node { dots, keys })] = &parts[..] else {
            return Err(error(
                from,
                format!("{} is not a mapping or a list and has no keys", dotted(here)),
            ));
        };
        let mut names = Vec::new();
        for key in keys {
            names.push(self.name(here, key)?);
        }
        absolute(here, *dots, &names)
    }

    fn call(&mut self, path: &[String], name: &str, args: Vec<Node>) -> Result<Node, ComposeError> {
        let text = |node: &Node| match node {
            Node::Str(text) => Ok(text.clone()),
            other => Err(error(
                path,
                format!("{name} takes a string, but the argument is {}", other.kind()),
            )),
        };
        match (name, &args[..]) {
            ("oc.env", [key] | [key, _]) => {
                let key = text(key)?;
                match (std::env::var(&key), args.get(1)) {
                    (Ok(value), _) => Ok(Node::Str(value)),
                    (Err(_), Some(Node::Null)) => Ok(Node::Null),
                    (Err(_), Some(default)) => {
                        default.python_str().map(Node::Str).ok_or_else(|| {
                            error(
                                path,
                                format!("the default must be a scalar, not {}", default.kind()),
                            )
                        })
                    }
                    (Err(_), None) => Err(error(
                        path,
                        Fault::new(
                            format!("the environment variable {key} is not set"),
                            format!("set it, or give a default with ${{oc.env:{key},DEFAULT}}"),
                        ),
                    )),
                }
            }
            ("oc.decode", [Node::Null]) => Ok(Node::Null),
            ("oc.decode", [value]) => parse_value(&text(value)?)
                .map(|value| value.to_node())
                .map_err(|message| error(path, message)),
            ("oc.select", [key] | [key, _]) => {
                let target: Vec<String> = text(key)?.split('.').map(str::to_owned).collect();
                match self.root.select(&target) {
                    Some(node) if !node.is_missing() => self.lookup(path, &target),
                    _ => Ok(args.get(1).cloned().unwrap_or(Node::Null)),
                }
            }
            ("now", [format]) => self
                .now
                .format(&text(format)?)
                .map(Node::Str)
                .map_err(|message| error(path, message)),
            ("hydra", [key]) => {
                let target: Vec<String> = std::iter::once("hydra")
                    .chain(text(key)?.split('.'))
                    .map(str::to_owned)
                    .collect();
                self.lookup(path, &target)
            }
            ("oc.env" | "oc.decode" | "oc.select" | "now" | "hydra", _) => {
                Err(error(path, format!("{name} does not take {} arguments", args.len())))
            }
            _ => Err(error(
                path,
                format!(
                    "the resolver {name} is not implemented; there are oc.env, oc.decode, \
                     oc.select, now and hydra"
                ),
            )),
        }
    }
}

fn error(path: &[String], fault: impl Into<Fault>) -> ComposeError {
    ComposeError::at(dotted(path), fault)
}

/// Returns the absolute path of an interpolation at `path`. With one dot, the keys start beside the
/// value at `path`; every further dot moves one level up; without dots they start at the root.
fn absolute(path: &[String], dots: usize, keys: &[String]) -> Result<Vec<String>, ComposeError> {
    if dots == 0 {
        return Ok(keys.to_vec());
    }
    let Some(up) = path.len().checked_sub(dots) else {
        return Err(error(path, format!("{} dots lead above the root of the config", dots)));
    };
    Ok([&path[..up], keys].concat())
}

fn not_found(
    from: &[String],
    target: &[String],
    here: &[String],
    node: &Node,
    key: &str,
) -> ComposeError {
    let hint = match node {
        Node::Map(map) => {
            let names: Vec<String> =
                map.keys().map(|name| dotted(&[here, &[name.to_owned()]].concat())).collect();
            let wanted = dotted(&[here, &[key.to_owned()]].concat());
            did_you_mean(&wanted, names.iter().map(String::as_str))
        }
        _ => None,
    };
    let problem = format!("the interpolation refers to {}, which does not exist", dotted(target));
    error(from, Fault::from(problem).with(hint))
}
