//! `pytorch_model.bin`: the zip archive of `torch.save`, read without running anything.
//!
//! The archive holds `data.pkl`, a pickle of the state dict, and the numbers of each storage in a
//! stored (not deflated) entry of its own. The pickle machine below knows the instructions and the
//! five functions that a dict of plain tensors needs; anything else is an error that names it.

use std::collections::HashMap;
use std::fs::File;

use super::{Dtype, read_at};

/// Larger than the pickle of any state dict.
const MAX_PICKLE: u64 = 64 << 20;

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct TorchTensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// First byte in the file.
    pub(super) start: u64,
}

/// Lists the tensors of a file.
pub(super) fn read(file: &File) -> Result<Vec<TorchTensor>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let entries = Archive { file, length }.entries()?;
    let (pickle_name, (at, size)) = entries
        .iter()
        .find(|(name, _)| name.ends_with("/data.pkl"))
        .ok_or("the archive has no data.pkl: not a file of torch.save")?;
    if *size > MAX_PICKLE {
        return Err(format!("a pickle of {size} bytes"));
    }
    let mut pickle = vec![0; *size as usize];
    read_at(file, &mut pickle, *at).map_err(|error| error.to_string())?;
    let root = pickle_name.trim_end_matches("data.pkl");
    let Value::Dict(items) = Machine::new(&pickle).run()? else {
        return Err("the pickle is not a dict of tensors".to_owned());
    };
    let tensor = |(name, value): (Value, Value)| {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, value) else {
            return Err(
                "the dict holds something else than tensors; save model.state_dict()".to_owned()
            );
        };
        let Tensor { dtype, key, offset, shape } = tensor;
        let (at, size) = entries.get(&format!("{root}data/{key}")).ok_or("a storage is missing")?;
        let width = dtype.width() as u64;
        let count = shape.iter().try_fold(1u64, |n, m| n.checked_mul(*m as u64));
        let end = count.and_then(|n| n.checked_add(offset)).and_then(|n| n.checked_mul(width));
        if end.is_none_or(|end| end > *size) {
            return Err(format!("tensor {name} is larger than its storage"));
        }
        Ok(TorchTensor { name, dtype: dtype.dtype(), shape, start: at + offset * width })
    };
    items.into_iter().map(tensor).collect()
}

/// A zip archive without compression.
struct Archive<'a> {
    file: &'a File,
    length: u64,
}

impl Archive<'_> {
    /// Place and size of every entry.
    fn entries(&self) -> Result<HashMap<String, (u64, u64)>, String> {
        let tail_at = self.length.saturating_sub(66_000);
        let tail = self.bytes(tail_at, self.length - tail_at)?;
        let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06");
        let end = end.and_then(|at| tail.get(at..at + 22)).ok_or(
            "not a zip archive; files of torch before 1.6 have to be saved again, best as safetensors",
        )?;
        let (size, start) = (u32_at(end, 12), u32_at(end, 16));
        if start == u32::MAX {
            return Err("an archive of over 4 GB; convert it to safetensors".to_owned());
        }
        let directory = self.bytes(start.into(), size.into())?;
        let mut entries = HashMap::new();
        let mut rest = &directory[..];
        while rest.len() >= 46 && rest.starts_with(b"PK\x01\x02") {
            let (name, extra, comment) = (u16_at(rest, 28), u16_at(rest, 30), u16_at(rest, 32));
            let (size, at) = (u32_at(rest, 24), u32_at(rest, 42));
            let name = rest.get(46..46 + name).ok_or("the directory is cut off")?;
            let name = String::from_utf8_lossy(name).into_owned();
            if u16_at(rest, 10) != 0 || size != u32_at(rest, 20) {
                return Err(format!("entry {name} is compressed"));
            }
            let local = self.bytes(at.into(), 30)?;
            let data = u64::from(at) + 30 + (u16_at(&local, 26) + u16_at(&local, 28)) as u64;
            if !local.starts_with(b"PK\x03\x04") || data + u64::from(size) > self.length {
                return Err(format!("entry {name} is cut off"));
            }
            let skip = 46 + name.len() + extra + comment;
            entries.insert(name, (data, u64::from(size)));
            rest = rest.get(skip..).unwrap_or_default();
        }
        Ok(entries)
    }

    fn bytes(&self, at: u64, size: u64) -> Result<Vec<u8>, String> {
        if at.checked_add(size).is_none_or(|end| end > self.length) {
            return Err("the archive is cut off".to_owned());
        }
        let mut bytes = vec![0; size as usize];
        read_at(self.file, &mut bytes, at).map_err(|error| error.to_string())?;
        Ok(bytes)
    }
}

