//! A file that is renamed to its final name once it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::error::FileError;
use crate::lock::OutputLock;
use crate::place::{folder_of, resolved, sync_folder_of};
use crate::problem::Problem;

/// The size of the write buffer in bytes.
const BUFFER: usize = 1 << 16;
/// The number of random characters in the name of a temporary file, which make the name
/// unpredictable.
pub(crate) const RANDOM: usize = 12;
/// The suffix of the name of a temporary file.
pub(crate) const SUFFIX: &str = ".tmp";

/// A file that is written under a temporary name beside its final path.
///
/// [`commit`](Self::commit) renames the temporary file. If the value is dropped before that, the
/// temporary file is removed and the final path is unchanged. A symbolic link is followed, so that
/// the target file is replaced and the link remains. Devices, pipes and sockets (`/dev/stdout`, a
/// FIFO) are written directly, because replacing them would destroy them.
///
/// Only one process at a time writes a file: [`create`](Self::create) takes its [`OutputLock`].
///
/// ```
/// use std::io::Write;
///
/// use splade_io::NewFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("vectors.ndjson");
/// let mut file = NewFile::create(&path)?;
/// file.write_all(b"half")?;
/// // Without `commit`, nothing is left.
/// drop(file);
/// assert!(!path.exists());
///
/// let mut file = NewFile::create(&path)?;
/// file.write_all(b"all")?;
/// file.commit()?;
/// assert_eq!(std::fs::read_to_string(&path)?, "all");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NewFile {
    writer: BufWriter<File>,
    /// The final path, with links resolved.
    path: PathBuf,
    /// The temporary file; `None` if the path is written directly.
    temporary: Option<TempPath>,
    /// The lock of the output, if this value has taken it.
    lock: Option<OutputLock>,
}

impl NewFile {
    /// Creates a temporary file in the folder of `path`, and locks the path against other
    /// processes until the value is committed or dropped.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written or does not exist, or if another process is
    /// writing the file.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let mut this = Self::create_unlocked(path)?;
        this.lock = this.temporary.is_some().then(|| OutputLock::beside(path)).transpose()?;
        Ok(this)
    }

    /// Creates a temporary file without a lock, for a file in a folder that this process has
    /// locked.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be written or does not exist.
    pub fn create_unlocked(path: &Path) -> Result<Self, FileError> {
        let target = resolved(path);
        if is_special(&target) {
            let file = File::options().write(true).open(&target);
            let file = file.map_err(FileError::io("write", path))?;
            let writer = BufWriter::with_capacity(BUFFER, file);
            return Ok(Self { writer, path: target, temporary: None, lock: None });
        }
        if target.is_dir() {
            return Err(FileError::form(
                path,
                Problem::new("this is a folder").with_remedy("name a file"),
            ));
        }
        let mut prefix = target.file_name().unwrap_or_default().to_owned();
        prefix.push(".");
        let temporary = tempfile::Builder::new()
            .prefix(&prefix)
            .rand_bytes(RANDOM)
            .suffix(SUFFIX)
            .permissions_of_new_files()
            .tempfile_in(folder_of(&target))
            .map_err(FileError::io("write", path))?;
        let (file, temporary) = temporary.into_parts();
        let writer = BufWriter::with_capacity(BUFFER, file);
        Ok(Self { writer, path: target, temporary: Some(temporary), lock: None })
    }

    /// Returns the current path of the bytes, for libraries that write files by name.
    pub fn temporary_path(&self) -> &Path {
        self.temporary.as_deref().unwrap_or(&self.path)
    }

    /// Returns the final path, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all buffered bytes, waits until they have reached the disk, and renames the temporary
    /// file to its final name.
    ///
    /// # Errors
    /// Returns an error if the bytes cannot be written or the file cannot be renamed. The temporary
    /// file is then removed and the final path is unchanged.
    pub fn commit(self) -> Result<(), FileError> {
        // The lock is released at the end, when the file has its final name.
        let Self { writer, path, temporary, lock: _lock } = self;
        let failed = FileError::io("write", &path);
        let file = match writer.into_inner() {
            Ok(file) => file,
            Err(error) => return Err(failed(error.into_error())),
        };
        let Some(temporary) = temporary else { return Ok(()) };
        file.sync_all().map_err(failed)?;
        // An open file cannot be renamed on every system.
        drop(file);
        temporary
            .persist(&path)
            .map_err(|error| FileError::io("rename a file to", &path)(error.error))?;
        sync_folder_of(&path);
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Writes a whole file atomically with [`NewFile`], without a lock.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("state.json");
/// std::fs::write(&path, "{}")?;
/// // At no time does the path have half of the new content.
/// splade_io::write_file(&path, b"{\"step\": 10}")?;
/// assert_eq!(std::fs::read_to_string(&path)?, "{\"step\": 10}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Returns an error if the file cannot be written or renamed.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = NewFile::create_unlocked(path)?;
    file.write_all(bytes).map_err(FileError::io("write", path))?;
    file.commit()
}

