//! Reads the pickle of a state dict without executing it.
//!
//! The machine below knows the instructions and the functions that `torch.save` writes for a dict
//! of tensors (pickle protocols 2 to 4, Python's `pickletools`), and those of the plain values that
//! training scripts put beside the tensors: numbers of NumPy and dicts of `collections`. Any other
//! instruction or function is an error that names it. Values are shared, never copied, and their nesting depth is limited,
//! so memory and time grow only with the length of the pickle.

use std::collections::HashMap;
use std::rc::Rc;

use super::tensor::Dtype;
use splade_io::Problem;

/// The limit for the number of values on the stack. A state dict is written in pieces of a thousand
/// tensors.
const MAX_STACK: usize = 1 << 14;
/// The limit for the depth of nested containers. A state dict has a depth of five.
const MAX_DEPTH: usize = 16;
/// The limit for the number of dimensions of a tensor, as in NumPy.
const MAX_DIMENSIONS: usize = 64;

/// A tensor, which is a view of a storage.
#[derive(Debug)]
pub(super) struct View {
    pub(super) kind: Kind,
    /// The name of the storage.
    pub(super) key: Rc<str>,
    /// The index of the first number in the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    /// The stride of each dimension, in numbers.
    pub(super) strides: Vec<usize>,
}

/// The tensors of a pickled state dict with their names.
pub(super) struct StateDict {
    pub(super) tensors: Vec<(String, Rc<View>)>,
    /// The type of the numbers of every storage, and their count.
    pub(super) storages: HashMap<Rc<str>, (Kind, u64)>,
}

impl StateDict {
    /// Returns the number of bytes of all storages.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |(kind, count): &(Kind, u64)| count.saturating_mul(kind.width() as u64);
        self.storages.values().map(bytes).fold(0, u64::saturating_add)
    }

    fn new(root: Value, storages: HashMap<Rc<str>, (Kind, u64)>) -> Result<Self, Problem> {
        let Value::Dict { items, .. } = root else {
            return Err("the pickle is not a dict of tensors".into());
        };
        let (mut tensors, mut inner) = (Vec::new(), None);
        for (name, value) in items {
            match (name, value) {
                (Value::Text(name), Value::Tensor(view)) => tensors.push((name.to_string(), view)),
                (Value::Text(name), Value::Dict { items, .. })
                    if items.iter().any(|(_, value)| matches!(value, Value::Tensor(_))) =>
                {
                    inner = Some(name);
                }
                // Numbers and texts beside the tensors, such as the count of steps.
                _ => {}
            }
        }
        match (tensors.is_empty(), inner) {
            (false, _) => Ok(Self { tensors, storages }),
            (true, Some(name)) => {
                let what = format!("the tensors are in the dict {name:?} of a larger dict");
                Err(Problem::new(what).with_remedy("save that dict alone"))
            }
            (true, None) => {
                Err(Problem::new("the dict holds no tensors")
                    .with_remedy("save model.state_dict()"))
            }
        }
    }
}

/// What to do with numbers or pickles that are not read.
pub(super) const CONVERT: &str = "convert the file to safetensors";

/// Returns the tensors of a pickled state dict.
pub(super) fn state_dict(pickle: &[u8]) -> Result<StateDict, Problem> {
    let (root, machine) = Machine::new(pickle).run()?;
    StateDict::new(root, machine.storages)
}

/// The start of a file that torch before 1.6 wrote: a pickle of a number that is always the same.
pub(super) const OLD_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

/// The pickles of a file that torch before 1.6 wrote. After them come the storages in the order of
/// their keys, each with the count of its numbers in 8 bytes before it.
pub(super) struct OldFile {
    pub(super) dict: StateDict,
    pub(super) keys: Vec<Rc<str>>,
    /// The length of all pickles in bytes.
    pub(super) len: usize,
}

