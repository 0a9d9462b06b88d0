//! Writes the few protocol buffer messages of TensorBoard's event files.
//!
//! Fields are written as protobuf's own writers order them: by number, without those at their
//! default, unless they are in a `oneof`. Numbers are those of TensorBoard's `event.proto`,
//! `summary.proto`, `tensor.proto` and `tensor_shape.proto`.

/// A message that is being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn double(self, field: u64, value: f64) -> Self {
        self.key(field, FIXED64).extend(&value.to_le_bytes())
    }

    pub(super) fn float(self, field: u64, value: f32) -> Self {
        self.key(field, FIXED32).extend(&value.to_le_bytes())
    }

    /// `int64` and enums that are not negative.
    pub(super) fn integer(self, field: u64, value: u64) -> Self {
        self.key(field, VARINT).varint(value)
    }

    pub(super) fn bytes(self, field: u64, value: &[u8]) -> Self {
        self.key(field, BYTES).varint(value.len() as u64).extend(value)
    }

    pub(super) fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(self, field: u64, wire_type: u64) -> Self {
        self.varint(field << 3 | wire_type)
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn extend(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// `Event.wall_time` and `Event.step`; the rest of an event follows.
fn event(wall_time: f64, step: u64) -> Message {
    let event = Message::new().double(1, wall_time);
    if step == 0 { event } else { event.integer(2, step) }
}

const FILE_VERSION: &[u8] = b"brain.Event:2";

/// The first event of a file: `Event.file_version` and `Event.source_metadata.writer`.
///
/// The writer is named as torch's, which writes the same file: TensorBoard counts writers by it.
pub(super) fn first(wall_time: f64) -> Vec<u8> {
    let source = Message::new().bytes(1, b"tensorboard.summary.writer.event_file_writer");
    event(wall_time, 0).bytes(3, FILE_VERSION).message(10, source).into_bytes()
}

/// `Event.file_version` at a step.
pub(super) fn version(wall_time: f64, step: u64) -> Vec<u8> {
    event(wall_time, step).bytes(3, FILE_VERSION).into_bytes()
}

/// `Event.session_log` with the status START: what older files say of this step and later ones is
/// void.
pub(super) fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    event(wall_time, step).message(7, Message::new().integer(1, 1)).into_bytes()
}

/// `Event.summary` with one `Value`.
fn summary(wall_time: f64, step: u64, value: Message) -> Vec<u8> {
    event(wall_time, step).message(5, Message::new().message(1, value)).into_bytes()
}

/// `Value.tag` and `Value.simple_value`.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    summary(wall_time, step, Message::new().bytes(1, tag.as_bytes()).float(2, value))
}

/// A text for the text plugin: a string tensor of one element.
pub(super) fn text(wall_time: f64, tag: &str, text: &str) -> Vec<u8> {
    const DT_STRING: u64 = 7;
    // TensorShapeProto.dim, Dim.size
    let shape = Message::new().message(2, Message::new().integer(1, 1));
    let tensor = Message::new()
        .integer(1, DT_STRING) // TensorProto.dtype
        .message(2, shape) // TensorProto.tensor_shape
        .bytes(8, text.as_bytes()); // TensorProto.string_val
    // SummaryMetadata.plugin_data, PluginData.plugin_name
    let metadata = Message::new().message(1, Message::new().bytes(1, b"text"));
    let tag = format!("{tag}/text_summary");
    // Value.tag, Value.tensor, Value.metadata
    let value = Message::new().bytes(1, tag.as_bytes()).message(8, tensor).message(9, metadata);
    summary(wall_time, 0, value)
}
