//! The page of all settings, made from the tables that read them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use hydra_compose::settings::{Description, Settings};
use serde_json::Value;
use splade_train::config::{Config, PretrainConfig, ignored_settings};
use splade_train::cross_encoder::{CrossEncoderConfig, PredictConfig};

use super::{is_generated, root};

const INTRODUCTION: &str = "\
<!-- Made from the tables of settings by `UPDATE_SNAPSHOTS=1 cargo test --test it book`; changes by hand are lost. -->

# Settings

This page lists every setting of the configs, for everyone who writes one.
[Configure a training run](../howto/train-config.md) says how configs are composed and overridden.

The column \"from\" says where a setting comes from. *transformers* is its `TrainingArguments` (4.56): the name, the default
and the meaning are the same, which a test compares. *Python* is the Python library light-splade, and *ours* is an addition
of this one. A setting without a default, marked **required**, must be given. A value of `null` is the same as leaving the
setting out.
";

const IGNORED: &str = "
## Fields of transformers that are accepted and ignored

They change nothing in a run on one CPU. All other fields of transformers that are not listed above must have their default
value; otherwise the run does not start.

| field | why |
|---|---|
";

/// How a page finds out where a setting comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// Transformers and the Python library.
    Training,
    /// Transformers, or this library alone.
    Pretraining,
    /// The Python library.
    CrossEncoder,
}

#[test]
fn the_page_of_settings_is_what_the_tables_say() {
    let transformers = transformers();
    let mut page = INTRODUCTION.to_owned();
    let mut count = 0;
    for (title, about, settings, origin) in [
        (
            "Training",
            "Settings of `train`. Paths under `data` are files `*.ndjson` or `*.ndjson.gz`, or folders with such files.",
            Config::descriptions(),
            Origin::Training,
        ),
        (
            "Pretraining",
            "Settings of `pretrain`.",
            PretrainConfig::descriptions(),
            Origin::Pretraining,
        ),
        (
            "Cross-encoder, training",
            "Settings of `cross-encoder train`, in a single file.",
            CrossEncoderConfig::descriptions(""),
            Origin::CrossEncoder,
        ),
        (
            "Cross-encoder, prediction",
            "Settings of `cross-encoder predict`, in a single file.",
            PredictConfig::descriptions(""),
            Origin::CrossEncoder,
        ),
    ] {
        let _ = write!(
            page,
            "\n## {title}\n\n{about}\n\n| setting | default | values | from | meaning |\n|---|---|---|---|---|\n"
        );
        for setting in &settings {
            page.push_str(&row(setting, origin, &transformers));
        }
        count += settings.len();
    }
    page.push_str(IGNORED);
    for (name, reason) in ignored_settings() {
        let _ = writeln!(page, "| `training.{name}` | {reason} |");
    }
    assert!(count > 120, "{count}");
    is_generated("docs/reference/settings.md", &page);
}

fn row(setting: &Description, origin: Origin, transformers: &BTreeSet<String>) -> String {
    let Description { name, meaning, values, default } = setting;
    let is_ours = meaning.contains("light-splade only")
        || meaning.contains("The Python library does not have this setting");
    let of_transformers =
        name.strip_prefix("training.").is_some_and(|name| transformers.contains(name));
    let from = match (origin, of_transformers, is_ours) {
        (Origin::Training | Origin::Pretraining, true, _) => "transformers",
        (Origin::Pretraining, false, _) | (_, _, true) => "ours",
        (Origin::Training | Origin::CrossEncoder, _, false) => "Python",
    };
    let default = match default {
        None => "**required**".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(value) => format!("`{value}`"),
    };
    // What the columns say already.
    let mut meaning = meaning.replace("`None`", "`null`");
    for said in [
        " (light-splade only)",
        ", light-splade only",
        " The Python library does not have this setting.",
    ] {
        meaning = meaning.replace(said, "");
    }
    format!("| `{name}` | {default} | {} | {from} | {} |\n", cell(values), cell(&meaning))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("[`", "`").replace("`]", "`")
}

/// The names of transformers' `TrainingArguments`.
fn transformers() -> BTreeSet<String> {
    let path = "crates/splade-train/tests/fixtures/config/training_arguments.json";
    let text = fs::read_to_string(root().join(path)).expect("the recorded fields");
    let fields: Value = serde_json::from_str(&text).expect("JSON");
    fields["fields"].as_object().expect("fields").keys().cloned().collect()
}
