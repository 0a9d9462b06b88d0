//! How help looks: the commands in groups, and an example of each.

use std::ffi::OsString;
use std::fmt::Write;

use clap::builder::Styles;
use clap::{Command, CommandFactory, ValueEnum};

use super::{Cli, ColorArg, version};

/// The widest line of help; narrower terminals break lines earlier.
const WIDEST: usize = 100;

/// The commands by what they are for, and the command whose example stands below a group.
const GROUPS: &[(&str, &[&str], &str)] = &[
    ("First steps", &["demo"], "demo"),
    ("Vectors", &["encode", "tokenize", "explain", "inspect"], "encode"),
    ("Search", &["index", "search", "fuse", "serve"], "search"),
    ("Evaluation", &["evaluate", "check-data"], "evaluate"),
    ("Training data", &["convert", "mine", "score"], "mine"),
    (
        "Training",
        &["train", "pretrain", "report", "merge-models", "vocab", "cross-encoder", "pipeline"],
        "train",
    ),
    ("Search engines and other programs", &["export", "doctor"], "export qdrant"),
    ("This program", &["completions", "man"], "completions"),
];

/// An example of each command that does something; its first word is the name of the program.
const EXAMPLES: &[(&str, &str)] = &[
    ("demo", "light-splade demo"),
    ("encode", "light-splade encode corpus.jsonl -o vectors.parquet"),
    ("tokenize", "light-splade tokenize -t '朝の電車で東京へ'"),
    ("explain", "light-splade explain --as query -t 'cheap travel by train'"),
    ("inspect", "light-splade inspect org/model"),
    ("index build", "light-splade index build corpus.jsonl -o index --store"),
    ("index add", "light-splade index add index more.jsonl"),
    ("index delete", "light-splade index delete index doc-17 doc-18"),
    ("index merge", "light-splade index merge index"),
    ("index verify", "light-splade index verify index"),
    ("index info", "light-splade index info index --json"),
    ("search", "light-splade search index 'cheap travel by train' -k 5"),
    ("fuse", "light-splade fuse splade.trec bm25.trec -o both.trec"),
    ("serve", "light-splade serve -m org/model --index index --port 3000"),
    ("evaluate", "light-splade evaluate data/toy-beir -m org/model --bm25"),
    ("check-data", "light-splade check-data data/toy-beir"),
    ("export model", "light-splade export model org/model -o folder --onnx"),
    ("export lucene", "light-splade export lucene vectors -m org/model -o lucene"),
    ("export elasticsearch", "light-splade export elasticsearch vectors -m org/model -o bulk"),
    ("export opensearch", "light-splade export opensearch vectors -m org/model -o bulk"),
    ("export qdrant", "light-splade export qdrant vectors -o points"),
    ("export milvus", "light-splade export milvus vectors -o rows"),
    ("export vespa", "light-splade export vespa vectors -m org/model -o feed"),
    ("export ciff", "light-splade export ciff vectors -m org/model -o ciff --fit 255"),
    ("export pgvector", "light-splade export pgvector vectors -m org/model -o sql"),
    ("export seismic", "light-splade export seismic vectors -m org/model -o seismic"),
    ("export parquet", "light-splade export parquet vectors.ndjson -m org/model -o vectors"),
    ("export csr", "light-splade export csr vectors -m org/model -o matrix"),
    ("convert mmarco", "light-splade convert mmarco --for triplet -o data/mmarco"),
    ("convert beir", "light-splade convert beir scifact -o data/scifact"),
    ("convert msmarco", "light-splade convert msmarco msmarco --triples t.tsv -o data/msmarco"),
    ("convert squad", "light-splade convert squad jaquad -o data/jaquad"),
    ("convert pairs", "light-splade convert pairs faq.csv --document-field answer -o data/faq"),
    ("convert corpus", "light-splade convert corpus docs.jsonl -o data/docs"),
    ("convert join", "light-splade convert join data/a data/b -o data/both"),
    ("mine", "light-splade mine data/toy/train --source bm25 -o negatives.ndjson"),
    ("score", "light-splade score pairs.ndjson --data data/toy/train --by splade -o s.ndjson"),
    ("doctor", "light-splade doctor http://localhost:9200"),
    ("train", "light-splade train config/toy_splade_ja.yaml training.seed=1"),
    ("pretrain", "light-splade pretrain config/pretrain_ja.yaml"),
    ("vocab learn", "light-splade vocab learn texts.txt --words mecab -o tokenizer"),
    ("vocab idf", "light-splade vocab idf vectors.parquet -o idf.json"),
    ("vocab trim", "light-splade vocab trim corpus.jsonl -m org/model --size 16000 -o smaller"),
    ("vocab merge", "light-splade vocab merge japanese -m org/model -o bilingual"),
    ("vocab extend", "light-splade vocab extend corpus.jsonl -m org/model -o longer"),
    ("report", "light-splade report run -o run.html"),
    ("merge-models", "light-splade merge-models run/checkpoint-100 run/checkpoint-200 -o merged"),
    ("pipeline", "light-splade pipeline config/pipeline/toy.yaml --dry-run"),
    ("cross-encoder train", "light-splade cross-encoder train config/cross_encoder/toy_train.yaml"),
    (
        "cross-encoder predict",
        "light-splade cross-encoder predict config/cross_encoder/toy_predict.yaml",
    ),
    ("cross-encoder ensemble", "light-splade cross-encoder ensemble a.ndjson b.ndjson -o c.ndjson"),
    ("completions", "light-splade completions bash > light-splade.bash"),
    ("man", "light-splade man man1"),
];