/// Reads the pickles at the start of a file that begins with [`OLD_MAGIC`].
pub(super) fn old_file(start: &[u8]) -> Result<OldFile, Problem> {
    let rest = start.strip_prefix(OLD_MAGIC).ok_or("the file has another start")?;
    let (version, machine) = Machine::new(rest).run()?;
    if !matches!(version, Value::Int(1001)) {
        return Err(Problem::new("the file has another version than 1001")
            .with_remedy("save it again with torch"));
    }
    let (system, machine) = Machine::new(machine.code).run()?;
    let little = |(key, value): &(Value, Value)| matches!((key, value), (Value::Text(key), Value::Flag(true)) if **key == *"little_endian");
    if !matches!(&system, Value::Dict { items, .. } if items.iter().any(little)) {
        return Err(Problem::new("the numbers are not little-endian").with_remedy(CONVERT));
    }
    let (root, machine) = Machine::new(machine.code).run()?;
    let (rest, storages) = (machine.code, machine.storages);
    let (keys, machine) = Machine::new(rest).run()?;
    let Value::List { items, .. } = keys else {
        return Err("the list of storages is missing".into());
    };
    let key = |value| match value {
        Value::Text(key) => Ok(key),
        _ => Err(Problem::new("the list of storages is damaged")),
    };
    let keys = items.into_iter().map(key).collect::<Result<_, _>>()?;
    let len = start.len() - machine.code.len();
    Ok(OldFile { dict: StateDict::new(root, storages)?, keys, len })
}

/// The type of a storage's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Double,
    Float,
    Half,
    Bf16,
    /// Integers with this size in bytes.
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

    /// Returns the size of a number in bytes.
    pub(super) fn width(self) -> usize {
        match self {
            Kind::Double => 8,
            Kind::Float => 4,
            Kind::Half | Kind::Bf16 => 2,
            Kind::Other(width) => width,
        }
    }

    pub(super) fn dtype(self) -> Dtype {
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
enum Value {
    Mark,
    None,
    Flag(bool),
    /// Floats, bytes and plain objects, whose values are not needed.
    Other,
    Int(i64),
    Text(Rc<str>),
    Tuple {
        depth: usize,
        items: Rc<[Value]>,
    },
    List {
        depth: usize,
        items: Vec<Value>,
    },
    Dict {
        depth: usize,
        items: Vec<(Value, Value)>,
    },
    /// A function or class, as `module name`.
    Global(Rc<str>),
    Storage(Kind, Rc<str>),
    Tensor(Rc<View>),
}

impl Value {
    fn depth(&self) -> usize {
        match self {
            Value::Tuple { depth, .. } | Value::List { depth, .. } | Value::Dict { depth, .. } => {
                *depth
            }
            _ => 0,
        }
    }
}

/// Returns the depth of a container with these items.
fn depth_over(items: &[Value]) -> Result<usize, Problem> {
    // Dropping deeper values would overflow the call stack.
    match 1 + items.iter().map(Value::depth).max().unwrap_or(0) {
        depth if depth <= MAX_DEPTH => Ok(depth),
        _ => Err(format!("the pickle nests values more than {MAX_DEPTH} deep").into()),
    }
}

fn tuple(items: Vec<Value>) -> Result<Value, Problem> {
    Ok(Value::Tuple { depth: depth_over(&items)?, items: items.into() })
}

/// The state of the unpickler: the remaining instructions, a stack and a memo.
struct Machine<'a> {
    code: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<usize, Value>,
    /// The number of values that were put into the memo, dicts and lists included.
    remembered: usize,
    storages: HashMap<Rc<str>, (Kind, u64)>,
}

impl<'a> Machine<'a> {
    fn new(code: &'a [u8]) -> Self {
        Self {
            code,
            stack: Vec::new(),
            memo: HashMap::new(),
            remembered: 0,
            storages: HashMap::new(),
        }
    }

