//! Queries the free space of a disk.

use std::path::Path;

/// Returns the number of bytes that an unprivileged user may still write into a folder; `None` if
/// the operating system does not tell it.
///
/// ```
/// if let Some(free) = splade_io::free_bytes(&std::env::temp_dir()) {
///     assert!(free > 1_000, "there is room for a few more texts: {}", splade_io::size(free));
/// }
/// ```
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the name ends with a zero byte, and the structure is valid for writing. It consists
    // of integers, for which zeros are valid values.
    #[allow(unsafe_code, reason = "a call of the system")]
    let stat = unsafe {
        if libc::statvfs(name.as_ptr(), stat.as_mut_ptr()) != 0 {
            return None;
        }
        stat.assume_init()
    };
    #[allow(clippy::unnecessary_cast, reason = "their types differ between systems")]
    Some((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64))
}

/// Returns the number of bytes that an unprivileged user may still write into a folder; `None` if
/// the operating system does not tell it.
#[cfg(not(unix))]
pub fn free_bytes(_: &Path) -> Option<u64> {
    None
}
