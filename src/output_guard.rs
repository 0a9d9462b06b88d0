//! The one rule about outputs: nothing that exists is overwritten unless the caller says so, and an
//! input is never overwritten.
//!
//! Devices, pipes and sockets (`/dev/null`, a FIFO) are no files that could be lost: they pass.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use serde_json::Value;
use splade_io::{FileError, seal_json, write_file};
use splade_sparse::files::{Manifest, manifest_path};

use crate::error::{Error, advised};

/// The depth to which folders of inputs are searched for the output: `qrels/test.tsv` of a data set
/// is at depth 2.
const DEPTH: usize = 3;

/// Checks that an output may be written, before the work begins.
///
/// An output that is one of the inputs is an error in any case, also through symbolic and hard links,
/// and so is a file of a folder that is read, or a folder that holds an input. A file that exists is
/// an error unless `force` is given. A folder that exists passes: what may be in it is for whoever
/// fills it to say.
///
/// ```
/// use std::path::Path;
/// use light_splade::outputs::check_output;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.ndjson");
/// let none: [&Path; 0] = [];
/// check_output(&path, none, false)?;
/// std::fs::write(&path, "{}\n")?;
/// assert!(check_output(&path, none, false).is_err());
/// check_output(&path, none, true)?;
/// assert!(check_output(&path, [path.as_path()], true).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the output is one of the inputs, or exists and is not to be replaced.
pub fn check_output<P: AsRef<Path>>(
    output: &Path,
    inputs: impl IntoIterator<Item = P>,
    force: bool,
) -> Result<(), Error> {
    let Ok(found) = fs::metadata(output) else {
        // A link that leads nowhere is written through: the file behind it is new.
        return Ok(());
    };
    if is_special(&found) {
        return Ok(());
    }
    for input in inputs {
        let input = input.as_ref();
        let clash = match found.is_dir() {
            true => is_same(output, input) || lies_in(input, output),
            false => is_same(output, input) || holds(input, output, DEPTH),
        };
        if clash {
            let (output, input) = (output.to_path_buf(), input.to_path_buf());
            return Err(Error::OutputIsInput { output, input });
        }
    }
    if found.is_file() && !force {
        return Err(exists(output));
    }
    Ok(())
}

/// Checks that two outputs of one call are different files.
///
/// ```
/// use light_splade::outputs::check_distinct;
///
/// assert!(check_distinct("run.txt".as_ref(), "report.json".as_ref()).is_ok());
/// assert!(check_distinct("run.txt".as_ref(), "./run.txt".as_ref()).is_err());
/// ```
///
/// # Errors
/// If they are the same file, or would be.
pub fn check_distinct(first: &Path, second: &Path) -> Result<(), Error> {
    let special = |path: &Path| fs::metadata(path).is_ok_and(|found| is_special(&found));
    let same = is_same(first, second) || absolute(first) == absolute(second);
    match same && !special(first) {
        true => Err(Error::SameOutput { path: first.to_path_buf() }),
        false => Ok(()),
    }
}

/// Checks that the files of a folder that is begun do not exist yet.
pub(crate) fn check_files<'a>(
    folder: &Path,
    names: impl IntoIterator<Item = &'a str>,
    force: bool,
) -> Result<(), Error> {
    let paths = names.into_iter().map(|name| folder.join(name));
    match paths.into_iter().find(|path| !force && path.symlink_metadata().is_ok()) {
        // Without a manifest the folder is not ours, and `--force` would not help.
        Some(_) if manifest_path(folder).is_none() => {
            let (path, marker) = (folder.to_path_buf(), Manifest::FILE.to_owned());
            Err(FileError::NotOurs { path, marker }.into())
        }
        Some(path) => Err(exists(&path)),
        None => Ok(()),
    }
}

/// Removes the shards that the manifest of a folder names, and empties the manifest, so that the folder
/// can be begun anew. Other files stay, and so does a folder of another format.
pub(crate) fn remove_shards(folder: &Path, format: &str) -> Result<(), Error> {
    let Some(path) = manifest_path(folder) else { return Ok(()) };
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let mut manifest: Value = serde_json::from_str(&text).unwrap_or_default();
    if manifest["format"] != format {
        let (folder, holds) = (folder.display(), manifest["format"].as_str());
        let what = format!("{folder} holds {}, not {format}", holds.unwrap_or("something else"));
        return Err(advised(what, "name another folder"));
    }
    // A shard that the manifest does not name counts for nothing, whatever happens next.
    let shards = manifest["shards"].take();
    manifest["shards"] = Vec::<Value>::new().into();
    manifest["rows"] = 0.into();
    manifest["complete"] = false.into();
    if let Some(manifest) = manifest.as_object_mut() {
        manifest.remove("checksum");
    }
    write_file(&path, seal_json(&format!("{manifest:#}")).as_bytes())?;
    for shard in shards.as_array().into_iter().flatten() {
        let name = shard["file"].as_str().filter(|name| !name.contains(['/', '\\']));
        if let Some(path) = name.map(|name| folder.join(name)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(FileError::io("remove", &path))?,
            }
        }
    }
    Ok(())
}

