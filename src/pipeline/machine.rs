//! The machine in words, for the report.

/// Returns the name of the machine, its system, its processor and its number of threads, as far as the
/// system tells.
pub(super) fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, name)| format!(", {}", name.trim()));
    format!(
        "{}: {} {}{}, {}",
        splade_logs::host_name(),
        std::env::consts::OS,
        std::env::consts::ARCH,
        processor.unwrap_or_default(),
        splade_io::counted(threads, "threads")
    )
}
