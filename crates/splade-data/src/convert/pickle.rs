//! Reads a pickle of `{query: {document: score}}` without executing any code.
//!
//! The reader supports the instructions that Python writes for dicts of integers, strings that are
//! integers, and floats (protocols 2 to 5, Python's `pickletools`). Any other instruction is an
//! error that names it. A query is passed on as soon as the next one begins, so the memory is that
//! of one query.

use std::collections::HashMap;
use std::io::BufRead;

/// The maximum number of values on the stack. Python writes the scores of a query in groups of a
/// thousand.
const MAX_STACK: usize = 1 << 20;

/// The scores of a query, as pairs `(document, score)`.
pub(super) type Scores = Vec<(i64, f64)>;

enum Value {
    Mark,
    Id(i64),
    Score(f64),
    /// The outer dict, whose items are not stored.
    Outer,
    Inner(Scores),
}

/// Reads a pickle and calls `take` for every query in the order of the file.
pub(super) fn read<E: From<String>>(
    code: &mut dyn BufRead,
    mut take: impl FnMut(i64, Scores) -> Result<(), E>,
) -> Result<(), E> {
    let mut machine = Machine { code, stack: Vec::new(), memo: HashMap::new(), remembered: 0 };
    while let Some(done) = machine.step()? {
        for (query, scores) in done {
            take(query, scores)?;
        }
    }
    Ok(())
}

struct Machine<'a> {
    code: &'a mut dyn BufRead,
    stack: Vec<Value>,
    /// The memo of ids that were strings. Dicts are numbered in the memo, too, but never read from
    /// it.
    memo: HashMap<u64, i64>,
    /// The number of memoized values, which the instruction `MEMOIZE` uses as the next index.
    remembered: u64,
}

type Done = Vec<(i64, Scores)>;

impl Machine<'_> {
    /// Executes one instruction and returns the queries that are complete; `None` at the end of the
    /// pickle.
    fn step(&mut self) -> Result<Option<Done>, String> {
        if self.stack.len() > MAX_STACK {
            return Err(format!("the pickle holds over {MAX_STACK} values at once"));
        }
        let [op] = self.take()?;
        match op {
            0x80 => _ = self.take::<1>()?,
            // The operand is the length of the next frame.
            0x95 => _ = self.take::<8>()?,
            b'}' => return self.dict().map(Some),
            b'(' => self.stack.push(Value::Mark),
            b'K' => {
                let [byte] = self.take()?;
                self.stack.push(Value::Id(byte.into()));
            }
            b'M' => {
                let bytes = self.take()?;
                self.stack.push(Value::Id(u16::from_le_bytes(bytes).into()));
            }
            b'J' => {
                let bytes = self.take()?;
                self.stack.push(Value::Id(i32::from_le_bytes(bytes).into()));
            }
            0x8a => {
                let [length] = self.take()?;
                let id = self.long(length.into())?;
                self.stack.push(Value::Id(id));
            }
            b'G' => {
                let bytes = self.take()?;
                self.stack.push(Value::Score(f64::from_be_bytes(bytes)));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(length)?;
            }
            0x8c => {
                let [length] = self.take()?;
                self.text(length.into())?;
            }
            b'q' => {
                let [at] = self.take()?;
                self.remember(at.into());
            }
            b'r' => {
                let at = u32::from_le_bytes(self.take()?);
                self.remember(at.into());
            }
            0x94 => self.remember(self.remembered),
            b'h' => {
                let [at] = self.take()?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.take()?);
                self.recall(at.into())?;
            }
            b'u' => {
                let is_mark = |value: &Value| matches!(value, Value::Mark);
                let at =
                    self.stack.iter().rposition(is_mark).ok_or("the pickle is damaged: no mark")?;
                let items = self.stack.split_off(at + 1);
                self.stack.pop();
                return self.set(items).map(Some);
            }
            b's' => {
                let at = self
                    .stack
                    .len()
                    .checked_sub(2)
                    .ok_or("the pickle is damaged: an empty stack")?;
                let items = self.stack.split_off(at);
                return self.set(items).map(Some);
            }
            b'.' => {
                return match self.stack[..] {
                    [Value::Outer] => Ok(None),
                    _ => Err("the pickle is not a dict of dicts".to_owned()),
                };
            }
            _ => {
                return Err(format!(
                    "pickle instruction 0x{op:02x} is not that of a dict of dicts of integers and \
                     floats; nothing was run. Convert it with Python where you trust it: \
                     {{int(q): {{int(d): float(s) for d, s in docs.items()}} for q, docs in \
                     scores.items()}}"
                ));
            }
        }
        Ok(Some(Vec::new()))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.code.read_exact(&mut bytes).map_err(|error| error_of(&error))?;
        Ok(bytes)
    }

    fn long(&mut self, length: usize) -> Result<i64, String> {
        let mut bytes = vec![0; length];
        self.code.read_exact(&mut bytes).map_err(|error| error_of(&error))?;
        if length > 8 {
            return Err("an integer of over 8 bytes".to_owned());
        }
        // The highest bit of the last byte is the sign.
        let sign = if bytes.last().is_some_and(|byte| *byte >= 0x80) { u8::MAX } else { 0 };
        bytes.resize(8, sign);
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | i64::from(*byte)))
    }

    /// Reads a string that is an id.
    fn text(&mut self, length: u32) -> Result<(), String> {
        if length > 20 {
            return Err(format!("a text of {length} bytes, which is not an id"));
        }
        let mut bytes = vec![0; length as usize];
        self.code.read_exact(&mut bytes).map_err(|error| error_of(&error))?;
        let text = String::from_utf8_lossy(&bytes);
        let id = text.parse().map_err(|_| format!("the text {text:?}, which is not an id"))?;
        self.stack.push(Value::Id(id));
        Ok(())
    }

    fn remember(&mut self, at: u64) {
        self.remembered += 1;
        if let Some(Value::Id(id)) = self.stack.last() {
            self.memo.insert(at, *id);
        }
    }

    fn recall(&mut self, at: u64) -> Result<(), String> {
        let id =
            self.memo.get(&at).ok_or("a value is used twice, which is allowed only for ids")?;
        self.stack.push(Value::Id(*id));
        Ok(())
    }

    /// Pushes an empty dict: the outer one first and then those of queries. When the dict of a
    /// query begins, the previous query is complete.
    fn dict(&mut self) -> Result<Done, String> {
        let (new, done) = match &self.stack[..] {
            [] => (Value::Outer, Vec::new()),
            [Value::Outer, Value::Mark, ..] if self.stack.len() == 5 => {
                let items = self.stack.drain(2..4).collect();
                (Value::Inner(Vec::new()), queries(items)?)
            }
            [Value::Outer, Value::Mark, _] | [Value::Outer, _] => {
                (Value::Inner(Vec::new()), Vec::new())
            }
            _ => return Err("dicts in dicts in a dict".to_owned()),
        };
        self.stack.push(new);
        Ok(done)
    }

    /// Adds items to the dict on top of the stack.
    fn set(&mut self, items: Vec<Value>) -> Result<Done, String> {
        match self.stack.last_mut() {
            Some(Value::Outer) => queries(items),
            Some(Value::Inner(scores)) => {
                let mut items = items.into_iter();
                while let Some(key) = items.next() {
                    scores.push(match (key, items.next()) {
                        (Value::Id(doc), Some(Value::Score(score))) => (doc, score),
                        (Value::Id(doc), Some(Value::Id(score))) => (doc, score as f64),
                        _ => return Err("a document without a score".to_owned()),
                    });
                }
                Ok(Vec::new())
            }
            _ => Err("items without a dict".to_owned()),
        }
    }
}

