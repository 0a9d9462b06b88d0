//! Spellings of earlier versions, which go on working: they are replaced by the new ones before the
//! arguments are parsed, and a warning names these.
//!
//! A value that looks like an option is only possible behind `--` or `=`, so what equals an old
//! spelling is one.

use std::ffi::{OsStr, OsString};

use New::{Argument, Arguments, JsonForm, Renamed, Words};

/// What an old option became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum New {
    /// An option of another name with the same value.
    Renamed(&'static str),
    /// Its value is an argument, the first after the command.
    Argument(&'static str),
    /// Its values, up to the next option, are the first arguments after the command.
    Arguments(&'static str),
    /// An option without a value stands for these words.
    Words(&'static [&'static str]),
    /// `json` is an option of its own now, and `table` is what is printed without it.
    JsonForm,
}

/// Old options of some commands, and what they became.
#[derive(Debug)]
pub(crate) struct OldSpelling {
    /// The commands that had it.
    pub(crate) commands: &'static [&'static str],
    /// The long and short names that the option had.
    pub(crate) old: &'static [&'static str],
    /// What took its place.
    pub(crate) new: New,
}

const ENGINES: &[&str] = &[
    "export lucene",
    "export elasticsearch",
    "export opensearch",
    "export qdrant",
    "export milvus",
    "export vespa",
    "export ciff",
    "export pgvector",
    "export seismic",
    "export parquet",
    "export csr",
];

const SOURCES: &[&str] =
    &["convert mmarco", "convert beir", "convert msmarco", "convert squad", "convert join"];

const WITH_OUT: &[&str] = &["index build", "export model", "mine", "score"];

const WITH_TEXTS: &[&str] =
    &["encode", "tokenize", "index build", "index add", "search", "vocab learn"];

/// All old spellings. Two more need no place here: `explain TEXT` is `explain -t TEXT` where there is
/// no such file, and shards are counted from 1, where 0 is an error because the other numbers mean
/// something else now.
pub(crate) const OLD_SPELLINGS: &[OldSpelling] = &[
    OldSpelling {
        commands: WITH_TEXTS,
        old: &["--ndjson"],
        new: Words(&["--input-format", "ndjson"]),
    },
    OldSpelling { commands: WITH_OUT, old: &["--out"], new: Renamed("--output") },
    OldSpelling { commands: ENGINES, old: &["--out"], new: Renamed("--output") },
    OldSpelling { commands: SOURCES, old: &["--out", "--output-path"], new: Renamed("--output") },
    OldSpelling { commands: ENGINES, old: &["--vectors"], new: Arguments("VECTORS") },
    OldSpelling {
        commands: &["encode", "index build"],
        old: &["--threshold"],
        new: Renamed("--min-weight"),
    },
    OldSpelling { commands: &["search"], old: &["--threshold"], new: Renamed("--min-score") },
    OldSpelling {
        commands: &["search", "index add", "index delete", "index merge"],
        old: &["--index", "-i"],
        new: Argument("INDEX"),
    },
    OldSpelling {
        commands: &["evaluate", "check-data"],
        old: &["--data", "--beir"],
        new: Argument("DATA"),
    },
    OldSpelling { commands: &["evaluate"], old: &["--run-out"], new: Renamed("--output-run") },
    OldSpelling { commands: &["check-data", "index info"], old: &["--format"], new: JsonForm },
    OldSpelling { commands: &["mine"], old: &["--data"], new: Argument("DATA") },
    OldSpelling { commands: &["doctor"], old: &["--url", "--engine"], new: Argument("URL") },
    OldSpelling {
        commands: &["train", "pretrain"],
        old: &["--config-name"],
        new: Argument("CONFIG"),
    },
    OldSpelling { commands: &["train", "pretrain"], old: &["-m"], new: Words(&["--multirun"]) },
    OldSpelling {
        commands: &["cross-encoder train", "cross-encoder predict"],
        old: &["--config", "--config-file"],
        new: Argument("CONFIG"),
    },
];

/// Hydra's own options, which calls that were written for the Python library go on using: no warning
/// names them, and neither does the table for people.
const WITHOUT_WARNING: [&str; 1] = ["--config-name"];

/// The warning of `explain TEXT`.
pub(crate) const TEXT_WITHOUT_OPTION: &str = "TEXT without -t is an old spelling: write -t TEXT";

/// Options of every command that take a value, which is no command.
const GLOBAL_WITH_VALUE: [&str; 2] = ["--color", "--log-format"];

