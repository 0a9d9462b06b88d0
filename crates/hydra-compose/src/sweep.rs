//! Lists the jobs of a sweep (`-m`) in the order of Hydra's basic sweeper: every override with
//! several values is an axis, and the values of the last axis change fastest.

use crate::compose::{ComposeOptions, Composed, compose_job, parse_overrides};
use crate::error::ComposeError;
use crate::overrides::{Choice, Override};
use crate::repository::Repository;

/// The limit of jobs in a sweep. A larger number is most likely a mistake.
const MAX_JOBS: usize = 10_000;

/// Composes the jobs of a sweep in the order in which they are to run, each with its overrides
/// (without those of Hydra itself). All jobs are composed before the function returns, so that an
/// error is found before the first job starts.
///
/// ```
/// use hydra_compose::{ComposeOptions, sweep};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("run.yaml"), "seed: 42\nname: run-${seed}\n")?;
/// let jobs = sweep(&ComposeOptions::new(folder.path(), "run", vec!["seed=1,2,3".to_owned()]))?;
/// let names: Vec<_> = jobs.iter().filter_map(|(_, job)| job.value().ok()).collect();
/// assert_eq!(names.len(), 3);
/// assert_eq!((&jobs[2].0[0], &names[2]["name"]), (&"seed=3".to_owned(), &"run-3".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if an override is malformed, if the sweep has more than 10,000 jobs, or if a
/// job cannot be composed.
pub fn sweep(options: &ComposeOptions) -> Result<Vec<(Vec<String>, Composed)>, ComposeError> {
    let overrides = parse_overrides(&options.overrides)?;
    let repository = Repository::new(&options.config_dir);
    let mut of_hydra = Vec::new();
    // A later override of the same key replaces the earlier one in its place.
    let mut axes: Vec<(String, Vec<String>)> = Vec::new();
    for one in &overrides {
        if one.is_hydra() {
            if matches!(one.value, Some(Choice::Sweep(_) | Choice::Glob(_))) {
                return Err(one.error("a sweep cannot vary Hydra's own settings"));
            }
            of_hydra.push(one.line.clone());
            continue;
        }
        let key = one.key_element();
        let axis: Vec<String> =
            values(one, &repository)?.into_iter().map(|value| format!("{key}={value}")).collect();
        match axes.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = axis,
            None => axes.push((key, axis)),
        }
    }
    let count = axes
        .iter()
        .try_fold(1usize, |count, (_, axis)| count.checked_mul(axis.len()))
        .filter(|count| *count <= MAX_JOBS)
        .ok_or_else(|| {
            ComposeError::at("-m", format!("the overrides make more than {MAX_JOBS} jobs"))
        })?;
    (0..count)
        .map(|number| {
            let lines = job(&axes, number);
            let job = ComposeOptions {
                overrides: [&of_hydra[..], &lines[..]].concat(),
                ..options.clone()
            };
            Ok((lines, compose_job(&job, Some(number))?))
        })
        .collect()
}

/// Returns the values of an override in the syntax in which they are typed.
fn values(one: &Override, repository: &Repository) -> Result<Vec<String>, ComposeError> {
    Ok(match &one.value {
        None => vec!["null".to_owned()],
        Some(Choice::One(value)) => vec![value.to_override()],
        Some(Choice::Sweep(values)) => values.iter().map(|v| v.to_override()).collect(),
        Some(Choice::Glob(patterns)) => {
            if !repository.is_group(&one.key) {
                return Err(one.error("glob(...) applies only to groups"));
            }
            let names = repository.names(&one.key);
            let fits = |name: &String| patterns.iter().any(|pattern| glob(pattern, name));
            let names: Vec<String> = names.into_iter().filter(fits).collect();
            if names.is_empty() {
                return Err(one.error("no config of the group matches the pattern"));
            }
            names
        }
    })
}

/// Returns the overrides of one job by writing its number in the mixed radix of the axes.
fn job(axes: &[(String, Vec<String>)], mut number: usize) -> Vec<String> {
    let mut lines: Vec<String> = axes
        .iter()
        .rev()
        .map(|(_, axis)| {
            let line = axis[number % axis.len()].clone();
            number /= axis.len();
            line
        })
        .collect();
    lines.reverse();
    lines
}

/// Returns whether a name matches a pattern in which `*` stands for any characters and `?` for one.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    // reached[i] says whether the first i characters of the pattern match what was read of the
    // name.
    let mut reached = vec![false; pattern.len() + 1];
    let stars = |reached: &mut Vec<bool>| {
        for (i, c) in pattern.iter().enumerate() {
            if *c == '*' && reached[i] {
                reached[i + 1] = true;
            }
        }
    };
    reached[0] = true;
    stars(&mut reached);
    for c in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (i, p) in pattern.iter().enumerate() {
            match p {
                '*' => next[i] |= reached[i],
                '?' => next[i + 1] |= reached[i],
                p => next[i + 1] |= reached[i] && *p == c,
            }
        }
        stars(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("*", "abc", true),
            ("toy_*", "toy_triplet", true),
            ("toy_*", "my_toy", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }
}
