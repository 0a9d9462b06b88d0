//! One table of the results of several rankings on several data sets, as text, Markdown, LaTeX and
//! JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};
use splade_io::columns;

use crate::metrics::Metric;

/// The results of one or more rankings on one or more data sets.
///
/// ```
/// use splade_eval::Board;
///
/// let mut board = Board::new(vec!["nDCG@10".parse()?]);
/// board.add("scifact", "model", 300, vec![0.6443]);
/// board.add("scifact", "BM25", 300, vec![0.6789]);
/// assert!(board.to_markdown().contains("| scifact | BM25 | 300 | **0.6789** |"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Board {
    metrics: Vec<Metric>,
    rows: Vec<Row>,
}

/// The means of one ranking on one data set.
#[derive(Debug, Clone)]
struct Row {
    set: String,
    ranking: String,
    queries: usize,
    means: Vec<f64>,
}

/// The name of the rows of means over the sets.
const MEAN: &str = "mean";

impl Board {
    /// Begins a table of these metrics.
    pub fn new(metrics: Vec<Metric>) -> Self {
        Self { metrics, rows: Vec::new() }
    }

    /// Adds the means of a ranking on a set, in the order of the metrics.
    ///
    /// # Panics
    /// Panics if there is not one mean for each metric.
    pub fn add(&mut self, set: &str, ranking: &str, queries: usize, means: Vec<f64>) {
        assert_eq!(means.len(), self.metrics.len(), "one mean for each metric");
        let (set, ranking) = (set.to_owned(), ranking.to_owned());
        self.rows.push(Row { set, ranking, queries, means });
    }

    /// Returns the table for a terminal.
    pub fn to_table(&self) -> String {
        let cells = |row: &Row| {
            let means = row.means.iter().map(|mean| format!("{mean:.4}"));
            self.names(row).into_iter().chain(means).collect::<Vec<_>>()
        };
        let rows: Vec<Vec<String>> =
            std::iter::once(self.header().collect()).chain(self.all().iter().map(cells)).collect();
        // The names of the set and of the ranking come first; numbers follow.
        let right: Vec<bool> = (0..3 + self.metrics.len()).map(|column| column >= 2).collect();
        columns(&rows, &right)
    }

    /// Returns the table in Markdown, with the best ranking of each set in bold.
    pub fn to_markdown(&self) -> String {
        let escape = |text: &str| text.replace('|', "\\|");
        let mut text = format!("| {} |\n|---|---|", self.header().collect::<Vec<_>>().join(" | "));
        text += &"---:|".repeat(1 + self.metrics.len());
        text += "\n";
        for row in &self.all() {
            let names = self.names(row).map(|name| escape(&name)).join(" | ");
            let _ = writeln!(text, "| {names} | {} |", self.marked(row, "**", "**").join(" | "));
        }
        text
    }

    /// Returns a `tabular` of LaTeX with the rules of the package `booktabs`, with the best ranking
    /// of each set in bold.
    pub fn to_latex(&self) -> String {
        let header: Vec<String> = self.header().map(|name| latex(&name)).collect();
        let mut text = format!(
            "\\begin{{tabular}}{{ll{}}}\n\\toprule\n{} \\\\\n\\midrule\n",
            "r".repeat(1 + self.metrics.len()),
            header.join(" & ")
        );
        let sets = self.rows.len();
        for (number, row) in self.all().iter().enumerate() {
            if number == sets {
                text += "\\midrule\n";
            }
            let names = self.names(row).map(|name| latex(&name)).join(" & ");
            let means = self.marked(row, "\\textbf{", "}").join(" & ");
            let _ = writeln!(text, "{names} & {means} \\\\");
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }

    /// Returns the table as JSON.
    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            let metrics: serde_json::Map<String, Value> = self
                .metrics
                .iter()
                .zip(&row.means)
                .map(|(metric, mean)| (metric.to_string(), (*mean).into()))
                .collect();
            json!({
                "data": row.set,
                "ranking": row.ranking,
                "queries": row.queries,
                "metrics": metrics,
            })
        };
        let (rows, means): (Vec<Value>, Vec<Value>) =
            (self.rows.iter().map(row).collect(), self.means().iter().map(row).collect());
        json!({"results": rows, "means": means})
    }

    fn header(&self) -> impl Iterator<Item = String> {
        let names = ["data", "ranking", "queries"].map(str::to_owned);
        names.into_iter().chain(self.metrics.iter().map(Metric::to_string))
    }

    /// The name of the set, that of the ranking and the number of queries; none of a mean over sets.
    fn names(&self, row: &Row) -> [String; 3] {
        let queries = if row.queries == 0 { String::new() } else { row.queries.to_string() };
        [row.set.clone(), row.ranking.clone(), queries]
    }

    /// The rows, and the means where there are several sets.
    fn all(&self) -> Vec<Row> {
        self.rows.iter().cloned().chain(self.means()).collect()
    }

    /// The mean over the sets of each ranking that has a row for every set; none of a single set.
    fn means(&self) -> Vec<Row> {
        let mut sets: Vec<&str> = self.rows.iter().map(|row| row.set.as_str()).collect();
        sets.dedup();
        let mut rankings: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !rankings.contains(&row.ranking.as_str()) {
                rankings.push(&row.ranking);
            }
        }
        let of = |ranking: &&str| {
            let rows: Vec<_> = self.rows.iter().filter(|row| row.ranking == **ranking).collect();
            let count = rows.len() as f64;
            let mean =
                |metric| rows.iter().map(|row: &&Row| row.means[metric]).sum::<f64>() / count;
            (rows.len() == sets.len() && sets.len() > 1).then(|| Row {
                set: MEAN.to_owned(),
                ranking: (*ranking).to_owned(),
                queries: 0,
                means: (0..self.metrics.len()).map(mean).collect(),
            })
        };
        rankings.iter().filter_map(of).collect()
    }

    /// The means of a row, those in bold that are the best of several rankings on its set.
    fn marked(&self, row: &Row, on: &str, off: &str) -> Vec<String> {
        let all = self.all();
        let rivals: Vec<_> = all.iter().filter(|other| other.set == row.set).collect();
        let cell = |(metric, mean): (usize, &f64)| {
            let best = rivals.iter().all(|other| other.means[metric] <= *mean);
            match best && rivals.len() > 1 {
                true => format!("{on}{mean:.4}{off}"),
                false => format!("{mean:.4}"),
            }
        };
        row.means.iter().enumerate().map(cell).collect()
    }
}

