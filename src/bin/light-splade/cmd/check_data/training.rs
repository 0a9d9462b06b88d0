//! `light-splade check-data` on what a run trains on.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use splade_data::FolderCheck;

use crate::args::{CheckDataArgs, TableOrJson};
use crate::output::print;

/// Ids that a warning lists.
const EXAMPLES: usize = 5;

/// The folders of a training set: `train` and `validation` below the one that was named, or that
/// one if it has triplets or scores. None if it is something else.
pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    if FolderCheck::has_masters(folder) {
        let own = Some(folder).filter(|folder| FolderCheck::is_for_training(folder));
        return own.map(Path::to_path_buf).into_iter().collect();
    }
    let parts = ["train", "validation"].map(|part| folder.join(part));
    parts.into_iter().filter(|part| FolderCheck::has_masters(part)).collect()
}

pub(super) fn run(args: &CheckDataArgs, folders: &[PathBuf]) -> Result<()> {
    if let Some(split) = &args.split {
        bail!("there is no split \"{split}\": light-splade's data has one folder each");
    }
    let checks = folders.iter().map(|folder| FolderCheck::run(folder));
    let checks = checks.collect::<Result<Vec<_>, _>>()?;
    let text = match args.format {
        TableOrJson::Table => checks.iter().map(table).collect(),
        TableOrJson::Json => {
            format!("{:#}\n", json!({"folders": checks.iter().map(object).collect::<Vec<_>>()}))
        }
    };
    print(&text)?;
    match checks.iter().all(|check| check.problems == 0) {
        true => Ok(()),
        false => bail!("{} has problems", args.data.display()),
    }
}

/// What is there, what is wrong with it and what is odd.
fn table(check: &FolderCheck) -> String {
    let FolderCheck { documents, queries, positives, .. } = check;
    let mut text = check.folder.display().to_string();
    text += &format!(": {documents} documents, {queries} queries, {positives} positives");
    for (count, name) in [(check.triplets, "triplets"), (check.scores, "scores")] {
        if let Some(count) = count {
            _ = write!(text, ", {count} {name}");
        }
    }
    text.push('\n');
    if check.problems > 0 {
        let shown = check.shown.len();
        let more = if check.problems > shown as u64 {
            format!("; the first {shown}")
        } else {
            String::new()
        };
        _ = writeln!(text, "{} problems{more}:", check.problems);
        check.shown.iter().for_each(|problem| _ = writeln!(text, "  {problem}"));
    }
    warnings(check).iter().for_each(|warning| _ = writeln!(text, "warning: {warning}"));
    text
}

fn object(check: &FolderCheck) -> Value {
    json!({
        "folder": check.folder,
        "documents": check.documents,
        "queries": check.queries,
        "positives": check.positives,
        "triplets": check.triplets,
        "scores": check.scores,
        "problems": check.problems,
        "examples": check.shown,
        "warnings": warnings(check),
    })
}

/// Warnings, with the ids that matter where the set is searched.
fn warnings(check: &FolderCheck) -> Vec<String> {
    let mut warnings = check.warnings.clone();
    let trained = check.triplets.is_some() || check.scores.is_some();
    let searched = check.folder.ends_with("validation") || !trained;
    if searched && !check.shared_ids.is_empty() {
        let ids: Vec<_> = check.shared_ids.iter().take(EXAMPLES).map(i64::to_string).collect();
        let count = check.shared_ids.len();
        let more = if count > EXAMPLES { ", …" } else { "" };
        warnings
            .push(format!("{count} queries with the id of a document: {}{more}", ids.join(", ")));
    }
    warnings
}