/// The program as it is parsed, completed and described.
pub(crate) fn command() -> Command {
    let styles = Styles::styled();
    let plain = Cli::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{}Options:{:#}\n{{options}}{{after-help}}",
        groups(&plain, &styles),
        styles.get_header(),
        styles.get_header()
    );
    let more = "light-splade COMMAND --help has an example and all options of a command.";
    let mut cli = plain
        .max_term_width(WIDEST)
        .long_version(version::LONG.as_str())
        .help_template(template)
        .after_help(more);
    for (path, example) in EXAMPLES {
        let header = styles.get_header();
        let text = format!("{header}Example:{header:#}\n  {example}");
        // A build may lack the command.
        if has(&cli, path) {
            cli = with_example(cli, path, text);
        }
    }
    cli
}

/// The commands in groups, each with what it does.
fn groups(cli: &Command, styles: &Styles) -> String {
    let (header, name_style) = (styles.get_header(), styles.get_literal());
    let commands = || cli.get_subcommands().filter(|command| !command.is_hide_set());
    let width = commands().map(|command| command.get_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (title, names, example) in GROUPS {
        let here = names.iter().filter_map(|name| cli.find_subcommand(name));
        let here: Vec<&Command> = here.collect();
        if here.is_empty() {
            continue;
        }
        _ = writeln!(text, "{header}{title}:{header:#}");
        for command in here {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            _ = writeln!(text, "  {name_style}{name:width$}{name_style:#}  {about}");
        }
        let example = EXAMPLES.iter().find(|(path, _)| path == example);
        _ = writeln!(text, "  Example: {}\n", example.map_or("", |(_, example)| *example));
    }
    text
}

fn has(cli: &Command, path: &str) -> bool {
    path.split(' ').try_fold(cli, |cli, name| cli.find_subcommand(name)).is_some()
}

fn with_example(cli: Command, path: &str, text: String) -> Command {
    match path.split_once(' ') {
        None => cli.mut_subcommand(path, |command| command.after_help(text)),
        Some((first, rest)) => {
            cli.mut_subcommand(first, |command| with_example(command, rest, text))
        }
    }
}

/// When there are colours, read before everything else is parsed: errors of the parser have them, too.
pub(super) fn color(arguments: &[OsString]) -> ColorArg {
    let options = arguments.iter().take_while(|word| *word != "--");
    let mut words = options.filter_map(|word| word.to_str()).peekable();
    let mut color = ColorArg::Auto;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--color") {
            Some("") => words.peek().copied(),
            Some(attached) => attached.strip_prefix('='),
            None => None,
        };
        color = value.and_then(|value| ColorArg::from_str(value, false).ok()).unwrap_or(color);
    }
    color
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of a command that have none themselves.
    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            match below.has_subcommands() {
                true => leaves(below, &path, found),
                false => found.push(path.trim().to_owned()),
            }
        }
    }

    #[test]
    fn every_command_has_a_group_and_an_example() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands() {
            let groups = GROUPS.iter().filter(|(_, names, _)| names.contains(&command.get_name()));
            assert_eq!(groups.count(), 1, "{} is in one group of GROUPS", command.get_name());
        }
        for (title, names, example) in GROUPS {
            let command = example.split(' ').next().unwrap_or_default();
            assert!(names.contains(&command), "{title} has an example of its own");
            assert!(EXAMPLES.iter().any(|(path, _)| path == example), "{example}");
        }
        let mut commands = Vec::new();
        leaves(&cli, "", &mut commands);
        for path in commands {
            let examples = EXAMPLES.iter().filter(|(name, _)| *name == path);
            assert_eq!(examples.count(), 1, "{path} has one example in EXAMPLES");
        }
    }

    #[test]
    fn examples_can_be_typed() {
        for (path, example) in EXAMPLES.iter().filter(|(path, _)| has(&Cli::command(), path)) {
            let call = example.split(" > ").next().unwrap_or_default();
            let mut words = Vec::new();
            for (i, part) in call.split('\'').enumerate() {
                match i % 2 {
                    0 => words.extend(part.split_whitespace().map(str::to_owned)),
                    _ => words.push(part.to_owned()),
                }
            }
            assert!(format!("{call} ").starts_with(&format!("light-splade {path} ")), "{example}");
            let (warnings, parsed) = super::super::parse(words.into_iter().map(OsString::from));
            assert!(warnings.is_empty(), "{example}: {warnings:?}");
            if let Err(error) = parsed {
                panic!("{example}: {error}");
            }
        }
    }

    /// Every page of help, short and long, as it is printed on a terminal of 80 columns.
    #[test]
    fn help_fits_in_80_columns() {
        fn check(command: &Command, wide: &mut Vec<String>) {
            for long in [false, true] {
                let mut command = command.clone().term_width(80);
                let help = if long { command.render_long_help() } else { command.render_help() };
                for line in help.to_string().lines().filter(|line| line.chars().count() > 80) {
                    wide.push(format!("{}: {line}", command.get_name()));
                }
            }
            command.get_subcommands().for_each(|below| check(below, wide));
        }
        let (mut cli, mut wide) = (command(), Vec::new());
        cli.build();
        check(&cli, &mut wide);
        assert!(wide.is_empty(), "{}", wide.join("\n"));
    }

    /// The sentences of help and of commands, with what they are about.
    fn sentences(command: &Command, path: &str, found: &mut Vec<(String, String)>) {
        let mut add = |what: String, text: Option<&clap::builder::StyledStr>| {
            found.extend(text.map(|text| (what, text.to_string())));
        };
        add(path.to_owned(), command.get_about());
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            add(format!("{path} {}", arg.get_id()), arg.get_help());
            for value in arg.get_possible_values() {
                add(format!("{path} {} {}", arg.get_id(), value.get_name()), value.get_help());
            }
        }
        for below in command.get_subcommands() {
            sentences(below, format!("{path} {}", below.get_name()).trim(), found);
        }
    }

    /// Texts of help begin alike, end without a period, and state defaults in one form.
    #[test]
    fn help_is_of_one_form() {
        const INSTEAD: &[(&str, &str)] = &[
            ("if not given", "[default: …]"),
            ("several times", "can be repeated"),
            ("in place of", "instead of"),
            ("appears when", "written under a temporary name and renamed"),
            ("Go on", "Continue"),
            ("is there already", "exists"),
            ("Leave out", "Drop"),
            ("Whether", "what the option does"),
            ("a line", "per line"),
        ];
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        sentences(&command(), "", &mut all);
        assert!(all.len() > 300, "{} texts", all.len());
        for (what, text) in all {
            // Names of fields and of functions are as they are in their formats.
            let starts = text.starts_with(|c: char| !c.is_lowercase()) || text.contains('_');
            if !starts || text.ends_with('.') {
                wrong.push(format!(
                    "{what}: {text:?} begins with a small letter or ends with a period"
                ));
            }
            for (phrase, better) in INSTEAD {
                if text.contains(phrase) {
                    wrong.push(format!("{what}: {text:?} has {phrase:?}; write {better:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn the_choice_of_colours_is_found_before_parsing() {
        for (typed, want) in [
            ("x search i q", ColorArg::Auto),
            ("x --color always search i q", ColorArg::Always),
            ("x search --color=never i q", ColorArg::Never),
            ("x search i -- --color=never", ColorArg::Auto),
            ("x search i --color maybe", ColorArg::Auto),
        ] {
            let words: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
            assert_eq!(color(&words), want, "{typed}");
        }
    }
}