/// What a storage holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Double,
    Float,
    Half,
    Bf16,
    /// Integers of so many bytes.
    Other(usize),
}

impl Kind {
    fn named(class: &str) -> Option<Self> {
        Some(match class {
            "torch DoubleStorage" => Kind::Double,
            "torch FloatStorage" => Kind::Float,
            "torch HalfStorage" => Kind::Half,
            "torch BFloat16Storage" => Kind::Bf16,
            "torch LongStorage" => Kind::Other(8),
            "torch IntStorage" => Kind::Other(4),
            "torch BoolStorage" | "torch ByteStorage" => Kind::Other(1),
            _ => return None,
        })
    }

    fn width(self) -> usize {
        match self {
            Kind::Double => 8,
            Kind::Float => 4,
            Kind::Half | Kind::Bf16 => 2,
            Kind::Other(width) => width,
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Kind::Double => Dtype::F64,
            Kind::Float => Dtype::F32,
            Kind::Half => Dtype::F16,
            Kind::Bf16 => Dtype::Bf16,
            Kind::Other(_) => Dtype::Other,
        }
    }
}

#[derive(Debug, Clone)]
struct Tensor {
    dtype: Kind,
    key: String,
    /// In numbers.
    offset: u64,
    shape: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Value {
    Mark,
    /// None, floats: never looked at.
    Other,
    Int(i64),
    Text(String),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// `module name`
    Global(String),
    Storage(Kind, String),
    Tensor(Tensor),
}

/// The pickle machine: a stack, a memo, and the instructions of a state dict.
struct Machine<'a> {
    code: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<usize, Value>,
}

impl<'a> Machine<'a> {
    fn new(code: &'a [u8]) -> Self {
        Self { code, stack: Vec::new(), memo: HashMap::new() }
    }

    fn run(mut self) -> Result<Value, String> {
        loop {
            let op = self.take(1)?[0];
            match op {
                0x80 => _ = self.take(1)?,
                b'.' => return self.pop(),
                b'}' => self.stack.push(Value::Dict(Vec::new())),
                b')' => self.stack.push(Value::Tuple(Vec::new())),
                b'(' => self.stack.push(Value::Mark),
                b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Other);
                }
                b'K' => self.int(1)?,
                b'M' => self.int(2)?,
                b'J' => {
                    let bytes = self.take(4)?;
                    self.stack.push(Value::Int((u32_at(bytes, 0) as i32).into()));
                }
                0x8a => {
                    let n = self.take(1)?[0];
                    if n > 7 {
                        return Err("an integer of over 7 bytes".to_owned());
                    }
                    self.int(n.into())?;
                }
                b'X' => {
                    let n = u32_at(self.take(4)?, 0) as usize;
                    let text = String::from_utf8_lossy(self.take(n)?).into_owned();
                    self.stack.push(Value::Text(text));
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.stack.push(Value::Global(format!("{module} {name}")));
                }
                b'q' => {
                    let at = self.take(1)?[0].into();
                    self.remember(at)?;
                }
                b'r' => {
                    let at = u32_at(self.take(4)?, 0) as usize;
                    self.remember(at)?;
                }
                b'h' => {
                    let at = self.take(1)?[0].into();
                    self.recall(at)?;
                }
                b'j' => {
                    let at = u32_at(self.take(4)?, 0) as usize;
                    self.recall(at)?;
                }
                0x85..=0x87 => {
                    let count = usize::from(op - 0x84);
                    let at = self.stack.len().checked_sub(count).ok_or("an empty stack")?;
                    let items = self.stack.split_off(at);
                    self.stack.push(Value::Tuple(items));
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.stack.push(Value::Tuple(items));
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set(items)?;
                }
                b's' => {
                    let at = self.stack.len().checked_sub(2).ok_or("an empty stack")?;
                    let items = self.stack.split_off(at);
                    self.set(items)?;
                }
                // The state of an OrderedDict is torch's `_metadata`: versions, no tensors.
                b'b' => _ = self.pop()?,
                b'Q' => {
                    let id = self.pop()?;
                    self.stack.push(storage(id)?);
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.stack.push(call(function, arguments)?);
                }
                _ => {
                    return Err(format!(
                        "pickle instruction 0x{op:02x} is not that of a dict of tensors; convert the file to safetensors"
                    ));
                }
            }
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (bytes, rest) = self.code.split_at_checked(n).ok_or("the pickle is cut off")?;
        self.code = rest;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end =
            self.code.iter().position(|byte| *byte == b'\n').ok_or("the pickle is cut off")?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end]).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    fn int(&mut self, n: usize) -> Result<(), String> {
        let bytes = self.take(n)?;
        let value = bytes.iter().rev().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "an empty stack".to_owned())
    }

    fn remember(&mut self, at: usize) -> Result<(), String> {
        // Dicts grow after they are remembered and are never recalled in a state dict.
        let value = match self.stack.last().ok_or("an empty stack")? {
            Value::Dict(_) => return Ok(()),
            value => value.clone(),
        };
        self.memo.insert(at, value);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<(), String> {
        let value = self.memo.get(&at).ok_or("a value that was never stored")?.clone();
        self.stack.push(value);
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let at =
            self.stack.iter().rposition(|value| matches!(value, Value::Mark)).ok_or("no mark")?;
        let items = self.stack.split_off(at + 1);
        self.stack.pop();
        Ok(items)
    }

    fn set(&mut self, items: Vec<Value>) -> Result<(), String> {
        let Some(Value::Dict(dict)) = self.stack.last_mut() else {
            return Err("items without a dict".to_owned());
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            dict.push((key, value));
        }
        Ok(())
    }
}

