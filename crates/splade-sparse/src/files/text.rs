//! Files that appear when they are whole.

use std::fs::File;
use std::path::{Path, PathBuf};

use splade_io::FileError;

/// The name under which a file is written until it is whole.
pub fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Gives a file that was written [`aside`] its name, after its bytes have reached the disk.
///
/// # Errors
/// If it cannot be synced or renamed.
pub fn sync_and_rename(path: &Path) -> Result<(), FileError> {
    let from = aside(path);
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&from).map_err(FileError::io("write", &from))?;
    std::fs::rename(&from, path).map_err(FileError::io("rename a file to", path))?;
    // The new name itself lasts only once its folder is on the disk; not every system has that.
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        _ = sync(dir);
    }
    Ok(())
}
