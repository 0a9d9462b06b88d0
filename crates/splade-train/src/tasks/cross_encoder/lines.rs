//! The lines of a file of scores.

/// Returns the line of a query's scores, each with the id of its document.
pub(super) fn line(qid: i64, scores: impl Iterator<Item = (i64, String)>) -> String {
    let scores: Vec<String> = scores.map(|(doc, score)| format!("\"{doc}\": {score}")).collect();
    format!("{{\"qid\": {qid}, \"scores\": {{{}}}}}\n", scores.join(", "))
}
