//! Added tokens, which are cut out of a text before any other step of tokenization.
//!
//! They are stored in up to four files of a model folder. This module merges them as transformers
//! 4.56 does: `added_tokens_decoder` of `tokenizer_config.json` takes precedence over
//! `added_tokens` of `tokenizer.json`. If the former is absent (folders written by transformers
//! before 4.34), `added_tokens.json` and `special_tokens_map.json` are read. The tokens of the
//! roles (`cls_token` …) come last.

use rustc_hash::FxHashSet;
use serde_json::{Value, json};

use crate::config::Config;
use crate::error::TextError;

/// The role names in the order of transformers.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const ADDITIONAL: &str = "additional_special_tokens";
/// The other name of the same list: a list in transformers 5, and in 4.46 to 4.57 a mapping from
/// names of roles to tokens.
const EXTRA: &str = "extra_special_tokens";

/// An added token with the flags that determine how it is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(crate) id: u32,
    pub(crate) content: String,
    pub(crate) single_word: bool,
    pub(crate) lstrip: bool,
    pub(crate) rstrip: bool,
    pub(crate) normalized: bool,
    pub(crate) special: bool,
}

impl AddedToken {
    /// Returns a special token of which only the text is known.
    fn special(content: &str) -> Self {
        Self {
            id: 0,
            content: content.to_owned(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }

    /// Parses an object with `content`, or returns `None` if the value is not such an object.
    fn parse(value: &Value, id: u32) -> Option<Self> {
        let flag = |key: &str, default| value.get(key).map_or(Some(default), Value::as_bool);
        let special = flag("special", false)?;
        Some(Self {
            id,
            content: value.get("content")?.as_str()?.to_owned(),
            single_word: flag("single_word", false)?,
            lstrip: flag("lstrip", false)?,
            rstrip: flag("rstrip", false)?,
            normalized: flag("normalized", !special)?,
            special,
        })
    }

    /// Returns the token in the form of a `tokenizer.json`.
    pub(crate) fn to_json(&self) -> Value {
        json!({"id": self.id, "content": self.content, "single_word": self.single_word,
               "lstrip": self.lstrip, "rstrip": self.rstrip, "normalized": self.normalized,
               "special": self.special})
    }
}

/// Reads `added_tokens` of a `tokenizer.json`.
pub(crate) fn of_tokenizer_json(file: &Config) -> Result<Vec<AddedToken>, TextError> {
    let wrong = || file.unsupported("added_tokens", "a list of objects with id and content");
    let Some(tokens) = file.value("added_tokens") else { return Ok(Vec::new()) };
    let tokens = tokens.as_array().ok_or_else(wrong)?.iter();
    let token = |token: &Value| {
        let id = token.get("id")?.as_u64()?.try_into().ok()?;
        AddedToken::parse(token, id)
    };
    tokens.map(|value| token(value).ok_or_else(wrong)).collect()
}

/// The vocabulary that tokens are added to.
pub(crate) struct Base<'a> {
    /// Returns the id of a token of the vocabulary.
    pub(crate) id: &'a dyn Fn(&str) -> Option<u32>,
    /// The number of tokens in the vocabulary, which is the first free id.
    pub(crate) len: usize,
    /// Whether ids of `added_tokens_decoder` apply even if the vocabulary has other ones, as in the
    /// tokenizer classes of transformers that are written in Python.
    pub(crate) keep_ids: bool,
}

/// A token with the role that it has.
struct Role {
    name: String,
    token: AddedToken,
    /// Whether the role is an object with flags, rather than a plain text.
    object: bool,
}

/// Returns all added tokens: those `present` in the `tokenizer.json`, and those that the config
/// adds or changes. `defaults` are the tokens of roles that the config does not mention.
pub(crate) fn resolve(
    config: &Config,
    present: Vec<AddedToken>,
    defaults: &[(&str, &str)],
    base: &Base<'_>,
) -> Result<Vec<AddedToken>, TextError> {
    let mut decoder = Vec::new();
    let mut roles = roles(config)?;
    let modern = config.value("added_tokens_decoder").is_some();
    if modern {
        let entries = config.object("added_tokens_decoder")?;
        for (id, value) in entries.entries() {
            let token = id.parse().ok().and_then(|id| AddedToken::parse(value, id));
            decoder.push(token.ok_or_else(|| entries.unsupported(id, "an object with content"))?);
        }
    } else {
        for role in self::roles(&config.beside("special_tokens_map.json")?)? {
            roles.retain(|known| match role.name == ADDITIONAL {
                true => known.name != ADDITIONAL || known.token.content != role.token.content,
                false => known.name != role.name,
            });
            roles.push(role);
        }
        let entries = config.beside("added_tokens.json")?;
        for (content, id) in entries.entries() {
            let id = id.as_u64().and_then(|id| id.try_into().ok());
            let id = id.ok_or_else(|| entries.unsupported(content, "ids"))?;
            let special = roles.iter().any(|role| role.token.content == *content);
            let token = AddedToken::special(content);
            decoder.push(AddedToken { id, special, normalized: !special, ..token });
        }
        // Tokens of `tokenizer.json` take precedence over these files.
        decoder.retain(|token| !present.iter().any(|known| known.content == token.content));
    }
    for (name, token) in defaults {
        if !roles.iter().any(|role| role.name == *name) {
            let token = AddedToken::special(token);
            roles.push(Role { name: (*name).to_owned(), token, object: false });
        }
    }
    decoder.sort_by_key(|token| token.id);
    let order = |name: &str| ROLES.iter().position(|known| *known == name);
    roles.sort_by_key(|role| order(&role.name).unwrap_or(ROLES.len()));

    let mut tokens = present;
    for token in &decoder {
        let special = token.special || roles.iter().any(|role| role.token.content == token.content);
        let keep = base.keep_ids.then_some(token.id);
        add(&mut tokens, AddedToken { special, ..token.clone() }, keep, base);
    }
    for Role { token, object, .. } in roles {
        let in_decoder = decoder.iter().any(|known| known.content == token.content);
        match tokens.iter_mut().find(|known| known.content == token.content) {
            // The flags of a role take precedence over those of `tokenizer.json` only if they are
            // written out.
            Some(known) if !modern || !object || in_decoder => known.special = true,
            _ => add(&mut tokens, token, None, base),
        }
    }
    Ok(tokens)
}

/// Returns the tokens that the files beside a vocabulary give an id.
pub(crate) fn declared(config: &Config) -> Result<FxHashSet<String>, TextError> {
    if config.value("added_tokens_decoder").is_none() {
        let entries = config.beside("added_tokens.json")?;
        return Ok(entries.entries().map(|(content, _)| content.clone()).collect());
    }
    let entries = config.object("added_tokens_decoder")?;
    let contents = entries.entries().filter_map(|(_, token)| token.get("content")?.as_str());
    Ok(contents.map(str::to_owned).collect())
}

/// Returns the tokens of all roles in an object.
fn roles(map: &Config) -> Result<Vec<Role>, TextError> {
    let mut found: Vec<(&str, &Value)> =
        ROLES.iter().filter_map(|role| Some((*role, map.value(role)?))).collect();
    for key in [ADDITIONAL, EXTRA] {
        match map.value(key) {
            None => {}
            Some(Value::Array(values)) => {
                found.extend(values.iter().map(|value| (ADDITIONAL, value)));
            }
            Some(Value::Object(named)) if key == EXTRA => {
                found.extend(named.values().map(|value| (ADDITIONAL, value)));
            }
            Some(_) => return Err(map.unsupported(key, "a list of tokens")),
        }
    }
    // transformers 5 takes every key that ends so for the role of a special token.
    let own = map.entries().filter(|(key, value)| {
        key.ends_with("_token")
            && !ROLES.contains(&&***key)
            && (value.is_string() || value.is_object())
    });
    found.extend(own.map(|(_, value)| (ADDITIONAL, value)));
    let role = |(name, value): (&str, &Value)| {
        let (token, object) = match value {
            Value::String(content) => (AddedToken::special(content), false),
            value => {
                let token = AddedToken::parse(value, 0)?;
                let normalized = token.normalized && value.get("normalized").is_some();
                (AddedToken { special: true, normalized, ..token }, true)
            }
        };
        Some(Role { name: name.to_owned(), token, object })
    };
    let wrong = |name| map.unsupported(name, "a token, as a text or an object with its content");
    found.into_iter().map(|found| role(found).ok_or_else(|| wrong(found.0))).collect()
}

/// Adds a token, or replaces the flags of a known one.
fn add(tokens: &mut Vec<AddedToken>, token: AddedToken, id: Option<u32>, base: &Base<'_>) {
    if token.content.is_empty() {
        return;
    }
    if let Some(known) = tokens.iter_mut().find(|known| known.content == token.content) {
        *known = AddedToken { id: known.id, ..token };
        return;
    }
    let after = tokens.iter().map(|token| token.id.saturating_add(1)).max().unwrap_or(0);
    let next = || after.max(base.len as u32);
    let id = id.or_else(|| (base.id)(&token.content)).unwrap_or_else(next);
    tokens.push(AddedToken { id, ..token });
}