/// Converts the items of the outer dict into queries.
fn queries(items: Vec<Value>) -> Result<Done, String> {
    let (mut items, mut done) = (items.into_iter(), Vec::new());
    while let Some(key) = items.next() {
        match (key, items.next()) {
            (Value::Id(query), Some(Value::Inner(scores))) => done.push((query, scores)),
            _ => return Err("a query without a dict of scores".to_owned()),
        }
    }
    Ok(done)
}

fn error_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the pickle is cut off".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(code: &[u8]) -> Result<Done, String> {
        let mut done = Vec::new();
        read::<String>(&mut &code[..], |query, scores| {
            done.push((query, scores));
            Ok(())
        })?;
        Ok(done)
    }

    /// `pickle.dumps({1: {2: 0.5, 300: -1}, 70000: {}, -5: {2**40: 2.0}}, 2)` of Python 3.11.
    const PROTOCOL_2: &[u8] = b"\x80\x02}q\x00(K\x01}q\x01(K\x02G?\xe0\x00\x00\x00\x00\x00\x00M,\x01J\xff\xff\xff\xffuJp\x11\x01\x00}q\x02J\xfb\xff\xff\xff}q\x03\x8a\x06\x00\x00\x00\x00\x00\x01G@\x00\x00\x00\x00\x00\x00\x00su.";

    #[test]
    fn reads_what_python_writes() {
        let want =
            vec![(1, vec![(2, 0.5), (300, -1.0)]), (70_000, vec![]), (-5, vec![(1 << 40, 2.0)])];
        assert_eq!(run(PROTOCOL_2).expect("read"), want);
        assert_eq!(run(b"\x80\x02}q\x00.").expect("empty"), []);
        // The bytes are pickle.dumps({"7": {"8": 1.5}}, 4): a frame, short strings, one item each.
        let four = b"\x80\x04\x95\x18\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x017\x94}\x94\x8c\x018\x94G?\xf8\x00\x00\x00\x00\x00\x00ss.";
        assert_eq!(run(four).expect("read"), [(7, vec![(8, 1.5)])]);
    }

    #[test]
    fn anything_else_is_refused() {
        for (code, want) in [
            // The bytes are a call of os.system.
            (&b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."[..], "0x63 is not that of"),
            (b"\x80\x02]q\x00.", "0x5d"),
            (b"\x80\x02}q\x00(K\x01K\x02u.", "a query without a dict"),
            (b"\x80\x02}q\x00(K\x01}q\x01K\x02}q\x02su.", "items without a dict"),
            (b"\x80\x02K\x01.", "not a dict of dicts"),
            (b"u", "the pickle is damaged: no mark"),
            (b"s", "the pickle is damaged: an empty stack"),
            (b"X\xff\xff\xff\xff", "which is not an id"),
            (b"", "cut off"),
            (&PROTOCOL_2[..20], "cut off"),
        ] {
            let error = run(code).expect_err("refused");
            assert!(error.contains(want), "{error}");
        }
        assert!(run(&b"K\x01".repeat(MAX_STACK + 2)).expect_err("full").contains("at once"));
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_dict(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut code = PROTOCOL_2.to_vec();
            code[at.index(PROTOCOL_2.len())] = byte;
            code.truncate(cut.index(PROTOCOL_2.len()) + 1);
            _ = run(&code);
        }
    }
}