/// `("storage", class, key, device, count)`
fn storage(id: Value) -> Result<Value, String> {
    if let Value::Tuple(parts) = &id
        && let [Value::Text(word), Value::Global(class), Value::Text(key), ..] = &parts[..]
        && word == "storage"
    {
        let kind =
            Kind::named(class).ok_or_else(|| format!("storage {class} is not implemented"))?;
        return Ok(Value::Storage(kind, key.clone()));
    }
    Err("a persistent id that is no storage".to_owned())
}

/// The functions of a state dict; nothing is run.
fn call(function: Value, arguments: Value) -> Result<Value, String> {
    let (Value::Global(name), Value::Tuple(arguments)) = (function, arguments) else {
        return Err("a call of something that is no function".to_owned());
    };
    match (name.as_str(), &arguments[..]) {
        ("collections OrderedDict", _) => Ok(Value::Dict(Vec::new())),
        ("torch._utils _rebuild_parameter", [tensor, ..]) => Ok(tensor.clone()),
        (
            "torch._utils _rebuild_tensor_v2",
            [
                Value::Storage(dtype, key),
                Value::Int(offset),
                Value::Tuple(shape),
                Value::Tuple(stride),
                ..,
            ],
        ) => {
            let (shape, stride) = (sizes(shape)?, sizes(stride)?);
            let mut step = 1;
            for (size, stride) in shape.iter().zip(&stride).rev() {
                if *size != 1 && *stride != step {
                    return Err("a tensor that is not contiguous; convert the file to safetensors"
                        .to_owned());
                }
                step = step.saturating_mul(*size);
            }
            let offset = u64::try_from(*offset).map_err(|_| "a negative offset")?;
            Ok(Value::Tensor(Tensor { dtype: *dtype, key: key.clone(), offset, shape }))
        }
        _ => Err(format!(
            "the pickle calls {name}, which a dict of plain tensors does not; it was not run. Convert the \
             file to safetensors where you trust it"
        )),
    }
}

fn sizes(values: &[Value]) -> Result<Vec<usize>, String> {
    let size = |value: &Value| match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    values
        .iter()
        .map(size)
        .collect::<Option<_>>()
        .ok_or_else(|| "a shape without numbers".to_owned())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes([bytes[at], bytes[at + 1]]).into()
}
