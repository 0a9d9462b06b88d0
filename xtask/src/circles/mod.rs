//! `cargo xtask circles`: files of a crate that import each other in a circle.
//!
//! A file uses another if it names something that the other one defines: by `use`, or by a path in the code, from
//! `crate`, `self`, `super`, a child module or an imported module. Names that a module only passes on by `use` or
//! `pub use` are followed to the file that defines them, so passing a name on is no use of the file, and taking it
//! from there is a use of the file that defines it. Importing a module is no use either; paths through it are.
//!
//! Tests are left out: items and files behind `#[cfg(test)]`. Not seen are paths in strings and in the expansion of
//! macros, methods, and what a glob import takes: it counts as a use of the module that it names.

mod graph;
mod lexer;
mod module;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::Failure;
use crate::manifest::packages;
use tree::{Tree, Use};

/// Without `children`, what a module uses of the modules below it is ignored, so that only circles beyond the pair
/// of a parent and its child are found.
pub(crate) fn run(root: &Path, children: bool) -> Result<(), Failure> {
    let mut folders: Vec<_> = packages(root)?.into_iter().map(|package| package.folder).collect();
    folders.extend(["python", "xtask"].map(|folder| root.join(folder)));
    let mut files = 0;
    let mut found = String::new();
    for folder in folders {
        for start in starts(&folder) {
            let tree = Tree::read(&start)?;
            files += tree.files.len();
            found += &describe(&tree, root, children);
        }
    }
    if found.is_empty() {
        println!("circles: none between {files} files");
        return Ok(());
    }
    Err(found)
}

/// The first files of a package's library and programs: each is a crate of its own.
fn starts(package: &Path) -> Vec<PathBuf> {
    let source = package.join("src");
    let mut starts = vec![source.join("lib.rs"), source.join("main.rs")];
    for program in std::fs::read_dir(source.join("bin")).into_iter().flatten().flatten() {
        let path = program.path();
        starts.push(if path.is_dir() { path.join("main.rs") } else { path });
    }
    starts.retain(|start| start.is_file());
    starts.sort();
    starts
}

