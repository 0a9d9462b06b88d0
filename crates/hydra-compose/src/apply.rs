//! Applies overrides of values: `a.b=c` changes an existing value, `+a.b=c` adds a new one,
//! `++a.b=c` does either, and `~a.b` deletes one.

use crate::error::{ComposeError, Fault};
use crate::nearest::did_you_mean;
use crate::node::{Map, Node};
use crate::overrides::{Action, Choice, Override};

/// Applies one override of a value. Overrides that choose a config of a group never reach it; the
/// module `defaults` handles them.
pub(crate) fn apply(root: &mut Node, one: &Override) -> Result<(), ComposeError> {
    let path: Vec<String> = one.key.split('.').map(str::to_owned).collect();
    let value = match &one.value {
        Some(Choice::One(value)) => Some(value.to_node()),
        Some(Choice::Sweep(_) | Choice::Glob(_)) => {
            return Err(one.error(several_values(one)));
        }
        None => None,
    };
    match (one.action, value) {
        (Action::Delete, value) => delete(root, &path, value.as_ref(), one),
        (Action::Add, Some(value)) => {
            let there = root.select(&path).is_some_and(|node| *node != Node::Null);
            if there && !matches!(value, Node::List(_) | Node::Map(_)) {
                return Err(one.error(Fault::new(
                    format!("{} exists already", one.key),
                    format!("write {} to change it, or {}", one.with_sign(""), one.with_sign("++")),
                )));
            }
            set(root, &path, value, true, one)
        }
        (Action::ForceAdd, Some(value)) => set(root, &path, value, true, one),
        (Action::Change, Some(value)) => set(root, &path, value, false, one),
        (_, None) => Err(one.error("the override has no value")),
    }
}

/// Returns the fault of an override that has several values outside a sweep.
pub(crate) fn several_values(one: &Override) -> Fault {
    let remedy = format!(
        "add -m to run them in turn, or write {} for a list and {} for a string",
        one.as_list(),
        one.as_text()
    );
    Fault::new("the override has several values", remedy)
}

fn set(
    root: &mut Node,
    path: &[String],
    value: Node,
    add: bool,
    one: &Override,
) -> Result<(), ComposeError> {
    let (last, parents) = path.split_last().expect("a key has at least one part: this is a bug");
    let mut node = root;
    for (i, key) in parents.iter().enumerate() {
        if node.child(key).is_none() {
            add_child(node, path, i, Node::Map(Map::default()), add, one)?;
        }
        let child = node.child_mut(key).expect("the child exists or was added: this is a bug");
        if !matches!(child, Node::Map(_) | Node::List(_)) {
            if !add {
                let here = path[..=i].join(".");
                let kind = child.kind();
                return Err(one.error(Fault::new(
                    format!("{here} is {kind} and has no keys"),
                    format!("to replace it, write {}", one.with_sign("+")),
                )));
            }
            *child = Node::Map(Map::default());
        }
        node = child;
    }
    match node.child_mut(last) {
        None => add_child(node, path, parents.len(), value, add, one),
        Some(Node::Map(old)) => match value {
            Node::Map(new) => {
                if !add {
                    no_new_keys(old, &new, &one.key, one)?;
                }
                old.merge(new).map_err(|message| one.error(message))
            }
            Node::List(_) => Err(one.error(format!("{} is a mapping, not a list", one.key))),
            other => {
                *node.child_mut(last).expect("the child exists: this is a bug") = other;
                Ok(())
            }
        },
        Some(Node::List(_)) if matches!(value, Node::Map(_)) => {
            Err(one.error(format!("{} is a list, not a mapping", one.key)))
        }
        Some(old) => {
            *old = value;
            Ok(())
        }
    }
}

/// Inserts a new key into a mapping, or returns an error if the override may not add keys.
fn add_child(
    node: &mut Node,
    path: &[String],
    depth: usize,
    value: Node,
    add: bool,
    one: &Override,
) -> Result<(), ComposeError> {
    let here = path[..=depth].join(".");
    match node {
        Node::Map(map) if add => {
            map.set(&path[depth], value);
            Ok(())
        }
        Node::Map(map) => Err(no_key(&here, did_you_mean(&path[depth], map.keys()), one)),
        Node::List(list) => {
            Err(one.error(format!("{here}: the list has {} entries, counted from 0", list.len())))
        }
        other => Err(one.error(format!("{here}: {} has no keys", other.kind()))),
    }
}

/// Returns the error of an override that changes a key which does not exist.
fn no_key(key: &str, question: Option<String>, one: &Override) -> ComposeError {
    let add = one.with_sign("+");
    let remedy = match question {
        Some(question) => format!("{question} To add it, write {add}"),
        None => format!("to add it, write {add}"),
    };
    one.error(Fault::new(format!("no key named {key}"), remedy))
}

fn no_new_keys(old: &Map, new: &Map, at: &str, one: &Override) -> Result<(), ComposeError> {
    for (key, value) in &new.0 {
        match (old.get(key), value) {
            (None, _) => {
                return Err(no_key(&format!("{at}.{key}"), did_you_mean(key, old.keys()), one));
            }
            (Some(Node::Map(old)), Node::Map(new)) => {
                no_new_keys(old, new, &format!("{at}.{key}"), one)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn delete(
    root: &mut Node,
    path: &[String],
    value: Option<&Node>,
    one: &Override,
) -> Result<(), ComposeError> {
    let (last, parents) = path.split_last().expect("a key has at least one part: this is a bug");
    let Some(old) = root.select(path) else {
        let around = root.select(parents);
        let hint = match around {
            Some(Node::Map(map)) => did_you_mean(last, map.keys()),
            _ => None,
        };
        return Err(one.error(Fault::from(format!("no key named {}", one.key)).with(hint)));
    };
    // A sweep passes `~key` to its jobs as `~key=null`, so null matches any value.
    if let Some(value) = value
        && *value != Node::Null
        && value != old
    {
        return Err(one.error(format!("{} has another value", one.key)));
    }
    let mut node = root;
    for key in parents {
        node = node.child_mut(key).expect("the path was just selected: this is a bug");
    }
    match node {
        Node::Map(map) => {
            map.remove(last);
        }
        Node::List(list) => {
            let at: usize = last.parse().expect("the index was just selected: this is a bug");
            list.remove(at);
        }
        _ => {}
    }
    Ok(())
}
