//! Parses the overrides of the command line, `a.b=c`, `+a.b=c`, `++a.b=c`, `~a.b` and `group=name`,
//! with Hydra's grammar for values.
//!
//! A value is the text between commas and brackets without the surrounding spaces: a number, a
//! boolean, null or else a string. Of Hydra's functions, only those that list the values of a sweep
//! are implemented.

use crate::error::{ComposeError, Fault};
use crate::suggest::{quoted, shell};
use crate::value::{ESCAPED, Unquoted, Value, range};

/// The limit of nested brackets. Values are parsed recursively.
const MAX_DEPTH: usize = 64;

/// The sign before the key of an override: none, `+`, `++` or `~`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Change,
    Add,
    ForceAdd,
    Delete,
}

/// A parsed override.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    pub(crate) action: Action,
    /// The path of a value or the folder of a group.
    pub(crate) key: String,
    /// The package after `@`.
    pub(crate) package: Option<String>,
    /// The value after `=`, or `None` for a deletion that applies to any value.
    pub(crate) value: Option<Choice>,
    /// The override as the user typed it.
    pub(crate) line: String,
}

/// The right-hand side of an override: one value, or several for a sweep.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Choice {
    One(Value),
    Sweep(Vec<Value>),
    /// `glob(...)`: the configs of a group whose names match one of the patterns.
    Glob(Vec<String>),
}

impl Override {
    pub(crate) fn parse(line: &str) -> Result<Override, ComposeError> {
        Parser { line, rest: line, depth: 0, start: 0, form: Form::Override }
            .run()
            .map_err(|fault| ComposeError::at(format!("override `{line}`"), fault))
    }

    /// Returns whether the override changes a setting of Hydra itself, not of the run.
    pub(crate) fn is_hydra(&self) -> bool {
        self.key == "hydra" || self.key.starts_with("hydra.") || self.key.starts_with("hydra/")
    }

    /// Returns the key with its sign and its package.
    pub(crate) fn key_element(&self) -> String {
        let sign = match self.action {
            Action::Change => "",
            Action::Add => "+",
            Action::ForceAdd => "++",
            Action::Delete => "~",
        };
        match &self.package {
            Some(package) => format!("{sign}{}@{package}", self.key),
            None => format!("{sign}{}", self.key),
        }
    }

    /// Returns the override with its value as one string, as it is typed in a shell.
    pub(crate) fn as_text(&self) -> String {
        let (key, value) = self.line.split_once('=').unwrap_or((&self.line, ""));
        shell(&format!("{key}={}", quoted(value)))
    }

    /// Returns the override with its values as a list, as it is typed in a shell.
    pub(crate) fn as_list(&self) -> String {
        let (key, value) = self.line.split_once('=').unwrap_or((&self.line, ""));
        shell(&format!("{key}=[{value}]"))
    }

    /// Returns the override with another sign before its key, as it is typed in a shell.
    pub(crate) fn with_sign(&self, sign: &str) -> String {
        shell(&format!("{sign}{}", self.line.trim_start_matches(['+', '~'])))
    }

    /// Returns an error that names this override.
    pub(crate) fn error(&self, fault: impl Into<Fault>) -> ComposeError {
        ComposeError::at(format!("override `{}`", self.line), fault)
    }
}

/// What a parser reads; its messages suggest something of the same form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An override of the command line.
    Override,
    /// A value alone.
    Value,
    /// A suggestion that is tried, whose errors nobody sees.
    Trial,
}

struct Parser<'a> {
    line: &'a str,
    rest: &'a str,
    /// The number of brackets that are open.
    depth: usize,
    /// Where the value of the current brackets begins in the line.
    start: usize,
    form: Form,
}

/// Returns whether a text can be the key of an override.
pub(crate) fn is_key(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-$./".contains(c);
    text.chars().all(fits) && text.split('.').all(|part| !part.is_empty())
}