/// Whether a path names a device, a pipe or a socket.
pub(crate) fn is_special(found: &Metadata) -> bool {
    !found.is_file() && !found.is_dir()
}

fn exists(path: &Path) -> Error {
    Error::OutputExists { path: path.to_path_buf() }
}

/// Whether two paths lead to the same file, also by links of either kind.
fn is_same(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(found_a), Ok(found_b)) => same_file(a, &found_a, b, &found_b),
        _ => false,
    }
}

#[cfg(unix)]
fn same_file(_: &Path, a: &Metadata, _: &Path, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn same_file(a: &Path, _: &Metadata, b: &Path, _: &Metadata) -> bool {
    fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

/// Whether a path lies in a folder.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let full = |path: &Path| fs::canonicalize(path).ok();
    full(path).zip(full(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

/// Whether a folder holds a file, down to a depth.
fn holds(folder: &Path, file: &Path, depth: usize) -> bool {
    let Some(entries) = fs::read_dir(folder).ok().filter(|_| depth > 0) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| match path.is_dir() {
        true => holds(&path, file, depth - 1),
        false => is_same(&path, file),
    })
}

/// The full path of a file that need not be there, links of its folder followed.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).unwrap_or_default();
    folder.join(path.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exists_needs_force_and_inputs_are_never_overwritten() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("data/qrels")).expect("made");
        for name in ["out", "data/corpus", "data/qrels/test"] {
            fs::write(path(name), "1").expect("written");
        }
        fs::hard_link(path("data/corpus"), path("hard")).expect("linked");
        // Output, input, and whether it passes without and with force.
        let cases = [
            ("new", "data", (true, true)),
            ("out", "data", (false, true)),
            ("out", "out", (false, false)),
            ("data/corpus", "data/corpus", (false, false)),
            ("hard", "data/corpus", (false, false)),
            ("hard", "data", (false, false)),
            ("data/qrels/test", "data", (false, false)),
            ("data/new", "data", (true, true)),
            ("data", "data", (false, false)),
            ("data", "data/corpus", (false, false)),
            ("data", "out", (true, true)),
            ("out", "missing", (false, true)),
        ];
        let mut wrong = Vec::new();
        for (output, input, want) in cases {
            let passes = |force| check_output(&path(output), [path(input)], force).is_ok();
            if (passes(false), passes(true)) != want {
                wrong.push((output, input));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        let error = check_output(&path("out"), [path("data")], false).expect_err("it exists");
        let message = error.to_string();
        assert!(message.ends_with("out exists already"), "{message}");
        assert!(error.hint().is_some_and(|hint| hint.contains("--force")), "{error}");
        assert!(check_distinct(&path("new"), &dir.path().join("data/../new")).is_err());
        assert!(check_distinct(&path("new"), &path("other")).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_pass() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "1").expect("written");
        std::os::unix::fs::symlink("file", &link).expect("linked");
        assert!(check_output(&link, [&file], true).is_err());
        assert!(check_output(&file, [&link], true).is_err());
        let null = Path::new("/dev/null");
        assert!(check_output(null, [null], false).is_ok());
        assert!(check_distinct(null, null).is_ok());
    }

    #[test]
    fn the_shards_of_an_earlier_run_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name);
        let manifest =
            r#"{"format": "f", "shards": [{"file": "a"}, {"file": "../b"}, {"file": "gone"}]}"#;
        fs::write(path(Manifest::FILE), manifest).expect("written");
        ["a", "c"].iter().for_each(|name| fs::write(path(name), "1").expect("written"));
        assert!(remove_shards(dir.path(), "g").is_err(), "another format");
        assert!(path("a").exists());
        remove_shards(dir.path(), "f").expect("removed");
        assert!(!path("a").exists() && path("c").exists());
        let left: Value = serde_json::from_slice(&fs::read(path(Manifest::FILE)).expect("read"))
            .expect("a manifest");
        assert_eq!((&left["rows"], &left["shards"]), (&0.into(), &Vec::<Value>::new().into()));
        assert!(check_files(dir.path(), ["a", "b"], false).is_ok());
        assert!(check_files(dir.path(), ["a", "c"], false).is_err());
        assert!(check_files(dir.path(), ["a", "c"], true).is_ok());
        // In a folder of others a hint at --force would not help.
        fs::remove_file(path(Manifest::FILE)).expect("removed");
        let message = check_files(dir.path(), ["a", "c"], false).expect_err("not ours").to_string();
        assert!(message.contains("has no _manifest.json"), "{message}");
    }
}
