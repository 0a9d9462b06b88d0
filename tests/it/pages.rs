//! Pages that the program writes: what their titles say, how texts of users stand in them, and that
//! they ask nobody for anything.

use std::fs;

use crate::common::{MODEL, failure, run, stdout};

/// Checks what holds for every page.
fn check(html: &str) {
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    assert_eq!(html.matches("<h1>").count(), 1);
    assert!(html.contains("default-src 'none'"));
    for word in ["src=", "@import", "url(", "https:", "<script>alert"] {
        assert!(!html.contains(word), "{word}");
    }
    let links =
        html.split("href=\"").skip(1).map(|link| link.split('"').next().unwrap_or_default());
    links.for_each(|link| assert!(link == "data:," || link.starts_with('#'), "{link}"));
}

fn title(html: &str) -> &str {
    let start = html.split("<title>").nth(1).expect("a title");
    start.split("</title>").next().expect("an end")
}

fn explain(text: &str, more: &[&str]) -> String {
    let page = ["explain", "--kernels", "portable", "--html", "-m", MODEL];
    let html = stdout(&[&page[..], more, &["-t", text]].concat());
    check(&html);
    html
}

#[test]
fn an_explanation_links_tokens_and_terms() {
    let html = explain("朝の電車で東京へ", &["--as", "query"]);
    assert_eq!(title(&html), format!("Terms of “朝の電車で東京へ” ({MODEL}, query)"));
    assert!(html.contains("<h1>Terms of “<bdi lang=\"ja\">朝の電車で東京へ</bdi>”</h1>"));
    assert!(html.contains(&format!("<dt>Model</dt><dd><bdi lang=\"en\">{MODEL}</bdi></dd>")));
    // Every link within the page has its target, and terms stand beside their tokens.
    let ids = |start: &str| -> Vec<&str> {
        let parts = html.split(start).skip(1);
        parts.map(|part| part.split('"').next().unwrap_or_default()).collect()
    };
    let targets = ids(" id=\"");
    let links = ids("href=\"#");
    assert!(links.len() > 4);
    links.iter().for_each(|link| assert!(targets.contains(link), "{link}"));
    let rows = html.matches("<tr data-token=\"").count();
    assert!(html.contains("badge own\">in the text</span></td>"));
    assert!(html.contains("badge added\">+ added</span></td>"));
    assert_eq!(html.matches("</span></td><td class=\"number\">").count(), rows);
    // The tokens of the text come first, then those that the tokenizer puts around it.
    let (own, special) = html.split_once("<h2>Special tokens</h2>").expect("special tokens");
    assert!(own.contains("<bdi lang=\"ja\">電車</bdi>") && !own.contains("[CLS]</bdi>"));
    assert!(special.contains("[CLS]</bdi>") && special.contains("[SEP]</bdi>"));
}

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "</title><script>alert(1)</script> \"'&amp; \u{202e}cba\u{1b}[2J";
    let html = explain(hostile, &[]);
    // The scripts of the page itself.
    assert_eq!(html.matches("</script>").count(), 1);
    assert!(title(&html).contains("&lt;/title&gt;&lt;script&gt;"));
    // What would steer a terminal or turn the direction of the text is shown by its number.
    assert!(!html.contains(['\u{1b}', '\u{202e}']));
    assert!(html.contains("\\u{202e}cba\\u{1b}[2J"));
}

#[test]
fn texts_of_every_length_have_a_page() {
    let empty = explain("", &[]);
    assert!(title(&empty).starts_with("Terms of an empty text ("));
    assert!(empty.contains("The text is empty."));
    assert!(!empty.contains("<h2>Text</h2>"));
    let long = explain(&"東京の朝の電車 ".repeat(400), &["--top-k", "5"]);
    assert!(title(&long).chars().count() < 100, "{}", title(&long));
    assert!(long.contains("The rest was cut off.") && long.contains("The whole text ("));
    assert_eq!(long.matches("<tr data-token=\"").count(), 5);
}

#[test]
fn a_run_has_a_report_while_it_goes_on_and_after_its_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let output = path("run");
    let train = |more: &[&str]| {
        let folder = format!("training.output_dir={output}");
        let config = ["train", "--quiet", "config/toy_splade_ja.yaml"];
        let settings =
            ["training.max_steps=4", "training.logging_steps=1", "training.eval_steps=2"];
        run(&[&config[..], &[&folder], &settings, more].concat())
    };
    let trained = train(&[]);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let html = stdout(&["report", &output]);
    check(&html);
    assert_eq!(title(&html), "Training, toy_splade_ja: finished");
    for part in
        ["models/demo", "data/toy/train", "\"outcome\":\"finished\"", "\"metric\":\"eval_MRR@10\""]
    {
        assert!(html.contains(part), "{part}");
    }
    // A log that ends in the middle is that of a run that was killed.
    let log = fs::read_to_string(dir.path().join("run/log.jsonl")).expect("a log");
    let cut: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains("\"end\"") && !line.contains("\"summary\""))
        .collect();
    fs::write(dir.path().join("cut.jsonl"), cut.join("\n") + "\n").expect("written");
    let page = path("report.html");
    let said = run(&["report", &path("cut.jsonl"), "--compare", &output, "-o", &page]);
    assert!(said.status.success());
    let html = fs::read_to_string(&page).expect("written");
    check(&html);
    assert_eq!(title(&html), "Training, toy_splade_ja: ended without a result");
    assert_eq!(html.matches("{\"kind\":\"run\"").count(), 2);
    failure(&["report", &output, "-o", &page], 1);
    let message = failure(&["report", &path("nothing")], 1);
    assert!(message.contains("there is no training log"), "{message}");
}
