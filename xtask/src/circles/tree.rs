//! The modules of a crate, and where its paths lead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::module::{Import, Written, parse};
use crate::files::{Failure, read};

/// The modules of a crate; the first one is its root.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) files: Vec<PathBuf>,
    modules: Vec<Module>,
}

#[derive(Debug)]
struct Module {
    /// An index of `Tree::files`.
    file: usize,
    /// The module around it; the root's is itself.
    parent: usize,
    children: BTreeMap<String, usize>,
    written: Written,
}

/// That a file names what another one defines.
#[derive(Debug)]
pub(super) struct Use {
    /// Indices of `Tree::files`.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) line: usize,
    /// As it is written, trees of imports spread out.
    pub(super) path: String,
    /// Whether the other file is a module below this one.
    pub(super) is_of_child: bool,
}

/// What a path leads to: a module, or an item that a module defines.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Module(usize),
    ItemOf(usize),
}

impl Tree {
    /// Reads a crate from its `lib.rs` or `main.rs`.
    pub(super) fn read(start: &Path) -> Result<Self, Failure> {
        let mut tree = Self { files: Vec::new(), modules: Vec::new() };
        let folder = start.parent().unwrap_or(Path::new("")).to_owned();
        tree.add_file(start.to_owned(), &folder, 0)?;
        Ok(tree)
    }

    /// `folder` is where the files of its modules are.
    fn add_file(&mut self, path: PathBuf, folder: &Path, parent: usize) -> Result<usize, Failure> {
        let written = parse(&read(&path)?);
        self.files.push(path);
        self.add(written, self.files.len() - 1, folder, parent)
    }

    fn add(
        &mut self,
        mut written: Written,
        file: usize,
        folder: &Path,
        parent: usize,
    ) -> Result<usize, Failure> {
        let at = self.modules.len();
        let inline = std::mem::take(&mut written.inline);
        let files = std::mem::take(&mut written.files);
        self.modules.push(Module { file, parent, children: BTreeMap::new(), written });
        for (name, written) in inline {
            let child = self.add(written, file, &folder.join(&name), at)?;
            self.modules[at].children.insert(name, child);
        }
        for name in files {
            let own = folder.join(&name);
            let [flat, nested] = [own.with_extension("rs"), own.join("mod.rs")];
            let path = if flat.is_file() { flat } else { nested };
            let child = self.add_file(path, &own, at)?;
            self.modules[at].children.insert(name, child);
        }
        Ok(at)
    }

    /// All uses of other files, in the order of files and lines.
    pub(super) fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (at, module) in self.modules.iter().enumerate() {
            let imports = module.written.imports.iter().filter(|import| !import.is_pub);
            for Import { path, name, line, .. } in imports {
                let glob = if name.is_none() { "::*" } else { "" };
                match self.place(at, path) {
                    Some(Place::Module(of)) if name.is_none() => {
                        uses.push((at, of, line, path, glob))
                    }
                    Some(Place::ItemOf(of)) => uses.push((at, of, line, path, glob)),
                    _ => {}
                }
            }
            for (path, line) in &module.written.paths {
                // Paths that begin with an imported item are uses of its import.
                let is_from_module = matches!(self.place(at, &path[..1]), Some(Place::Module(_)));
                if let (true, Some(Place::ItemOf(of))) = (is_from_module, self.place(at, path)) {
                    uses.push((at, of, line, path, ""));
                }
            }
        }
        let file = |module: usize| self.modules[module].file;
        let mut uses: Vec<Use> = uses
            .into_iter()
            .filter(|(from, to, ..)| file(*from) != file(*to))
            .map(|(from, to, line, path, glob)| Use {
                from: file(from),
                to: file(to),
                line: *line,
                path: path.join("::") + glob,
                is_of_child: self.is_below(to, from),
            })
            .collect();
        uses.sort_by_key(|found| (found.from, found.line));
        uses
    }

    fn is_below(&self, mut module: usize, above: usize) -> bool {
        while module != 0 && module != above {
            module = self.modules[module].parent;
        }
        module == above
    }

    /// Where a path of a module leads, or `None` if that is outside the crate.
    fn place(&self, module: usize, path: &[String]) -> Option<Place> {
        self.follow(module, path, &mut Vec::new())
    }

    /// `seen` are the names that were looked up on the way, since names may lead back to themselves.
    fn follow<'a>(
        &'a self,
        module: usize,
        path: &'a [String],
        seen: &mut Vec<(usize, &'a str)>,
    ) -> Option<Place> {
        let mut at = module;
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            at = match first.as_str() {
                "crate" => 0,
                "self" => at,
                "super" => self.modules[at].parent,
                _ => break,
            };
            rest = after;
        }
        if rest.len() == path.len() {
            // A name of this module, or a crate.
            let here = &self.modules[module];
            let name = &path[0];
            let is_import = |import: &Import| import.name.as_ref() == Some(name);
            if !here.children.contains_key(name) && !here.written.imports.iter().any(is_import) {
                return None;
            }
        }
        while let Some((name, after)) = rest.split_first() {
            match self.lookup(at, name, after.is_empty(), seen)? {
                Place::Module(next) => at = next,
                item => return Some(item),
            }
            rest = after;
        }
        Some(Place::Module(at))
    }

    /// What `name` is in a module; `None` if it comes from another crate or from nowhere.
    fn lookup<'a>(
        &'a self,
        module: usize,
        name: &'a str,
        is_last: bool,
        seen: &mut Vec<(usize, &'a str)>,
    ) -> Option<Place> {
        if seen.contains(&(module, name)) {
            return None;
        }
        seen.push((module, name));
        let here = &self.modules[module];
        let child = here.children.get(name).map(|child| Place::Module(*child));
        // A module and a function may have the same name; only modules have names below them.
        if let (Some(child), false) = (child, is_last) {
            return Some(child);
        }
        if here.written.items.contains(name) {
            return Some(Place::ItemOf(module));
        }
        let imports = &here.written.imports;
        let import = imports.iter().find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = import {
            // `use name::…` of a crate is no import of itself.
            return self.follow(module, &import.path, seen).or(child);
        }
        if child.is_some() {
            return child;
        }
        for glob in imports.iter().filter(|import| import.name.is_none()) {
            if let Some(Place::Module(of)) = self.follow(module, &glob.path, seen) {
                let found = self.lookup(of, name, is_last, seen);
                if found.is_some_and(|found| found != Place::ItemOf(of) || self.defines(of, name)) {
                    return found;
                }
            }
        }
        // Macros may have made it.
        Some(Place::ItemOf(module))
    }

    fn defines(&self, module: usize, name: &str) -> bool {
        self.modules[module].written.items.contains(name)
    }
}
