//! `cargo xtask instructions`: how many instructions the program needs for fixed work, against the counts of the
//! last time.
//!
//! Times are noise on machines that others use, too. Callgrind counts the instructions that a program executes, and
//! the same program needs the same number on every machine that has the instructions it was told to use. Valgrind has
//! AVX2 and nothing newer, so that the kernels of AVX-512 are not counted. Only functions of this repository count, so
//! that another C library or another allocator changes nothing. Another compiler does: the file names the one that it
//! was made with.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::Failure;

/// The counts of the last time: a line that names the compiler, and a line for each work with its name and millions of
/// instructions.
const COUNTS: &str = "xtask/instructions.txt";
/// A work may need so many more or fewer instructions, as a share.
const TOLERANCE: f64 = 0.03;

/// The work that is measured: its name and the arguments of the program. `{}` is a folder for outputs.
const WORK: &[(&str, &[&str])] = &[
    (
        "encode, f32, avx2",
        &["encode", "{}/texts.txt", "--kernels", "avx2", "--threads", "1", "-o", "{}/f32.parquet"],
    ),
    (
        "encode, int8, avx2",
        &[
            "encode",
            "{}/texts.txt",
            "--kernels",
            "avx2",
            "--precision",
            "int8",
            "--threads",
            "1",
            "-o",
            "{}/int8.parquet",
        ],
    ),
    (
        "encode one sentence, int8, portable",
        &[
            "encode",
            "-t",
            "日本の首都は東京です。",
            "--kernels",
            "portable",
            "--precision",
            "int8",
            "--threads",
            "1",
            "-o",
            "{}/portable.parquet",
        ],
    ),
    ("tokenize", &["tokenize", "data/demo/corpus.jsonl", "--ids", "-o", "{}/ids.jsonl"]),
    (
        "search",
        &[
            "search",
            "{}/index",
            "--vectors",
            "{}/queries.parquet",
            "--threads",
            "1",
            "-o",
            "{}/run.trec",
        ],
    ),
    (
        "train, two steps",
        &[
            "train",
            "config/toy_splade_ja.yaml",
            "--threads",
            "1",
            "training.max_steps=2",
            "hydra.run.dir={}/run",
        ],
    ),
];

/// The texts that are encoded, one a line. They are few, since counting takes hundreds of times as long as running:
/// valgrind computes fused multiplications and additions one lane at a time.
const TEXTS: &str = "\
琵琶湖は、滋賀県にある日本で最も大きい湖で、四百万年前に生まれた古い湖のひとつでもある。
The tide is the rise and fall of the sea, which the moon and the sun cause together, twice a day in most places.
";

/// What is made before, without counting: inputs of the work above.
const BEFORE: &[&[&str]] = &[
    &["index", "build", "data/demo/corpus.jsonl", "-o", "{}/index"],
    &["encode", "data/demo/queries.jsonl", "--as", "query", "-o", "{}/queries.parquet"],
];

pub(crate) fn run(root: &Path, update: bool) -> Result<(), Failure> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !valgrind.is_ok_and(|status| status.success()) || !has_avx2() {
        println!("instructions: skipped, since there is no valgrind or no AVX2 here");
        return Ok(());
    }
    let compiler = compiler()?;
    let counts = measure(root)?;
    let file = root.join(COUNTS);
    if update {
        let lines: String =
            counts.iter().map(|(name, count)| format!("{name}: {count:.1}\n")).collect();
        let text = format!("# made by cargo xtask instructions --update with {compiler}\n{lines}");
        return std::fs::write(&file, text).map_err(|error| format!("{COUNTS}: {error}"));
    }
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{COUNTS}: {error}"))?;
    let before: BTreeMap<&str, f64> = text
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    let mut changed = Vec::new();
    for (name, count) in &counts {
        let old = before.get(name.as_str()).copied().unwrap_or(0.0);
        let share = count / old - 1.0;
        println!("instructions: {name}: {count:.1} million, {:+.1} %", 100.0 * share);
        // A work that is new has no count, and its share is no number.
        if share.is_nan() || share.abs() > TOLERANCE {
            changed.push(name.as_str());
        }
    }
    match changed.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "instructions: these need another number than {COUNTS} says: {}. If that is meant, \
             run cargo xtask instructions --update and commit the file.{}",
            changed.join("; "),
            match text.contains(&compiler) {
                true => String::new(),
                false => format!(" The file was made with another compiler than {compiler}."),
            }
        )),
    }
}

/// Returns the compiler's name and version.
fn compiler() -> Result<String, Failure> {
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("--version")
        .output()
        .map_err(|error| format!("cannot start rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Builds the program and counts the instructions of each work, in millions.
fn measure(root: &Path) -> Result<Vec<(String, f64)>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run_command(
        Command::new(cargo).args(["build", "--release", "--locked", "--quiet"]).current_dir(root),
    )?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let program = target.join("release/light-splade");
    let folder = target.join("xtask-instructions");
    _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let fill = |args: &[&str]| -> Vec<String> {
        args.iter().map(|arg| arg.replace("{}", &folder.display().to_string())).collect()
    };
    let texts = folder.join("texts.txt");
    std::fs::write(&texts, TEXTS).map_err(|error| format!("{}: {error}", texts.display()))?;
    // What the user's cache has, such as the unpacked model, must not change a count.
    let cache = folder.join("cache");
    for args in BEFORE {
        let mut command = Command::new(&program);
        command.args(fill(args)).arg("--quiet").env("LIGHT_SPLADE_CACHE", &cache);
        run_command(command.current_dir(root))?;
    }
    let mut counts = Vec::new();
    for (name, args) in WORK {
        let profile = folder.join("callgrind.out");
        let mut command = Command::new("valgrind");
        command
            .args([
                "--tool=callgrind",
                "--error-exitcode=0",
                "--compress-strings=no",
                "--compress-pos=no",
            ])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(&program)
            .args(fill(args))
            .arg("--quiet")
            .env("LIGHT_SPLADE_CACHE", &cache)
            .current_dir(root);
        run_command(&mut command)?;
        let text = std::fs::read_to_string(&profile)
            .map_err(|error| format!("{}: {error}", profile.display()))?;
        counts.push(((*name).to_owned(), own_instructions(&text) as f64 / 1e6));
    }
    _ = std::fs::remove_dir_all(&folder);
    Ok(counts)
}

fn run_command(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start {command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Adds up the instructions of the functions of this repository in a profile of callgrind, without those that they
/// call.
///
/// In a profile, the lines after `fn=NAME` are costs of this function: the line of the source, then the number of
/// instructions. A line `calls=` is followed by one line with the cost of the call, which belongs to the function that
/// is called.
fn own_instructions(profile: &str) -> u64 {
    let (mut is_own, mut is_call, mut sum) = (false, false, 0);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            is_own = name.contains("splade");
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            if is_own && !is_call {
                sum += line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
            }
            is_call = false;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::own_instructions;

    #[test]
    fn own_costs_are_added_without_those_of_calls() {
        let profile = "events: Ir\n\nfn=splade_nn::packed::multiply\n0 100\n0 20\ncfn=memcpy\ncalls=3 0\n0 5000\n0 7\n\n\
                       fn=memcpy\n0 5000\n\nfn=light_splade::encode\n12 3\n";
        assert_eq!(own_instructions(profile), 130);
    }
}
