//! Follows the hints of error messages: what they say to write must be accepted.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::UNIX_EPOCH;

use hydra_compose::{ComposeOptions, compose, sweep};
use serde_json::{Value, json};

const FILES: &[(&str, &str)] = &[
    ("main.yaml", "defaults:\n  - db: small\n  - _self_\na: 1\nb: {c: 2}\nlist: [1, 2]\ntext: x\n"),
    ("open.yaml", "defaults:\n  - db: ???\n"),
    ("missing.yaml", "a: ???\nb: {c: ???}\nd: ${b.c}\nlist: [???]\n'odd name': 1\n"),
    ("odd.yaml", "'odd name': ???\n"),
    ("unset.yaml", "a: ${oc.env:LIGHT_SPLADE_NO_SUCH_VARIABLE}\n"),
    ("decode.yaml", "a: ${oc.decode:'x#y'}\n"),
    ("two.yaml", "defaults:\n  - db: small\n  - other\n"),
    ("other.yaml", "defaults:\n  - db: large\n"),
    ("number.yaml", "defaults:\n  - db: 1\n"),
    ("groups.yaml", "defaults:\n  - db: small\n    more: x\n"),
    ("keys.yaml", "1: x\n"),
    ("tag.yaml", "a: !mine 1\n"),
    ("db/small.yaml", "size: 1\n"),
    ("db/large.yaml", "size: 2\n"),
    ("db/1.yaml", "size: 3\n"),
    ("more/x.yaml", "y: 1\n"),
];

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn options(dir: &Path, name: &str, overrides: &[String]) -> ComposeOptions {
    ComposeOptions {
        config_dir: dir.to_owned(),
        config_name: name.to_owned(),
        overrides: overrides.to_vec(),
        now: UNIX_EPOCH,
    }
}

fn value(dir: &Path, name: &str, overrides: &[String]) -> Result<Value, String> {
    compose(&options(dir, name, overrides))
        .and_then(|composed| composed.value())
        .map_err(|error| format!("{error}; hint: {}", error.hint().unwrap_or_default()))
}

/// Splits what a hint says to type into words, as a shell does.
fn typed(text: &str) -> Vec<String> {
    let script = format!("printf '%s\\n' {text}");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Each case has a config, a wrong override, the words of the message before and after what it says
/// to type, and the value that the typed words give.
#[cfg(unix)]
#[test]
fn what_a_hint_says_to_type_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FILES);
    let shell = "the whole for the shell: ";
    for (name, wrong, before, after, key, want) in [
        ("main", "text=a#b", shell, "", "text", json!("a#b")),
        ("main", "text=a\\#b", shell, "", "text", json!("a#b")),
        ("main", "text=a&b", shell, "", "text", json!("a&b")),
        ("main", "text=a\\&b;c", shell, "", "text", json!("a&b;c")),
        ("main", "text=a=b=c", shell, "", "text", json!("a=b=c")),
        ("main", "text=it's", shell, "", "text", json!("it's")),
        ("main", "text=say \"x\"", shell, "", "text", json!("say \"x\"")),
        ("main", "text=a<b>!c`d`^~", shell, "", "text", json!("a<b>!c`d`^~")),
        ("main", "text=$HOME#x", shell, "", "text", json!("$HOME#x")),
        ("main", "text='x'y", shell, "", "text", json!("'x'y")),
        ("main", "text=[1]x", shell, "", "text", json!("[1]x")),
        ("main", "text=f(x,y)", shell, "", "text", json!("f(x,y)")),
        ("main", "text=f(x", shell, "", "text", json!("f(x")),
        ("main", "text=choice(a)b", shell, "", "text", json!("choice(a)b")),
        ("main", "text=x)", shell, "", "text", json!("x)")),
        ("main", "text=]", shell, "", "text", json!("]")),
        ("main", "list=[a#b,2]", shell, "", "list", json!(["a#b", 2])),
        ("main", "list=[a#b,c#d]", shell, "", "list", json!("[a#b,c#d]")),
        ("main", "list=[1,,2]", shell, "", "list", json!([1, "", 2])),
        ("main", "++list={x:a#b}", shell, "", "list", Value::Null),
        ("main", "a=1,2", "or write ", " for a list", "a", json!([1, 2])),
        ("main", "a=1,2", " for a list and ", " for a string", "a", json!("1,2")),
        ("main", "text=x,'y z'", " for a list and ", " for a string", "text", json!("x,'y z'")),
        ("main", "a", "hint: write ", ", or", "a", json!("VALUE")),
        ("main", "a", "=VALUE, or ", " to delete", "a", Value::Null),
        ("main", "a b=1", "and a value: ", "", "training", Value::Null),
        ("main", "+a=3", "hint: write ", " to change it", "a", json!(3)),
        ("main", "+a='x y'", "to change it, or ", "", "a", json!("x y")),
        ("main", "new=3", "dd it, write ", "", "new", json!(3)),
        ("main", "b.new=[1,'x']", "dd it, write ", "", "b", json!({"c": 2, "new": [1, "x"]})),
        ("main", "b={d:1}", "dd it, write ", "", "b", json!({"c": 2, "d": 1})),
        ("main", "a.x=1", "to replace it, write ", "", "a", json!({"x": 1})),
        ("main", "++more=x", "hint: write ", "", "more", json!({"y": 1})),
        ("main", "more=x", "dd it, write ", "", "more", json!({"y": 1})),
        ("main", "db=larg", "did you mean ", "?", "db", json!({"size": 2})),
        ("main", "text.y=1", "to replace it, write ", "", "text", json!({"y": 1})),
        ("open", "", "hint: write ", ", where", "db", Value::Null),
        ("missing", "", "hint: write ", "", "a", json!("VALUE")),
    ] {
        let lines: Vec<String> =
            Some(wrong.to_owned()).filter(|w| !w.is_empty()).into_iter().collect();
        let message = value(dir.path(), name, &lines).expect_err(wrong);
        let rest = message.split_once(before).unwrap_or_else(|| panic!("{wrong}: {message}")).1;
        let text = if after.is_empty() { rest } else { rest.split_once(after).expect(&message).0 };
        let mut words = typed(text);
        if wrong.starts_with("db=") {
            words = vec![format!("db={text}")];
        }
        if name == "open" {
            words = vec![words[0].replace("NAME", "large")];
        }
        if name == "missing" {
            words = vec![words[0].clone(), "b.c=1".to_owned(), "list.0=1".to_owned()];
        }
        if key == "training" {
            words[0] = format!("+{}", words[0]);
        }
        match value(dir.path(), name, &words) {
            Ok(got) => assert!(
                want.is_null() || got[key] == want,
                "{wrong}: {message}\n{words:?} gives {got}"
            ),
            // A list is not a mapping, which is another error than that of the quotes.
            Err(error) => assert!(error.contains("is a list"), "{wrong}: {words:?}: {error}"),
        }
    }
}