/// Returns the final name of a temporary file of [`NewFile`] from its temporary name; `None` if the
/// name is not that of a temporary file.
///
/// ```
/// assert_eq!(splade_io::temporary_of("vectors.parquet.k2VbX0qPz81a.tmp"), Some("vectors.parquet"));
/// assert_eq!(splade_io::temporary_of("vectors.parquet.tmp"), None);
/// ```
pub fn temporary_of(name: &str) -> Option<&str> {
    let (target, random) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    let is_ours = random.len() == RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_ours && !target.is_empty()).then_some(target)
}

/// Returns whether a path is a device, a pipe or a socket.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Sets the permissions of a temporary file, which is private by default, to those of any new file.
trait PermissionsOfNewFiles {
    fn permissions_of_new_files(&mut self) -> &mut Self;
}

impl PermissionsOfNewFiles for tempfile::Builder<'_, '_> {
    #[cfg(unix)]
    fn permissions_of_new_files(&mut self) -> &mut Self {
        use std::os::unix::fs::PermissionsExt;
        // The operating system removes the permissions that the umask of the process forbids.
        self.permissions(fs::Permissions::from_mode(0o666))
    }

    #[cfg(not(unix))]
    fn permissions_of_new_files(&mut self) -> &mut Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("listed");
        let name = |e: fs::DirEntry| e.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|e| name(e.expect("an entry"))).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_name_once_it_is_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.txt");
        fs::write(&path, "old").expect("written");
        let mut file = NewFile::create(&path).expect("created");
        file.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        drop(file);
        assert_eq!(
            (names(folder.path()), fs::read(&path).expect("read")),
            (vec!["out.txt".into()], b"old".to_vec())
        );
        write_file(&path, b"new").expect("written");
        assert_eq!(
            (names(folder.path()), fs::read(&path).expect("read")),
            (vec!["out.txt".into()], b"new".to_vec())
        );
    }

    #[test]
    fn one_at_a_time_writes_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.txt");
        let first = NewFile::create(&path).expect("created");
        let error = NewFile::create(&path).expect_err("locked").to_string();
        assert!(error.contains("another process is writing to it (process "), "{error}");
        first.commit().expect("renamed");
        drop(NewFile::create(&path).expect("free again"));
        assert!(!cfg!(unix) || names(folder.path()) == ["out.txt"]);
    }

    #[test]
    fn folders_and_missing_folders_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(NewFile::create(folder.path()).is_err());
        assert!(NewFile::create(&folder.path().join("missing/out")).is_err());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_and_devices_are_written() {
        use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        symlink("real", &link).expect("linked");
        write_file(&link, b"1").expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).expect("read"), b"1");
        write_file(Path::new("/dev/null"), b"1").expect("written");
        let null = fs::metadata("/dev/null").expect("a device");
        assert!(null.file_type().is_char_device());
        // The result has the same permissions as any other new file.
        let plain = folder.path().join("plain");
        fs::write(&plain, "").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("a file").mode();
        assert_eq!(mode(&real), mode(&plain));
    }
}
