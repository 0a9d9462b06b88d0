//! What a source file says about modules, imports and paths.

use std::collections::BTreeSet;

use super::lexer::{Token, tokens};

/// A module as it is written, a file or `mod name { … }` in one.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Modules in files of their own.
    pub(super) files: Vec<String>,
    /// Modules in the same file.
    pub(super) inline: Vec<(String, Written)>,
    /// Names of the items that are defined here.
    pub(super) items: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Paths of two names or more outside imports.
    pub(super) paths: Vec<(Vec<String>, usize)>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// The name that it has here, or `None` for all names of `path`.
    pub(super) name: Option<String>,
    /// Whether it passes names on: `pub use` of any kind.
    pub(super) is_pub: bool,
    pub(super) line: usize,
}

pub(super) fn parse(source: &str) -> Written {
    let tokens = tokens(source);
    Parser { tokens: &tokens, at: 0 }.module()
}

/// Keywords that name an item: the name follows.
const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
}

impl<'a> Parser<'a> {
    /// The text `ahead` tokens from here, empty after the end.
    fn text(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    fn is_word(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(Token::is_word)
    }

    fn behind(&self, by: usize) -> &'a str {
        self.at.checked_sub(by).map_or("", |at| self.tokens[at].text)
    }

    /// Reads to the end of the file or past the bracket that ends the module.
    fn module(&mut self) -> Written {
        let mut module = Written::default();
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text {
                "#" if self.text(1) == "!" && self.text(2) == "[" => {
                    self.at += 2;
                    if self.attribute_is_test() {
                        self.at = self.tokens.len();
                    }
                    continue;
                }
                "#" if self.text(1) == "[" => {
                    self.at += 1;
                    if self.attribute_is_test() {
                        self.skip_item();
                    }
                    continue;
                }
                "{" => depth += 1,
                "}" if depth == 0 => {
                    self.at += 1;
                    return module;
                }
                "}" => depth -= 1,
                "mod" if self.is_word(1) && self.text(2) == ";" => {
                    module.files.push(self.text(1).to_owned());
                    self.at += 2;
                }
                "mod" if self.is_word(1) && self.text(2) == "{" => {
                    let name = self.text(1).to_owned();
                    self.at += 3;
                    module.inline.push((name, self.module()));
                    continue;
                }
                "use" if self.text(1) != "<" => {
                    let is_pub = matches!(self.behind(1), "pub" | ")");
                    let line = token.line;
                    self.at += 1;
                    self.import(&[], is_pub, line, &mut module.imports);
                    continue;
                }
                "macro_rules" if self.text(1) == "!" => {
                    module.items.insert(self.text(2).to_owned());
                    self.at += 2;
                }
                item if depth == 0 && ITEMS.contains(&item) && self.is_word(1) => {
                    let name = if self.text(1) == "mut" { self.text(2) } else { self.text(1) };
                    module.items.insert(name.to_owned());
                }
                _ if token.is_word() && self.text(1) == "::" && self.is_word(2) => {
                    let path = self.path();
                    module.paths.extend(path.map(|path| (path, token.line)));
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        module
    }

    /// Reads `a::b::c`, which is no path of this crate after `.` or `::`, nor in `pub(in …)`.
    fn path(&mut self) -> Option<Vec<String>> {
        let before = self.behind(1);
        let is_other = matches!(before, "." | "::") || (before == "in" && self.behind(2) == "(");
        let mut path = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && self.is_word(1) {
            path.push(self.text(1).to_owned());
            self.at += 2;
        }
        (!is_other).then_some(path)
    }

    /// Reads a tree of imports up to the sign behind it: `,`, `}` or `;`.
    fn import(&mut self, before: &[String], is_pub: bool, line: usize, into: &mut Vec<Import>) {
        let mut path = before.to_vec();
        let is_outside = self.text(0) == "::";
        let mut found = Vec::new();
        loop {
            match self.text(0) {
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        let line = self.tokens[self.at].line;
                        self.import(&path, is_pub, line, &mut found);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                }
                "*" => {
                    found.push(Import { path: path.clone(), name: None, is_pub, line });
                    self.at += 1;
                }
                "::" => self.at += 1,
                _ if self.is_word(0) => {
                    // `a::{self}` is `a`.
                    if self.text(0) != "self" || path.is_empty() {
                        path.push(self.text(0).to_owned());
                    }
                    self.at += 1;
                    if self.text(0) != "::" {
                        let mut name = path.last().cloned();
                        if self.text(0) == "as" {
                            name = Some(self.text(1).to_owned());
                            self.at += 2;
                        }
                        found.push(Import { path: path.clone(), name, is_pub, line });
                    }
                }
                _ => break,
            }
        }
        if !is_outside {
            into.append(&mut found);
        }
    }

    /// Passes an attribute, from its bracket on, and tells whether it is `cfg(test)` or `cfg(all(test, …))`.
    fn attribute_is_test(&mut self) -> bool {
        let start = self.at;
        self.skip_brackets();
        let text: String = self.tokens[start..self.at].iter().map(|token| token.text).collect();
        text == "[cfg(test)]" || text.starts_with("[cfg(all(test,")
    }

    /// Passes what an attribute belongs to: an item, a statement, a field or a variant.
    fn skip_item(&mut self) {
        while self.text(0) == "#" {
            self.at += 1;
            self.skip_brackets();
        }
        let is_item = ITEMS.contains(&self.text(0))
            || matches!(
                self.text(0),
                "pub" | "mod" | "use" | "impl" | "unsafe" | "async" | "extern"
            );
        loop {
            match self.text(0) {
                "" | "}" | ")" | "]" => return,
                "," if !is_item => break,
                ";" => break,
                "{" => {
                    self.skip_brackets();
                    return;
                }
                "(" | "[" => self.skip_brackets(),
                _ => self.at += 1,
            }
        }
        self.at += 1;
    }

    /// Passes the bracket here and all up to the one that closes it.
    fn skip_brackets(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.text(0) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth <= 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_of_every_form() {
        let source = "
            use a;
            pub use crate::b::{self, C as D, e::{F, *}};
            pub(crate) use super::super::g::h;
            use ::outside::I;
            fn f() -> impl T + use<'_> { use self::j::K; }";
        let module = parse(source);
        let imports: Vec<_> = module
            .imports
            .iter()
            .map(|i| {
                let name = i.name.as_deref().unwrap_or("*");
                format!(
                    "{}{} {name} {}",
                    if i.is_pub { "pub " } else { "" },
                    i.path.join("::"),
                    i.line
                )
            })
            .collect();
        assert_eq!(
            imports,
            [
                "a a 2",
                "pub crate::b b 3",
                "pub crate::b::C D 3",
                "pub crate::b::e::F F 3",
                "pub crate::b::e * 3",
                "pub super::super::g::h h 4",
                "self::j::K K 6",
            ]
        );
    }

    #[test]
    fn modules_items_and_paths() {
        let source = "
            mod a;
            pub mod b { pub fn in_b() {} }
            pub const fn f() { let x = crate::c::D::new(); x.y::<T>(); static mut S: u8 = 0; }
            static mut G: u8 = 0;
            macro_rules! m { () => { $crate::c::E } }
            impl A { fn method() { b::in_b() } }
            #[cfg(test)]
            mod tests { fn g() { crate::no::No } }
            struct P { #[cfg(test)] field: crate::no::No, other: crate::c::Yes }";
        let module = parse(source);
        assert_eq!(module.files, ["a"]);
        assert_eq!(module.inline.len(), 1);
        assert!(module.inline[0].1.items.contains("in_b"));
        let items: Vec<_> = module.items.iter().map(String::as_str).collect();
        assert_eq!(items, ["G", "P", "f", "fn", "m"]);
        let paths: Vec<_> = module.paths.iter().map(|(path, _)| path.join("::")).collect();
        assert_eq!(paths, ["crate::c::D::new", "crate::c::E", "b::in_b", "crate::c::Yes"]);
    }
}
