//! Reads `pytorch_model.bin`, a file of `torch.save`, without executing its pickle.
//!
//! Since torch 1.6 the file is a zip archive. Before, it was a row of pickles with the numbers of
//! the storages after them. The archive holds `data.pkl`, a pickle of the state dict (see [`super::pickle`]), and the
//! numbers of each storage in a separate entry that is stored without compression. A tensor is a
//! view of a storage with strides, so transposed and sliced tensors are read from their views.

use std::collections::BTreeMap;

use splade_io::Problem;
use splade_text::ModelFile;

use super::pickle::{self, u32_at};
use super::tensor::{Tensor, elements};

/// The limit for the size of a pickle in bytes. One tensor takes about 200 bytes, so no state dict
/// is larger.
const MAX_PICKLE: u64 = 4 << 20;

/// The reason why the tensors of a file cannot be listed.
#[derive(Debug)]
pub(super) enum TorchError {
    /// The file could not be read.
    Io(std::io::Error),
    /// The file is damaged or has another format.
    Form(Problem),
}

impl From<std::io::Error> for TorchError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Problem> for TorchError {
    fn from(problem: Problem) -> Self {
        Self::Form(problem)
    }
}

impl From<String> for TorchError {
    fn from(message: String) -> Self {
        Self::Form(message.into())
    }
}

impl From<&str> for TorchError {
    fn from(message: &str) -> Self {
        Self::Form(message.into())
    }
}

/// Lists the tensors of a file. `number` is the index of the file.
pub(super) fn read(number: usize, file: &ModelFile) -> Result<Vec<(String, Tensor)>, TorchError> {
    let length = file.size()?;
    let archive = Archive { file, length };
    let start = archive.bytes(0, length.min(512))?;
    if start.starts_with(pickle::OLD_MAGIC) {
        return old(number, &archive);
    }
    if !start.starts_with(b"PK") {
        return Err(named(&start).into());
    }
    let entries = archive.entries()?;
    let (pickle_name, (at, size)) = entries
        .iter()
        .find(|(name, _)| name.ends_with("/data.pkl"))
        .ok_or("the archive has no data.pkl, so it is not a file of torch.save")?;
    if *size > MAX_PICKLE {
        return Err(format!("the pickle has {size} bytes, more than a state dict needs").into());
    }
    let pickle = archive.bytes(*at, *size)?;
    let root = pickle_name.trim_end_matches("data.pkl");
    // Old files have no such entry and are little-endian.
    if let Some((at, size)) = entries.get(&format!("{root}byteorder"))
        && archive.bytes(*at, (*size).min(16))? != b"little"
    {
        return Err(Problem::new("the numbers are not little-endian")
            .with_remedy(pickle::CONVERT)
            .into());
    }
    let place = |key: &str| entries.get(&format!("{root}data/{key}")).copied();
    tensors(number, pickle::state_dict(&pickle)?.tensors, &place)
}

/// Returns what a file is that torch did not write.
fn named(start: &[u8]) -> Problem {
    let (what, remedy) = if start.get(257..262) == Some(b"ustar") {
        ("it is a file of torch before 0.1.10", "load it with torch and save it again")
    } else if start.get(8) == Some(&b'{') {
        ("it is a safetensors file", "name it model.safetensors")
    } else if start.first() == Some(&0x80) {
        ("it is a pickle, but not of torch.save", "save the model as safetensors")
    } else {
        ("it is not a file of torch.save", "save the model as safetensors")
    };
    Problem::new(what).with_remedy(remedy)
}

/// Lists the tensors of a file that torch before 1.6 wrote.
fn old(number: usize, archive: &Archive<'_>) -> Result<Vec<(String, Tensor)>, TorchError> {
    let start = archive.bytes(0, archive.length.min(MAX_PICKLE))?;
    let pickle::OldFile { dict, keys, len } = pickle::old_file(&start)?;
    let wanted = (len as u64).saturating_add(dict.bytes()).saturating_add(8 * keys.len() as u64);
    if archive.length < wanted {
        return Err(cut_off(archive.length, &format!("its tensors end at byte {wanted}")).into());
    }
    let (mut places, mut at) = (BTreeMap::new(), len as u64);
    for key in keys {
        let (kind, count) =
            dict.storages.get(&key).ok_or_else(|| format!("nothing needs the storage {key}"))?;
        let size = count.saturating_mul(kind.width() as u64);
        let told = archive.bytes(at, 8)?;
        if told != count.to_le_bytes() {
            return Err(format!("the storage {key} has another count than its tensors need").into());
        }
        places.insert(key, (at + 8, size));
        at = at.saturating_add(8 + size);
    }
    tensors(number, dict.tensors, &|key| places.get(key).copied())
}