/// Escapes the characters that LaTeX reads as commands.
fn latex(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let metrics = ["nDCG@10", "MRR@10"].map(|name| name.parse().expect("a metric"));
        let mut board = Board::new(metrics.to_vec());
        board.add("a_b", "model", 300, vec![0.5, 0.25]);
        board.add("a_b", "BM25", 300, vec![0.25, 0.5]);
        board.add("日本", "model", 7, vec![1.0, 1.0]);
        board.add("日本", "BM25", 7, vec![0.75, 1.0]);
        board
    }

    #[test]
    fn for_terminals() {
        let want = "\
data  ranking  queries  nDCG@10  MRR@10
a_b   model        300   0.5000  0.2500
a_b   BM25         300   0.2500  0.5000
日本  model          7   1.0000  1.0000
日本  BM25           7   0.7500  1.0000
mean  model              0.7500  0.6250
mean  BM25               0.5000  0.7500
";
        assert_eq!(board().to_table(), want);
    }

    #[test]
    fn for_documents() {
        let want = "\
| data | ranking | queries | nDCG@10 | MRR@10 |
|---|---|---:|---:|---:|
| a_b | model | 300 | **0.5000** | 0.2500 |
| a_b | BM25 | 300 | 0.2500 | **0.5000** |
| 日本 | model | 7 | **1.0000** | **1.0000** |
| 日本 | BM25 | 7 | 0.7500 | **1.0000** |
| mean | model |  | **0.7500** | 0.6250 |
| mean | BM25 |  | 0.5000 | **0.7500** |
";
        assert_eq!(board().to_markdown(), want);
        let want = r"\begin{tabular}{llrrr}
\toprule
data & ranking & queries & nDCG@10 & MRR@10 \\
\midrule
a\_b & model & 300 & \textbf{0.5000} & 0.2500 \\
a\_b & BM25 & 300 & 0.2500 & \textbf{0.5000} \\
日本 & model & 7 & \textbf{1.0000} & \textbf{1.0000} \\
日本 & BM25 & 7 & 0.7500 & \textbf{1.0000} \\
\midrule
mean & model &  & \textbf{0.7500} & 0.6250 \\
mean & BM25 &  & 0.5000 & \textbf{0.7500} \\
\bottomrule
\end{tabular}
";
        assert_eq!(board().to_latex(), want);
    }

    #[test]
    fn for_programs() {
        let json = board().to_json();
        assert_eq!(json["results"][1]["metrics"]["MRR@10"], 0.5);
        assert_eq!(json["results"].as_array().map(Vec::len), Some(4));
        assert_eq!(json["means"][0]["metrics"]["nDCG@10"], 0.75);
        let one = Board::new(vec!["MRR@10".parse().expect("a metric")]);
        assert_eq!(one.to_json(), json!({"results": [], "means": []}));
    }
}