impl Parser<'_> {
    fn run(mut self) -> Result<Override, Fault> {
        let action = if self.eat("++") {
            Action::ForceAdd
        } else if self.eat("+") {
            Action::Add
        } else if self.eat("~") {
            Action::Delete
        } else {
            Action::Change
        };
        let end = self.rest.find('=').unwrap_or(self.rest.len());
        let (key, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (key, package) = match key.split_once('@') {
            Some((key, package)) => (key, Some(package.to_owned())),
            None => (key, None),
        };
        if !is_key(key) {
            return Err(Fault::new(
                format!("`{key}` is not a key"),
                "write a change of the config as a key of names and dots, and a value: \
                 training.seed=1",
            ));
        }
        let value = if self.eat("=") {
            Some(self.choice()?)
        } else if action == Action::Delete {
            None
        } else {
            let delete = shell(&format!("~{key}"));
            return Err(Fault::new(
                "the override has no value",
                format!("write {}=VALUE, or {delete} to delete the key", self.line),
            ));
        };
        Ok(Override { action, key: key.to_owned(), package, value, line: self.line.to_owned() })
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Returns how far the line has been read.
    fn offset(&self) -> usize {
        self.line.len() - self.rest.len()
    }

    /// Returns a hint to quote a part of the line, with the whole line as it should be, or the
    /// whole value where the part alone does not help.
    fn quote_hint(&self, part: std::ops::Range<usize>) -> Option<String> {
        let text = &self.line[part.clone()];
        self.hint("quote it", part, &quoted(text.trim()))
    }

    /// Returns a hint to replace a part of the line.
    fn hint(&self, advice: &str, part: std::ops::Range<usize>, new: &str) -> Option<String> {
        let replaced = format!("{}{new}{}", &self.line[..part.start], &self.line[part.end..]);
        let is_right = |line: &str| {
            let mut parser = Parser { line, rest: line, depth: 0, start: 0, form: Form::Trial };
            match self.form {
                Form::Value => parser.element().is_ok() && parser.rest.is_empty(),
                Form::Override | Form::Trial => parser.run().is_ok(),
            }
        };
        match self.form {
            Form::Trial => None,
            Form::Override => {
                let (key, value) = self.line.split_once('=').unwrap_or((self.line, ""));
                let line = match is_right(&replaced) {
                    true => replaced,
                    false => format!("{key}={}", quoted(value)),
                };
                Some(format!("{advice}, and the whole for the shell: {}", shell(&line)))
            }
            Form::Value => {
                let value = if is_right(&replaced) { replaced } else { quoted(self.line) };
                Some(format!("{advice}: {value}"))
            }
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Parses everything after `=`.
    fn choice(&mut self) -> Result<Choice, Fault> {
        self.skip_spaces();
        if self.rest.is_empty() {
            return Ok(Choice::One(Value::Str(String::new())));
        }
        if let Some(choice) = self.function()? {
            return Ok(choice);
        }
        let mut values = vec![self.element()?];
        while self.eat(",") {
            values.push(self.element()?);
        }
        if let Some(c) = self.rest.chars().next() {
            let remedy = self.quote_hint(self.start..self.line.len());
            return Err(Fault::from(format!("unexpected `{c}` after the value")).with(remedy));
        }
        Ok(match values.len() {
            1 => Choice::One(values.remove(0)),
            _ => Choice::Sweep(values),
        })
    }

    /// Parses `choice(a,b)`, `range(1,4)` or `glob(*)` if it is the whole value.
    fn function(&mut self) -> Result<Option<Choice>, Fault> {
        let Some((name, inner)) = self.rest.split_once('(') else {
            return Ok(None);
        };
        let name = name.trim_end();
        let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(identifier) {
            return Ok(None);
        }
        let name = name.to_owned();
        let whole = self.offset()..self.line.len();
        self.rest = inner;
        let mut arguments = Vec::new();
        self.skip_spaces();
        while !self.eat(")") {
            arguments.push(self.element()?);
            if !self.eat(",") && !self.rest.starts_with(')') {
                let problem = format!("`{name}(` is not closed with `)`");
                return Err(Fault::from(problem).with(self.quote_hint(whole)));
            }
        }
        self.skip_spaces();
        if !self.rest.is_empty() {
            let problem = format!("unexpected `{}` after {name}(...)", self.rest);
            return Err(Fault::from(problem).with(self.quote_hint(whole)));
        }
        match name.as_str() {
            "choice" if !arguments.is_empty() => {
                let plain = arguments.into_iter().map(|argument| match argument {
                    Value::Quoted(text, _) => Value::Str(text),
                    other => other,
                });
                Ok(Some(Choice::Sweep(plain.collect())))
            }
            "range" => Ok(Some(Choice::Sweep(range(&arguments)?))),
            "glob" => {
                let patterns = arguments.into_iter().map(|argument| match argument {
                    Value::Str(text) | Value::Quoted(text, _) => Ok(text),
                    _ => Err("glob takes patterns such as toy_*".into()),
                });
                Ok(Some(Choice::Glob(patterns.collect::<Result<_, Fault>>()?)))
            }
            _ => Err(Fault::from(format!(
                "{name}(...) is not implemented, only choice(a,b), range(start,stop,step) and \
                 glob(pattern)"
            ))
            .with(self.quote_hint(whole))),
        }
    }

    fn element(&mut self) -> Result<Value, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("brackets are nested more than {MAX_DEPTH} deep").into());
        }
        self.skip_spaces();
        self.start = self.offset();
        let value = match self.rest.chars().next() {
            Some('[') => self.list()?,
            Some('{') => self.map()?,
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => self.unquoted(false)?.value(),
        };
        self.skip_spaces();
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.eat("[");
        let mut items = Vec::new();
        self.skip_spaces();
        if !self.eat("]") {
            loop {
                items.push(self.element()?);
                if self.eat("]") {
                    break;
                }
                if !self.eat(",") {
                    return Err("the list is not closed with `]`".into());
                }
            }
        }
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Result<Value, Fault> {
        self.eat("{");
        let mut pairs: Vec<(String, Value)> = Vec::new();
        self.skip_spaces();
        if self.eat("}") {
            return Ok(Value::Map(pairs));
        }
        loop {
            self.skip_spaces();
            let Value::Str(key) = self.unquoted(true)?.value() else {
                return Err("a key of a mapping must be a string".into());
            };
            if !self.eat(":") {
                return Err(format!("`:` is missing after the key {key}").into());
            }
            let value = self.element()?;
            match pairs.iter_mut().find(|(k, _)| *k == key) {
                Some(pair) => pair.1 = value,
                None => pairs.push((key, value)),
            }
            if self.eat("}") {
                break;
            }
            if !self.eat(",") {
                return Err("the mapping is not closed with `}`".into());
            }
        }
        Ok(Value::Map(pairs))
    }

    /// Parses a quoted string up to the next quote that is not escaped. A backslash before any
    /// other character is kept.
    fn quoted(&mut self, quote: char) -> Result<Value, Fault> {
        let mut out = String::new();
        let mut backslashes = 0;
        for (at, c) in self.rest.char_indices().skip(1) {
            if c == '\\' {
                backslashes += 1;
                continue;
            }
            let kept = if c == quote { backslashes / 2 } else { backslashes };
            out.extend(std::iter::repeat_n('\\', kept));
            if c == quote && backslashes % 2 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(Value::Quoted(out, quote));
            }
            backslashes = 0;
            out.push(c);
        }
        Err(format!("the quote {quote} is not closed").into())
    }

    /// Parses a value without quotes and removes its escapes.
    fn unquoted(&mut self, key: bool) -> Result<Unquoted, Fault> {
        let mut out = Unquoted::default();
        while let Some(c) = self.rest.chars().next() {
            let mut length = c.len_utf8();
            match c {
                ',' | ']' | '}' | ')' => break,
                ':' if key => break,
                '$' if !key && self.rest.starts_with("${") => {
                    length = interpolation_end(self.rest)
                        .ok_or("the interpolation `${` is not closed with `}`")?;
                    out.text.push_str(&self.rest[..length]);
                    out.changed = true;
                }
                '\\' => {
                    let next = self.rest[1..].chars().next();
                    match next {
                        Some(next) if ESCAPED.contains(next) => {
                            out.push_escaped(next);
                            length += next.len_utf8();
                        }
                        _ => out.text.push('\\'),
                    }
                }
                '=' | '(' | '[' | '{' | '\'' | '"' | '!' | '#' | '&' | '<' | '>' | ';' | '`'
                | '^' | '~'
                    if key =>
                {
                    return Err(format!("`{c}` is not allowed in a key of a mapping").into());
                }
                '=' | '(' | '[' | '{' | '\'' | '"' | '!' | '#' | '&' | '<' | '>' | ';' | '`'
                | '^' | '~' => {
                    let ends: &[char] = if self.depth > 1 { &[',', ']', '}'] } else { &[','] };
                    let end = self.rest.find(ends).unwrap_or(self.rest.len());
                    let remedy = self.quote_hint(self.start..self.offset() + end);
                    let problem = format!("`{c}` is not allowed in an unquoted value");
                    return Err(Fault::from(problem).with(remedy));
                }
                c => out.text.push(c),
            }
            self.rest = &self.rest[length..];
        }
        out.trim();
        if out.text.is_empty() {
            let here = self.offset();
            let remedy = self.hint("write \"\" for an empty string", here..here, "\"\"");
            return Err(Fault::from("a value is missing").with(remedy));
        }
        Ok(out)
    }
}

