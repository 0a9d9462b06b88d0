//! A Markdown page as the tests see it: its lines, and the fenced blocks among them.

use std::path::{Path, PathBuf};

/// The languages of blocks that are not run. A block in another language is an error, so that no
/// command hides in a fence that nothing runs.
const NOT_RUN: [&str; 11] =
    ["text", "json", "yaml", "toml", "sql", "xml", "html", "css", "dockerfile", "diff", "output"];
/// The languages of blocks that are run: the first two here, `rust` by rustdoc and `python` by the
/// tests of the Python package.
const RUN: [&str; 4] = ["console", "sh", "rust", "python"];

/// A page of the documentation.
#[derive(Debug)]
pub(super) struct Page {
    /// The path from the root of the repository.
    pub(super) path: PathBuf,
    pub(super) lines: Vec<String>,
    pub(super) blocks: Vec<Block>,
}

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) language: String,
    /// Why the block is not run.
    pub(super) skip: Option<String>,
    /// The name of the file that the block is.
    pub(super) file: Option<String>,
    /// The index of the first line in the block.
    pub(super) first: usize,
    /// The number of lines in the block.
    pub(super) len: usize,
    /// The number of spaces before the fence, which all lines of the block have as well.
    pub(super) indent: usize,
}

impl Page {
    /// Reads a page; `path` is relative to `root`.
    pub(super) fn read(root: &Path, path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(root.join(path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let blocks = blocks(&lines)
            .map_err(|(line, problem)| format!("{}:{}: {problem}", path.display(), line + 1))?;
        Ok(Self { path: path.to_path_buf(), lines, blocks })
    }

    /// Returns the lines of a block without its indentation.
    pub(super) fn text(&self, block: &Block) -> Vec<&str> {
        let lines = &self.lines[block.first..block.first + block.len];
        lines.iter().map(|line| line.get(block.indent..).unwrap_or_default()).collect()
    }
}

/// Finds the fenced blocks. An error has the index of its line.
fn blocks(lines: &[String]) -> Result<Vec<Block>, (usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    let mut in_list = false;
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        match &mut open {
            Some(block) if trimmed == "```" && indent == block.indent => {
                block.len = at - block.first;
                found.extend(open.take());
            }
            Some(_) => {}
            None if trimmed.starts_with("```") => {
                let block = Block::open(&trimmed[3..], at + 1, indent);
                open = Some(block.map_err(|problem| (at, problem))?);
            }
            None => {
                if indent == 0 && !trimmed.is_empty() {
                    in_list = is_item(trimmed);
                }
                let follows_blank = at == 0 || lines[at - 1].trim().is_empty();
                if indent >= 4 && follows_blank && !in_list && !trimmed.is_empty() {
                    let problem =
                        "an indented block, which nothing runs: put it between ``` and ```";
                    return Err((at, problem.to_owned()));
                }
            }
        }
    }
    match open {
        Some(block) => Err((block.first - 1, "the block has no end".to_owned())),
        None => Ok(found),
    }
}

/// Returns whether a line begins an item of a list.
fn is_item(line: &str) -> bool {
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ") || line.starts_with("* ") || (number != line && number.starts_with(". "))
}

impl Block {
    /// Reads what stands behind the fence, such as `console skip="needs Elasticsearch"`.
    fn open(info: &str, first: usize, indent: usize) -> Result<Self, String> {
        let (language, mut rest) = match info.find([' ', ',']) {
            Some(end) => (&info[..end], info[end + 1..].trim()),
            None => (info, ""),
        };
        let language = language.to_owned();
        if !RUN.contains(&language.as_str()) && !NOT_RUN.contains(&language.as_str()) {
            return Err(format!("the language {language:?} is not one of {RUN:?} and {NOT_RUN:?}"));
        }
        let mut block = Self { language, skip: None, file: None, first, len: 0, indent };
        while !rest.is_empty() {
            let value = |name: &str| rest.strip_prefix(name)?.strip_prefix("=\"")?.split_once('"');
            rest = if let Some((reason, rest)) = value("skip") {
                block.skip = Some(reason.to_owned());
                rest.trim()
            } else if let Some((name, rest)) = value("file") {
                block.file = Some(name.to_owned());
                rest.trim()
            } else if block.language == "rust" {
                // The words of rustdoc.
                ""
            } else {
                return Err(format!("{rest:?} is neither skip=\"REASON\" nor file=\"NAME\""));
            };
        }
        if block.skip.as_deref() == Some("") {
            return Err("skip has no reason".to_owned());
        }
        Ok(block)
    }
}

#[test]
fn blocks_are_found_with_their_words() {
    let text = "a\n\n```console skip=\"needs a server\"\n$ x\n```\n\n1. item\n\n   ```json file=\"a.json\"\n   {}\n   ```\n";
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let found = blocks(&lines).expect("two blocks");
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].skip.as_deref(), Some("needs a server"));
    assert_eq!((found[1].file.as_deref(), found[1].indent, found[1].first), (Some("a.json"), 3, 9));
    for (wrong, at) in [
        ("```\nx\n```", 0),
        ("```console skip=\"\"\n```", 0),
        ("```console skp=\"a\"\n```", 0),
        ("```sh\nx", 0),
        ("text\n\n    light-splade encode", 2),
    ] {
        let lines: Vec<String> = wrong.lines().map(str::to_owned).collect();
        assert_eq!(blocks(&lines).map_err(|(line, _)| line).err(), Some(at), "{wrong}");
    }
}
