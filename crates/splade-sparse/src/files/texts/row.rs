//! A text with its id, and the fields in which both are found.

/// The names of the field with the id, of which the first that exists counts.
const ID_FIELDS: [&str; 4] = ["_id", "doc_id", "qid", "id"];

/// A text of a file.
///
/// ```
/// use splade_sparse::files::{TextFields, TextReader, TextRow};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("corpus.jsonl");
/// std::fs::write(&path, "{\"_id\": 7, \"title\": \"Tokyo\", \"text\": \"The capital.\"}\n")?;
/// let row = TextReader::open(&path, &TextFields::default(), None, None)?.next_row()?;
/// let Some(TextRow { id, title, text }) = row else { panic!("the file has a row") };
/// assert_eq!([id, title, text], ["7", "Tokyo", "The capital."]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRow {
    /// The id; an integer is written in decimals. Empty if ids are not read, or in plain text.
    pub id: String,
    /// The title, or an empty string if the row has none.
    pub title: String,
    /// The text without the title.
    pub text: String,
}

/// The fields, or columns, that are read.
///
/// ```
/// use splade_sparse::files::{TextFields, TextReader};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("articles.csv");
/// std::fs::write(&path, "slug,body,views\nnight-train,It leaves at ten.,3\n")?;
/// let field = |name: &str| Some(name.to_owned());
/// let fields = TextFields { id: field("slug"), text: field("body"), no_ids: false };
/// let row = TextReader::open(&path, &fields, None, None)?.next_row()?.expect("a row");
/// assert_eq!((row.id.as_str(), row.text.as_str()), ("night-train", "It leaves at ten."));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextFields {
    /// The field with the id; `_id`, `doc_id`, `qid` or `id` if none is named.
    pub id: Option<String>,
    /// The field with the text; `text`, and the title in `title`, if none is named.
    pub text: Option<String>,
    /// Whether rows need no id.
    pub no_ids: bool,
}

impl TextFields {
    /// Returns the possible names of the field with the id; none if ids are not read.
    pub(super) fn ids(&self) -> Vec<&str> {
        match (&self.id, self.no_ids) {
            (_, true) => Vec::new(),
            (Some(id), false) => vec![id],
            (None, false) => ID_FIELDS.to_vec(),
        }
    }

    /// Returns the name of the field with the title, if titles are read.
    pub(super) fn title(&self) -> Option<&'static str> {
        self.text.is_none().then_some("title")
    }

    /// Returns the name of the field with the text.
    pub(super) fn text(&self) -> &str {
        self.text.as_deref().unwrap_or("text")
    }

    /// Returns whether these names of columns include those that are read.
    pub(super) fn are_in(&self, columns: &[String]) -> bool {
        let has = |name: &str| columns.iter().any(|column| column == name);
        has(self.text()) && (self.no_ids || self.ids().into_iter().any(has))
    }

    /// Returns the message about an id that is missing in a row or a file with these fields.
    pub(super) fn no_id(&self, fields: &[&str]) -> String {
        let wanted = self.ids().join(", ");
        format!("no field for the id ({wanted}); the fields are: {}", fields.join(", "))
    }

    /// Returns the message about a text that is missing in a row or a file with these fields.
    pub(super) fn no_text(&self, fields: &[&str]) -> String {
        format!("no field named \"{}\"; the fields are: {}", self.text(), fields.join(", "))
    }
}