/// Returns a hint to give a value that a config leaves open.
pub(crate) fn give(at: &str) -> String {
    match is_key(at) {
        true => format!("write {at}=VALUE"),
        false => "write it into the config".to_owned(),
    }
}

/// Parses a text that consists of exactly one value, as `oc.decode` does.
pub(crate) fn parse_value(text: &str) -> Result<Value, Fault> {
    let mut parser = Parser { line: text, rest: text, depth: 0, start: 0, form: Form::Value };
    let value = parser.element()?;
    match parser.rest.chars().next() {
        None => Ok(value),
        Some(c) => Err(format!("unexpected `{c}` after the value").into()),
    }
}

/// Returns the byte offset after the `}` that closes the `${` at the start.
pub(crate) fn interpolation_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> String {
        Override::parse(line).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_override_is_an_error() {
        for (line, part) in [
            ("a", "has no value"),
            ("=1", "is not a key"),
            ("a b=1", "is not a key"),
            ("a..b=1", "is not a key"),
            ("a=b=c", "is not allowed in an unquoted value"),
            ("a=[1,2", "not closed"),
            ("a={x:1", "not closed"),
            ("a={x}", "`:` is missing"),
            ("a='x", "not closed"),
            ("a='x'y", "unexpected `y`"),
            ("a=${x", "not closed"),
            ("a=1,", "a value is missing"),
            ("a=sort(1,2)", "not implemented"),
            ("a=range(1,10,0)", "step 0"),
            ("a=range(1,x)", "takes numbers"),
            ("a=f(x)", "not implemented"),
            ("a=]", "a value is missing"),
            (&format!("a={}", "[".repeat(10_000)), "nested"),
        ] {
            let text = error(line);
            assert!(text.contains(part), "{line}: {text}");
            assert!(text.starts_with(&format!("override `{line}`")), "{text}");
        }
    }

    #[test]
    fn sweeps_are_listed() {
        let sweep = |line: &str| match Override::parse(line).unwrap().value.unwrap() {
            Choice::Sweep(values) => values.iter().map(Value::to_override).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(sweep("a=1,b,[x,'y z']"), ["1", "b", "[x,'y z']"]);
        assert_eq!(sweep("a=range(3)"), ["0", "1", "2"]);
        assert_eq!(sweep("a=range(5,1,-2)"), ["5", "3"]);
        assert_eq!(sweep("a=range(0.1,0.4,0.1)"), ["0.1", "0.2", "0.3"]);
        assert_eq!(sweep("a=choice(x, y)"), ["x", "y"]);
    }

    #[test]
    fn a_sweeps_values_are_read_back() {
        for line in
            ["a=x\\,y", "a='it\\'s'", "a=\"back\\\\\"", "a={k:[1,2.5,null,True]}", "a='a\\b'"]
        {
            let value = |line: &str| match Override::parse(line).unwrap().value.unwrap() {
                Choice::One(value) => value,
                other => panic!("{other:?}"),
            };
            let first = value(line);
            let again = value(&format!("a={}", first.to_override()));
            assert_eq!(first, again, "{line}: {}", first.to_override());
        }
    }
}