/// Returns the tensors that are views of storages. `place` returns the position and the size of a
/// storage in bytes.
fn tensors(
    number: usize,
    views: Vec<(String, std::rc::Rc<pickle::View>)>,
    place: &dyn Fn(&str) -> Option<(u64, u64)>,
) -> Result<Vec<(String, Tensor)>, TorchError> {
    let tensor = |(name, view): (String, std::rc::Rc<pickle::View>)| {
        let (at, size) =
            place(&view.key).ok_or_else(|| format!("the storage of {name} is missing"))?;
        let shape = view.shape.clone();
        let width = view.kind.width() as u64;
        if !fits(&view, size / width) {
            return Err(format!("tensor {name} is larger than its storage, or expanded").into());
        }
        let strides = (!is_row_major(&shape, &view.strides)).then(|| {
            // The stride of a dimension with one entry is arbitrary.
            let both = shape.iter().zip(&view.strides);
            both.map(|(size, stride)| if *size == 1 { 0 } else { *stride }).collect()
        });
        let (dtype, start) = (view.kind.dtype(), at + view.offset * width);
        Ok((name, Tensor { file: number, dtype, shape, strides, start }))
    };
    views.into_iter().map(tensor).collect()
}

fn cut_off(length: u64, why: &str) -> Problem {
    Problem::new(format!("the file is cut off: it has {length} bytes, but {why}"))
        .with_remedy("download it again")
}

/// Returns whether a view lies within a storage of `numbers` numbers and has no more entries than
/// the storage. An expanded tensor (stride 0) could otherwise ask for any amount of memory.
fn fits(view: &pickle::View, numbers: u64) -> bool {
    let Some(count) = elements(&view.shape) else { return false };
    if count == 0 {
        return view.offset <= numbers;
    }
    let last = view.shape.iter().zip(&view.strides).try_fold(view.offset, |at, (size, stride)| {
        at.checked_add((*size as u64 - 1).checked_mul(*stride as u64)?)
    });
    count <= numbers && last.is_some_and(|last| last < numbers)
}

/// Returns whether the numbers are stored in row-major order. The strides of dimensions with one
/// entry do not count.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    let inside = shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == step;
        step *= size;
        fits
    });
    inside || shape.contains(&0)
}

/// A zip archive without compression.
struct Archive<'a> {
    file: &'a ModelFile,
    length: u64,
}

impl Archive<'_> {
    /// Returns the position and the size of every entry in bytes.
    fn entries(&self) -> Result<BTreeMap<String, (u64, u64)>, TorchError> {
        let tail_at = self.length.saturating_sub(66_000);
        let tail = self.bytes(tail_at, self.length - tail_at)?;
        let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
        let end = end.and_then(|at| tail.get(at..at + 22)).ok_or_else(|| self.without_end())?;
        let (size, start) = (u32_at(end, 12), u32_at(end, 16));
        if start == u32::MAX {
            return Err(Problem::new("the archive is larger than 4 GB")
                .with_remedy(pickle::CONVERT)
                .into());
        }
        let directory = self.bytes(start.into(), size.into())?;
        let mut entries = BTreeMap::new();
        let mut rest = &directory[..];
        while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
            let (name, extra, comment) = (u16_at(rest, 28), u16_at(rest, 30), u16_at(rest, 32));
            let (size, at) = (u32_at(rest, 24), u32_at(rest, 42));
            let name = rest.get(46..46 + name).ok_or("the directory is truncated")?;
            let name = String::from_utf8_lossy(name).into_owned();
            if u16_at(rest, 10) != 0 || size != u32_at(rest, 20) {
                return Err(format!("entry {name} is compressed").into());
            }
            let local = self.bytes(at.into(), 30)?;
            let data = u64::from(at) + 30 + (u16_at(&local, 26) + u16_at(&local, 28)) as u64;
            let end = data + u64::from(size);
            if !local.starts_with(b"PK\x03\x04") || end > self.length {
                let why = format!("its entry {name} ends at byte {end}");
                return Err(cut_off(self.length, &why).into());
            }
            let skip = 46 + name.len() + extra + comment;
            entries.insert(name, (data, u64::from(size)));
            rest = rest.get(skip..).unwrap_or_default();
        }
        Ok(entries)
    }

    /// Returns the error for an archive without the list of entries at its end. The pickle, which
    /// is the first entry, says how large the file has to be.
    fn without_end(&self) -> TorchError {
        let pickle = || -> Option<u64> {
            let local = self.bytes(0, 30).ok()?;
            let name = u16_at(&local, 26) as u64;
            let at = 30 + name + u16_at(&local, 28) as u64;
            let size = u64::from(u32_at(&local, 22));
            let is_pickle = self.bytes(30, name).ok()?.ends_with(b"/data.pkl");
            let pickle = self.bytes(at, size).ok().filter(|_| is_pickle && size <= MAX_PICKLE)?;
            Some(at + size + pickle::state_dict(&pickle).ok()?.bytes())
        };
        let why = match pickle() {
            Some(bytes) => format!("its tensors need at least {bytes}"),
            None => "the list of its entries, which is at its end, is missing".to_owned(),
        };
        cut_off(self.length, &why).into()
    }

    fn bytes(&self, at: u64, size: u64) -> Result<Vec<u8>, TorchError> {
        if let Some(end) = at.checked_add(size).filter(|end| *end > self.length) {
            return Err(cut_off(self.length, &format!("a part of it ends at byte {end}")).into());
        }
        let mut bytes = vec![0; size as usize];
        self.file.read_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes([bytes[at], bytes[at + 1]]).into()
}