/// Replaces old spellings by new ones; returns the arguments and a warning for each that was found. The
/// first argument is the name of the program.
pub(crate) fn renew(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let Some((command, rest)) = command(&arguments) else { return (arguments, Vec::new()) };
    let known: Vec<&OldSpelling> =
        OLD_SPELLINGS.iter().filter(|old| old.commands.contains(&command.as_str())).collect();
    let takes_text = command == "explain";
    if known.is_empty() && !takes_text {
        return (arguments, Vec::new());
    }
    let (head, tail) = arguments.split_at(rest);
    let mut renewed = Renewed { command, ..Renewed::default() };
    let mut words = tail.iter().map(OsString::as_os_str).peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            renewed.others.push(word.to_owned());
            renewed.others.extend(words.by_ref().map(OsStr::to_owned));
            break;
        }
        // An empty text, which is no file.
        let follows_option = renewed.others.last().is_some_and(|last| {
            is_option(last) && !["--html", "--json"].iter().any(|flag| last == flag)
        });
        if takes_text && word.is_empty() && !follows_option {
            renewed.others.extend(["-t".into(), OsString::new()]);
            renewed.warnings.push(TEXT_WITHOUT_OPTION.to_owned());
            continue;
        }
        let Some((spelling, name, attached)) = known.iter().find_map(|old| old.parse(word)) else {
            renewed.others.push(word.to_owned());
            continue;
        };
        let is_value = |word: &&OsStr| !is_option(word);
        let mut values: Vec<OsString> = attached.into_iter().collect();
        match spelling.new {
            Words(_) => {}
            Arguments(_) => {
                while let Some(value) = words.next_if(is_value) {
                    values.push(value.to_owned());
                }
            }
            Renamed(_) | Argument(_) | JsonForm if values.is_empty() => {
                values.extend(words.next_if(is_value).map(OsStr::to_owned));
            }
            Renamed(_) | Argument(_) | JsonForm => {}
        }
        renewed.add(spelling, name, values);
    }
    let all = head.iter().cloned().chain(renewed.first).chain(renewed.others).collect();
    (all, renewed.warnings)
}

/// The arguments after a command as they are replaced.
#[derive(Default)]
struct Renewed {
    command: String,
    /// What stands right after the command.
    first: Vec<OsString>,
    others: Vec<OsString>,
    warnings: Vec<String>,
}