/// Hints that are followed in other ways than by typing an override.
#[test]
fn other_hints_help_as_well() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), FILES);
    let dir = dir.path();
    // Each case has a config, overrides, words of the hint, and the files and overrides that follow
    // it.
    let several = vec!["a=1,2".to_owned()];
    let message = value(dir, "main", &several).unwrap_err();
    assert!(message.contains("add -m"), "{message}");
    assert_eq!(sweep(&options(dir, "main", &several)).unwrap().len(), 2);
    for (name, overrides, hint, file, text) in [
        ("odd", &[][..], "write it into the config", "odd.yaml", "'odd name': 1\n"),
        (
            "unset",
            &[],
            "${oc.env:LIGHT_SPLADE_NO_SUCH_VARIABLE,DEFAULT}",
            "unset.yaml",
            "a: ${oc.env:LIGHT_SPLADE_NO_SUCH_VARIABLE,DEFAULT}\n",
        ),
        ("decode", &[], "quote it: \"x#y\"", "decode.yaml", "a: ${oc.decode:'\"x#y\"'}\n"),
        (
            "two",
            &[],
            "to replace large, write `override /db: small` in place of `db: small`, at the end",
            "two.yaml",
            "defaults:\n  - other\n  - override /db: small\n",
        ),
        ("number", &[], "quote it", "number.yaml", "defaults:\n  - db: '1'\n"),
        ("groups", &[], "its own `-`", "groups.yaml", "defaults:\n  - db: small\n  - more: x\n"),
        ("keys", &[], "write '1'", "keys.yaml", "'1': x\n"),
        ("tag", &[], "remove it", "tag.yaml", "a: 1\n"),
        ("main", &["hydra.job.chdir=true"], "leave it out", "x.yaml", ""),
        ("main", &["hydra.verbose=true"], "leave it out", "x.yaml", ""),
    ] {
        let lines: Vec<String> = overrides.iter().map(|line| (*line).to_owned()).collect();
        let message = value(dir, name, &lines).expect_err(name);
        assert!(message.contains(hint), "{name}: {message}");
        write(dir, &[(file, text)]);
        assert_eq!(value(dir, name, &[]).err(), None, "{name}: {message}");
    }
}