/// The circles of a crate with the lines that close them, or nothing.
fn describe(tree: &Tree, root: &Path, children: bool) -> String {
    let mut uses: BTreeMap<(usize, usize), Vec<&Use>> = BTreeMap::new();
    let all = tree.uses();
    for found in all.iter().filter(|found| children || !found.is_of_child) {
        uses.entry((found.from, found.to)).or_default().push(found);
    }
    let edges: Vec<(usize, usize)> = uses.keys().copied().collect();
    let name = |file: usize| {
        let path: &Path = &tree.files[file];
        path.strip_prefix(root).unwrap_or(path).display().to_string()
    };
    let mut text = String::new();
    for circle in graph::circles(tree.files.len(), &edges) {
        text += &format!("{} files import each other in a circle:\n", circle.len());
        for ((from, to), uses) in &uses {
            if circle.contains(from) && circle.contains(to) {
                text += &format!("  {} uses {}\n", name(*from), name(*to));
                for found in uses {
                    text += &format!("    line {}: {}\n", found.line, found.path);
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a crate of files and describes its circles.
    fn circles(name: &str, files: &[(&str, &str)]) -> String {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("written");
        }
        let found = Tree::read(&folder.join("lib.rs")).map(|tree| describe(&tree, &folder, true));
        std::fs::remove_dir_all(&folder).expect("removed");
        found.expect("a crate")
    }

    #[test]
    fn two_files_and_their_lines() {
        let found = circles(
            "two",
            &[
                ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
                ("a.rs", "use crate::{\n    b::{self, B},\n    c::C,\n};\npub struct A(B, C);"),
                ("b.rs", "pub struct B;\nfn f() -> super::a::A { crate::a::A::new() }"),
                ("c.rs", "pub struct C;"),
            ],
        );
        assert_eq!(
            found,
            "2 files import each other in a circle:\n  a.rs uses b.rs\n    line 2: crate::b::B\n  \
             b.rs uses a.rs\n    line 2: super::a::A\n    line 2: crate::a::A::new\n"
        );
    }

    #[test]
    fn names_that_are_passed_on_lead_to_their_file() {
        // `b` takes A from the crate's root, which only passes it on: a circle of a and b, without the root.
        let found = circles(
            "passed",
            &[
                ("lib.rs", "mod a;\nmod b;\npub use a::A as First;\npub use b::*;"),
                ("a.rs", "use crate::B;\npub struct A(B);"),
                ("b.rs", "pub struct B(Box<crate::First>);"),
            ],
        );
        assert!(found.starts_with("2 files"), "{found}");
        assert!(found.contains("a.rs uses b.rs\n    line 1: crate::B\n"), "{found}");
        assert!(!found.contains("lib.rs"), "{found}");
    }

    #[test]
    fn parents_and_children() {
        let child = ("p/child.rs", "use super::Shared;\npub fn f(_: Shared) {}\npub struct Own;");
        let lib = ("lib.rs", "mod p;");
        let passes_on = "mod child;\npub use child::Own;\npub struct Shared;";
        assert_eq!(circles("parent-a", &[lib, child, ("p.rs", passes_on)]), "");
        let calls = "mod child;\npub struct Shared;\npub fn g() { child::f(Shared) }";
        let found = circles("parent-b", &[lib, child, ("p/mod.rs", calls)]);
        assert!(found.contains("p/mod.rs uses p/child.rs\n    line 3: child::f"), "{found}");
        // Through an imported module, of which only a name of another file is taken.
        let outside = ("q.rs", "use crate::p;\npub fn h() -> p::Own { p::Own }");
        let uses_q = ("p.rs", "mod child;\npub use child::Own;\npub fn k() { crate::q::h(); }");
        let own = ("p/child.rs", "pub struct Own;");
        assert_eq!(circles("parent-c", &[("lib.rs", "mod p;\nmod q;"), own, outside, uses_q]), "");
    }

    #[test]
    fn what_is_no_use() {
        let found = circles(
            "none",
            &[
                ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod c;"),
                (
                    "a.rs",
                    r####"
                    // use crate::b::B;
                    /* crate::b::B /* nested */ crate::b::B */
                    //! [`crate::b::B`]
                    const S: &str = "use crate::b::B; \" crate::b";
                    const R: &str = r##"crate::b::B "# "##;
                    const C: [char; 2] = ['"', '\''];
                    fn lifetime<'a>(x: &'a str) -> &'a str { x }
                    pub(in crate::b) struct A;
                    use b::B; use ::b::C;
                    #[cfg(test)]
                    use crate::b::B;
                    #[cfg(all(test, unix))]
                    #[derive(Debug)]
                    mod tests { use crate::b::B; mod more { fn f() { crate::b::B } } }
                    "####,
                ),
                ("b.rs", "use crate::a::A; #[cfg(not(test))] use crate::a;"),
            ],
        );
        assert_eq!(found, "");
        let other = [
            ("lib.rs", "mod a;\nmod b;"),
            ("a.rs", "#[cfg(not(test))]\nuse crate::b::B;\npub struct A;"),
            ("b.rs", "mod inner { use super::super::a::A; }\npub struct B;"),
        ];
        assert!(circles("not-test", &other).starts_with("2 files"));
    }

    #[test]
    fn a_circle_of_three() {
        let found = circles(
            "three",
            &[
                ("lib.rs", "mod a; mod b; mod c; mod d;"),
                ("a.rs", "pub fn f() { crate::b::f() }"),
                ("b.rs", "pub fn f() { crate::c::f() }"),
                ("c.rs", "pub fn f() { crate::a::f() }"),
                ("d.rs", "pub fn f() { crate::a::f() }"),
            ],
        );
        assert!(found.starts_with("3 files") && !found.contains("d.rs"), "{found}");
    }

    #[test]
    fn names_that_lead_back_to_themselves_end() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::X;"),
            ("a.rs", "pub use crate::b::X;\nmacro_rules! m { () => {} }\npub(crate) use m;"),
            ("b.rs", "pub use crate::a::X;\ncrate::a::m!();\nfn f(_: crate::X) {}"),
        ];
        assert_eq!(circles("endless", &files), "");
    }
}