impl Renewed {
    fn add(&mut self, old: &OldSpelling, name: &str, values: Vec<OsString>) {
        let new = match old.new {
            Renamed(option) => {
                // A value that begins with a dash has to stay attached.
                match values.first() {
                    Some(value) if is_option(value) => {
                        let mut word = OsString::from(format!("{option}="));
                        word.push(value);
                        self.others.push(word);
                    }
                    _ => {
                        self.others.push(option.into());
                        self.others.extend(values);
                    }
                }
                option.to_owned()
            }
            Argument(argument) => {
                self.first.extend(values);
                format!("{argument} after light-splade {}", self.command)
            }
            Arguments(argument) => {
                self.first.extend(values);
                format!("{argument}... after light-splade {}", self.command)
            }
            Words(words) => {
                self.others.extend(words.iter().map(OsString::from));
                words.join(" ")
            }
            JsonForm => {
                let is_json = values.iter().any(|value| value == "json");
                match values.iter().find(|value| *value != "json" && *value != "table") {
                    // The parser says what is wrong.
                    Some(other) => self.others.extend([name.into(), other.clone()]),
                    None if is_json => self.others.push("--json".into()),
                    None => {}
                }
                "--json, or nothing for the table".to_owned()
            }
        };
        let warning = format!("{name} is an old spelling: write {new}");
        if !WITHOUT_WARNING.contains(&name) && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

impl OldSpelling {
    /// Parses a word as this option: its name, and the value that is attached to it by `=` or behind one
    /// letter.
    fn parse(&self, word: &OsStr) -> Option<(&Self, &'static str, Option<OsString>)> {
        let text = word.to_str();
        self.old.iter().find_map(|name| {
            if word == *name {
                return Some((self, *name, None));
            }
            // Values that are not Unicode are attached to no old option.
            let rest = text?.strip_prefix(name)?;
            let value = match name.starts_with("--") {
                true => rest.strip_prefix('=')?,
                false if matches!(self.new, Words(_)) => return None,
                false => rest.strip_prefix('=').unwrap_or(rest),
            };
            Some((self, *name, Some(value.into())))
        })
    }
}

/// Whether a word is an option rather than a value; `-` is standard input.
fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word.as_encoded_bytes().starts_with(b"-")
}

/// The command, of one or two words, and the number of arguments up to its end.
fn command(arguments: &[OsString]) -> Option<(String, usize)> {
    let mut at = 1;
    while let Some(word) = arguments.get(at).filter(|word| is_option(word)) {
        at += 1 + usize::from(GLOBAL_WITH_VALUE.iter().any(|name| word == *name));
    }
    let first = arguments.get(at)?.to_str()?;
    let second = arguments.get(at + 1).and_then(|word| word.to_str());
    let both = second.map(|second| format!("{first} {second}"));
    let is_command =
        |name: &String| OLD_SPELLINGS.iter().any(|old| old.commands.contains(&name.as_str()));
    match both.filter(is_command) {
        Some(both) => Some((both, at + 2)),
        None => Some((first.to_owned(), at + 1)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    fn renewed(typed: &str) -> (String, Vec<String>) {
        let words = std::iter::once("light-splade").chain(typed.split(' ')).map(OsString::from);
        let (words, warnings) = renew(words.collect());
        let words: Vec<String> =
            words.into_iter().map(|word| word.into_string().expect("UTF-8")).collect();
        (words[1..].join(" "), warnings)
    }

    /// A call of every form of option, as it was typed and as it is parsed.
    #[test]
    fn old_spellings_become_new_ones() {
        for (old, new, warnings) in [
            ("search --index i --threshold 2 a b", "search i --min-score 2 a b", 2),
            ("search a -i i", "search i a", 1),
            ("search -ii a", "search i a", 1),
            ("search -i=i a", "search i a", 1),
            ("-q --color never search --index=i -- -i", "-q --color never search i -- -i", 1),
            ("index add -i i --ndjson t", "index add i --input-format ndjson t", 2),
            ("index delete --index i a b", "index delete i a b", 1),
            ("index build -o i --threshold=1 t", "index build -o i --min-weight 1 t", 1),
            ("search i --threshold=-1 a", "search i --min-score=-1 a", 1),
            ("index info i --format json", "index info i --json", 1),
            ("check-data --beir d --format=table", "check-data d", 2),
            ("check-data d --format xml", "check-data d --format xml", 1),
            ("evaluate --data d --run-out r --index i", "evaluate d --output-run r --index i", 2),
            ("export csr --vectors a b --out o", "export csr a b --output o", 2),
            ("export csr --vectors a --queries q --vectors b", "export csr a b --queries q", 1),
            ("convert beir d --output-path o", "convert beir d --output o", 1),
            ("mine --data d --out o", "mine d --output o", 2),
            ("score p --data d --out o", "score p --data d --output o", 1),
            ("doctor --engine u", "doctor u", 1),
            (
                "train a=1 --config-dir c --config-name n -m",
                "train n a=1 --config-dir c --multirun",
                1,
            ),
            ("cross-encoder train --config f a=1", "cross-encoder train f a=1", 1),
            // What is new, or another command's, stays.
            ("index build --vectors v -o i", "index build --vectors v -o i", 0),
            ("encode -m m --index", "encode -m m --index", 0),
            ("search i -t", "search i -t", 0),
            ("search --index", "search", 1),
            ("", "", 0),
            ("explain -m m ", "explain -m m -t ", 1),
            ("explain -t ", "explain -t ", 0),
        ] {
            let (got, said) = renewed(old);
            assert_eq!((got.as_str(), said.len()), (new, warnings), "{old}");
        }
    }

    /// Commands have what took an old spelling's place, and not the old one itself.
    #[test]
    fn the_table_is_true() {
        let mut cli = Cli::command();
        cli.build();
        for old in OLD_SPELLINGS {
            for path in old.commands {
                let found = path.split(' ').try_fold(&cli, |cli, name| cli.find_subcommand(name));
                // A build may lack a command.
                let Some(command) = found else {
                    assert!(cfg!(not(feature = "push")) && *path == "doctor", "{path}");
                    continue;
                };
                let has_option = |name: &str| {
                    command.get_arguments().any(|arg| {
                        let long = arg
                            .get_long()
                            .is_some_and(|long| name.strip_prefix("--") == Some(long));
                        let short =
                            arg.get_short().is_some_and(|short| name == format!("-{short}"));
                        long || short
                    })
                };
                let has_argument = |name: &str| {
                    command.get_positionals().next().is_some_and(|arg| {
                        arg.get_value_names()
                            .is_some_and(|names| names.iter().any(|own| own.as_str() == name))
                    })
                };
                let there = match old.new {
                    Renamed(name) => has_option(name),
                    Argument(name) | Arguments(name) => has_argument(name),
                    Words(words) => has_option(words[0]),
                    JsonForm => has_option("--json"),
                };
                assert!(there, "{path}: {:?}", old.new);
                for name in old.old {
                    assert!(!has_option(name), "{path} has {name}");
                }
            }
        }
    }

    /// The page for people has every row of the table.
    #[test]
    fn the_page_has_the_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/command-line.md");
        let page = std::fs::read_to_string(page).expect("the page of the command line");
        let code = |words: &[&str]| format!("`{}`", words.join("`, `"));
        let told = |old: &&OldSpelling| !WITHOUT_WARNING.contains(&old.old[0]);
        for OldSpelling { commands, old, new } in OLD_SPELLINGS.iter().filter(told) {
            let commands = match *commands {
                ENGINES => "`export` of vectors".to_owned(),
                SOURCES => "`convert`".to_owned(),
                commands => code(commands),
            };
            let new = match new {
                Renamed(name) | Argument(name) => code(&[*name]),
                Arguments(name) => code(&[&format!("{name}...")]),
                Words(words) => code(&[&words.join(" ")]),
                JsonForm => "`--json`, or nothing for the table".to_owned(),
            };
            let row = format!("| {commands} | {} | {new} |\n", code(old));
            assert!(page.contains(&row), "docs/reference/command-line.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_warning_names_the_new_spelling() {
        let (_, warnings) = renewed("search --index i --threshold 2 a");
        assert_eq!(
            warnings,
            [
                "--index is an old spelling: write INDEX after light-splade search",
                "--threshold is an old spelling: write --min-score",
            ]
        );
    }
}