    /// Runs one pickle, and returns its value and the machine with what is left of the code.
    fn run(mut self) -> Result<(Value, Self), Problem> {
        while self.stack.len() <= MAX_STACK {
            let op = self.take(1)?[0];
            match op {
                0x80 => _ = self.take(1)?,
                b'.' => return Ok((self.pop()?, self)),
                // A frame, which does not matter as all bytes are in memory.
                0x95 => _ = self.take(8)?,
                b']' => self.stack.push(Value::List { depth: 1, items: Vec::new() }),
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.append(items)?;
                }
                b'}' => self.stack.push(Value::Dict { depth: 1, items: Vec::new() }),
                b')' => self.stack.push(tuple(Vec::new())?),
                b'(' => self.stack.push(Value::Mark),
                b'N' => self.stack.push(Value::None),
                0x88 | 0x89 => self.stack.push(Value::Flag(op == 0x88)),
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
                    let n = self.take(1)?[0].into();
                    match n {
                        0..=7 => self.int(n)?,
                        _ => {
                            self.take(n)?;
                            self.stack.push(Value::Other);
                        }
                    }
                }
                b'X' | b'T' => {
                    let n = u32_at(self.take(4)?, 0) as usize;
                    self.text(n)?;
                }
                0x8c | b'U' => {
                    let n = self.take(1)?[0].into();
                    self.text(n)?;
                }
                b'B' => {
                    let n = u32_at(self.take(4)?, 0) as usize;
                    self.take(n)?;
                    self.stack.push(Value::Other);
                }
                b'C' => {
                    let n = self.take(1)?[0].into();
                    self.take(n)?;
                    self.stack.push(Value::Other);
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => {
                        self.stack.push(Value::Global(format!("{module} {name}").into()));
                    }
                    _ => return Err("the pickle names a function by other values".into()),
                },
                0x94 => self.remember(self.remembered)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.stack.push(Value::Global(format!("{module} {name}").into()));
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
                    let at = self
                        .stack
                        .len()
                        .checked_sub(count)
                        .ok_or("the pickle is damaged: its stack is empty")?;
                    let items = self.stack.split_off(at);
                    self.stack.push(tuple(items)?);
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.stack.push(tuple(items)?);
                }
                b'u' => {
                    let items = self.since_mark()?;
                    self.set(items)?;
                }
                b's' => {
                    let at = self
                        .stack
                        .len()
                        .checked_sub(2)
                        .ok_or("the pickle is damaged: its stack is empty")?;
                    let items = self.stack.split_off(at);
                    self.set(items)?;
                }
                // The state of an OrderedDict is torch's `_metadata`, which holds versions and no
                // tensors.
                b'b' => _ = self.pop()?,
                b'Q' => {
                    let id = self.pop()?;
                    let (kind, key, count) = storage(&id)?;
                    self.storages.insert(key.clone(), (kind, count));
                    self.stack.push(Value::Storage(kind, key));
                }
                b'R' => {
                    let (arguments, function) = (self.pop()?, self.pop()?);
                    self.stack.push(call(&function, &arguments)?);
                }
                _ => {
                    let what =
                        format!("pickle instruction 0x{op:02x} is not that of a dict of tensors");
                    return Err(Problem::new(what).with_remedy(CONVERT));
                }
            }
        }
        Err(format!("the pickle holds more than {MAX_STACK} values at once").into())
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Problem> {
        let (bytes, rest) = self.code.split_at_checked(n).ok_or("the pickle is truncated")?;
        self.code = rest;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<&'a str, Problem> {
        let end =
            self.code.iter().position(|byte| *byte == b'\n').ok_or("the pickle is truncated")?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end])
            .map_err(|_| "the pickle has a name that is not UTF-8".into())
    }

    fn int(&mut self, n: usize) -> Result<(), Problem> {
        let bytes = self.take(n)?;
        let value = bytes.iter().rev().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn text(&mut self, n: usize) -> Result<(), Problem> {
        let text = String::from_utf8_lossy(self.take(n)?).into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Problem> {
        self.stack.pop().ok_or_else(|| "the pickle is damaged: its stack is empty".into())
    }

    fn remember(&mut self, at: usize) -> Result<(), Problem> {
        self.remembered += 1;
        // Dicts and lists grow after they are stored in the memo, and a state dict never reads them
        // from there.
        let value = match self.stack.last().ok_or("the pickle is damaged: its stack is empty")? {
            Value::Dict { .. } | Value::List { .. } => return Ok(()),
            value => value.clone(),
        };
        self.memo.insert(at, value);
        Ok(())
    }

    fn recall(&mut self, at: usize) -> Result<(), Problem> {
        let value =
            self.memo.get(&at).ok_or("the pickle recalls a value that it never stored")?.clone();
        self.stack.push(value);
        Ok(())
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Problem> {
        let at = self
            .stack
            .iter()
            .rposition(|value| matches!(value, Value::Mark))
            .ok_or("the pickle is damaged: a mark is missing")?;
        let items = self.stack.split_off(at + 1);
        self.stack.pop();
        Ok(items)
    }

    fn append(&mut self, new: Vec<Value>) -> Result<(), Problem> {
        let deeper = depth_over(&new)?;
        let Some(Value::List { depth, items }) = self.stack.last_mut() else {
            return Err("the pickle appends items without a list".into());
        };
        *depth = deeper.max(*depth);
        items.extend(new);
        Ok(())
    }

    fn set(&mut self, new: Vec<Value>) -> Result<(), Problem> {
        let deeper = depth_over(&new)?;
        let Some(Value::Dict { depth, items }) = self.stack.last_mut() else {
            return Err("the pickle sets items without a dict".into());
        };
        *depth = deeper.max(*depth);
        let mut new = new.into_iter();
        while let (Some(key), Some(value)) = (new.next(), new.next()) {
            items.push((key, value));
        }
        Ok(())
    }
}

/// Returns the type, the key and the count of a storage for a persistent id:
/// `("storage", class, key, device, count)`. Before torch 1.6 there is also a view of the storage,
/// which is `None` in all files of torch 0.4 and later.
fn storage(id: &Value) -> Result<(Kind, Rc<str>, u64), Problem> {
    if let Value::Tuple { items, .. } = id
        && let [Value::Text(word), Value::Global(class), Value::Text(key), _, count, view @ ..] =
            &items[..]
        && matches!(view, [] | [Value::None])
        && **word == *"storage"
    {
        let kind =
            Kind::named(class).ok_or_else(|| format!("storage {class} is not implemented"))?;
        let count = match count {
            Value::Int(count) => u64::try_from(*count).ok(),
            _ => None,
        };
        let count = count.ok_or("a storage has no count of numbers")?;
        return Ok((kind, key.clone(), count));
    }
    Err("the pickle has a persistent id that is not a storage".into())
}

/// Returns the result of a function of a state dict. No code of the pickle is executed.
fn call(function: &Value, arguments: &Value) -> Result<Value, Problem> {
    let (Value::Global(name), Value::Tuple { items, .. }) = (function, arguments) else {
        return Err("the pickle calls a value that is not a function".into());
    };
    match (&**name, &items[..]) {
        ("collections OrderedDict", []) | ("collections defaultdict", [] | [_]) => {
            Ok(Value::Dict { depth: 1, items: Vec::new() })
        }
        ("collections OrderedDict", [Value::List { depth, items }]) => {
            let pair = |item: &Value| match item {
                Value::Tuple { items, .. } => match &items[..] {
                    [key, value] => Some((key.clone(), value.clone())),
                    _ => None,
                },
                _ => None,
            };
            let items = items.iter().map(pair).collect::<Option<_>>();
            let items = items.ok_or("an OrderedDict is made of other values than pairs")?;
            Ok(Value::Dict { depth: *depth, items })
        }
        // Plain values beside the tensors, which are not needed.
        (
            "numpy dtype"
            | "numpy.core.multiarray scalar"
            | "numpy._core.multiarray scalar"
            | "_codecs encode"
            | "torch device",
            _,
        ) => Ok(Value::Other),
        ("torch Size", [sizes @ Value::Tuple { .. }]) => Ok(sizes.clone()),
        (
            "torch._utils _rebuild_parameter" | "torch._utils _rebuild_parameter_with_state",
            [tensor @ Value::Tensor(_), ..],
        ) => Ok(tensor.clone()),
        // The form of torch before 0.4.
        ("torch._utils _rebuild_tensor", [storage, offset, shape, strides]) => {
            view(storage, offset, shape, strides)
        }
        // The flag for gradients and the hooks have no effect here. A seventh argument would have
        // one, because it marks numbers as negated or conjugated, so it is rejected.
        ("torch._utils _rebuild_tensor_v2", [storage, offset, shape, strides, _, _]) => {
            view(storage, offset, shape, strides)
        }
        _ => {
            let what = format!(
                "the pickle calls {name}, which a dict of plain tensors does not, or with other \
                 arguments; it was not run"
            );
            Err(Problem::new(what)
                .with_remedy("convert the file to safetensors on a machine where you trust it"))
        }
    }
}

/// Returns the tensor that is a view of a storage.
fn view(storage: &Value, offset: &Value, shape: &Value, strides: &Value) -> Result<Value, Problem> {
    let (
        Value::Storage(kind, key),
        Value::Int(offset),
        Value::Tuple { items: shape, .. },
        Value::Tuple { items: strides, .. },
    ) = (storage, offset, shape, strides)
    else {
        return Err("a tensor is not a view of a storage".into());
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() {
        return Err("a tensor has more or fewer strides than dimensions".into());
    }
    let offset = u64::try_from(*offset).map_err(|_| "a tensor has a negative offset")?;
    let (kind, key) = (*kind, key.clone());
    Ok(Value::Tensor(Rc::new(View { kind, key, offset, shape, strides })))
}

fn sizes(values: &[Value]) -> Result<Vec<usize>, Problem> {
    if values.len() > MAX_DIMENSIONS {
        let dimensions = values.len();
        let what = format!("a tensor has {dimensions} dimensions, more than {MAX_DIMENSIONS}");
        return Err(what.into());
    }
    let size = |value: &Value| match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    let sizes = values.iter().map(size).collect::<Option<_>>();
    sizes.ok_or_else(|| "a shape has an entry that is not a size".into())
}

/// Returns the little-endian number at an index.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(pickle: &[u8]) -> String {
        state_dict(pickle).err().expect("refused").to_string()
    }

    /// Each tuple holds the previous one twice, which would be 2^60 values if they were copied.
    #[test]
    fn tuples_are_shared() {
        let mut pickle = b")".to_vec();
        for depth in 0..60u8 {
            pickle.extend([b'q', depth, b'h', depth, 0x86]);
        }
        assert!(error(&pickle).contains("deep"));
        // A wide tuple is held once, no matter how often it is recalled.
        let mut pickle = [b"(", &b"K\x01".repeat(5_000)[..], b"tq\x00"].concat();
        pickle.extend(b"h\x00q\x01".repeat(10_000));
        pickle.push(b'.');
        assert!(error(&pickle).contains("not a dict"));
    }

    #[test]
    fn values_do_not_nest_without_end() {
        assert!(error(&[b")".to_vec(), vec![0x85; 1_000_000]].concat()).contains("deep"));
        let (open, close) = (b"}K\x01".repeat(5_000), b"s".repeat(4_999));
        assert!(error(&[&open[..], b"N", &close].concat()).contains("deep"));
        assert!(error(&b"N".repeat(1_000_000)).contains("at once"));
    }
}
