//! What the card of a model says of its licence, languages and data sets, which a copy of the model
//! keeps.

use std::path::Path;

use super::card::ModelCard;
use crate::builtin;

/// Fills what the caller has not given with what the model's own card says. Of the built-in model it
/// is known.
pub(super) fn with_own(card: &ModelCard, model: &Path, folder: &Path) -> ModelCard {
    let own = match builtin::is_named(model) {
        true => FrontMatter {
            licenses: vec![builtin::LICENSE.to_owned()],
            languages: builtin::LANGUAGES.map(str::to_owned).to_vec(),
            datasets: builtin::DATASETS.map(str::to_owned).to_vec(),
        },
        false => FrontMatter::parse(
            &std::fs::read_to_string(folder.join("README.md")).unwrap_or_default(),
        ),
    };
    let or = |given: &Vec<String>, own| if given.is_empty() { own } else { given.clone() };
    ModelCard {
        languages: or(&card.languages, own.languages),
        license: card.license.clone().or(own.licenses.into_iter().next()),
        datasets: or(&card.datasets, own.datasets),
        ..card.clone()
    }
}

/// The keys of a card's front matter that a copy keeps.
#[derive(Debug, Default, PartialEq)]
struct FrontMatter {
    licenses: Vec<String>,
    languages: Vec<String>,
    datasets: Vec<String>,
}

impl FrontMatter {
    /// Reads the front matter of a card: a text, a list in brackets or a list of one line an entry.
    /// What has another form is left out, as nothing of a card may be made up.
    fn parse(card: &str) -> Self {
        let mut this = Self::default();
        let mut lines = card.lines();
        if lines.next().is_none_or(|line| line.trim_end() != "---") {
            return this;
        }
        let mut key = "";
        for line in lines.take_while(|line| line.trim_end() != "---") {
            let entry = line.trim_start().strip_prefix("- ");
            let value = match (entry, line.split_once(':')) {
                (Some(entry), _) => entry,
                (None, Some((name, value))) if !line.starts_with([' ', '#']) => {
                    key = name;
                    value
                }
                _ => {
                    key = "";
                    continue;
                }
            };
            let list = match key {
                "license" => &mut this.licenses,
                "language" => &mut this.languages,
                "datasets" => &mut this.datasets,
                _ => continue,
            };
            let value = value.trim();
            let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            let values = inner.map_or_else(|| vec![value], |inner| inner.split(',').collect());
            list.extend(values.into_iter().map(unquoted).filter(|value| !value.is_empty()));
        }
        this
    }
}

/// Returns a plain or quoted text of YAML; empty if it is neither.
fn unquoted(text: &str) -> String {
    let text = text.trim();
    let inner =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    let text = inner.unwrap_or(text);
    let is_plain = |c: char| c.is_alphanumeric() || "-_./ ".contains(c);
    if text.chars().all(is_plain) { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_three_forms() {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let want = FrontMatter {
            licenses: strings(&["mit"]),
            languages: strings(&["ja", "en"]),
            datasets: strings(&["org/a", "b c"]),
        };
        for card in [
            "---\nlanguage:\n- ja\n- \"en\"\nlicense: mit\ndatasets: [org/a, 'b c']\ntags:\n- x\n---\n# T\n",
            "---\r\nlicense: \"mit\"\r\nlanguage: [ja, en]\r\ndatasets:\r\n  - org/a\r\n  - b c\r\n---\r\n",
        ] {
            assert_eq!(FrontMatter::parse(card), want, "{card}");
        }
        for card in [
            "",
            "# No front matter\nlicense: mit\n",
            "---\nlicense: &x mit\nlicense_name: y\n---\n",
        ] {
            assert_eq!(FrontMatter::parse(card), FrontMatter::default(), "{card}");
        }
    }

    #[test]
    fn the_built_in_model_keeps_its_card() {
        let card = std::fs::read_to_string("models/mini-ja-en/README.md").expect("a card");
        let own = FrontMatter::parse(&card);
        let built_in = with_own(&ModelCard::default(), builtin::NAME.as_ref(), Path::new("none"));
        assert_eq!(built_in.license, own.licenses.first().cloned());
        assert_eq!((built_in.languages, built_in.datasets), (own.languages, own.datasets));
        let given = ModelCard { license: Some("mit".to_owned()), ..ModelCard::default() };
        let card = with_own(&given, "models/mini-ja-en".as_ref(), "models/mini-ja-en".as_ref());
        assert_eq!(card.license.as_deref(), Some("mit"));
        assert_eq!(card.languages, ["ja", "en"]);
    }
}
