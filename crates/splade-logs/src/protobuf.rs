//! Writes protocol buffer messages, among them the few of TensorBoard's event files.
//!
//! Fields are written in the order of protobuf's own writers: by number, omitting fields with their
//! default value unless they belong to a `oneof`. The field numbers are those of TensorBoard's
//! `event.proto`, `summary.proto`, `tensor.proto` and `tensor_shape.proto`.

/// A message that is being written.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

// The wire types of the encoding.
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

    /// Appends an `int64` or an enum, which must not be negative.
    pub(super) fn integer(self, field: u64, value: u64) -> Self {
        self.key(field, VARINT).varint(value)
    }

    /// Appends an integer unless it is 0, which is what a missing field means.
    pub(super) fn count(self, field: u64, value: u64) -> Self {
        if value == 0 { self } else { self.integer(field, value) }
    }

    pub(super) fn bytes(self, field: u64, value: &[u8]) -> Self {
        self.key(field, BYTES).varint(value.len() as u64).extend(value)
    }

    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends the key of a field.
    fn key(self, field: u64, wire_type: u64) -> Self {
        self.varint(field << 3 | wire_type)
    }

    /// Appends a varint: seven bits per byte, lowest bits first, with the eighth bit set if more
    /// bytes follow.
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

/// Starts an event with `Event.wall_time` and `Event.step`.
fn event(wall_time: f64, step: u64) -> Message {
    let event = Message::new().double(1, wall_time);
    if step == 0 { event } else { event.integer(2, step) }
}

const FILE_VERSION: &[u8] = b"brain.Event:2";

/// Returns the first event of a file: `Event.file_version` and `Event.source_metadata.writer`.
///
/// The writer has the name of torch's writer, whose files are the same, because TensorBoard counts
/// writers by name.
pub(super) fn first(wall_time: f64) -> Vec<u8> {
    let source = Message::new().bytes(1, b"tensorboard.summary.writer.event_file_writer");
    event(wall_time, 0).bytes(3, FILE_VERSION).message(10, source).into_bytes()
}

/// Returns an event with `Event.file_version` at a step.
pub(super) fn version(wall_time: f64, step: u64) -> Vec<u8> {
    event(wall_time, step).bytes(3, FILE_VERSION).into_bytes()
}

/// Returns an event with `Event.session_log` of status START, which voids what older files contain
/// for this step and later ones.
pub(super) fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    event(wall_time, step).message(7, Message::new().integer(1, 1)).into_bytes()
}

/// Returns an event with `Event.summary` of one `Value`.
fn summary(wall_time: f64, step: u64, value: Message) -> Vec<u8> {
    event(wall_time, step).message(5, Message::new().message(1, value)).into_bytes()
}

/// Returns an event with a number: `Value.tag` and `Value.simple_value`.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, value: f32) -> Vec<u8> {
    summary(wall_time, step, Message::new().bytes(1, tag.as_bytes()).float(2, value))
}

/// Returns an event with a text for the text plugin, which is a string tensor of one element.
pub(super) fn text(wall_time: f64, tag: &str, text: &str) -> Vec<u8> {
    const DT_STRING: u64 = 7;
    // The fields are TensorShapeProto.dim and Dim.size.
    let shape = Message::new().message(2, Message::new().integer(1, 1));
    let tensor = Message::new()
        .integer(1, DT_STRING) // TensorProto.dtype
        .message(2, shape) // TensorProto.tensor_shape
        .bytes(8, text.as_bytes()); // TensorProto.string_val
    // The fields are SummaryMetadata.plugin_data and PluginData.plugin_name.
    let metadata = Message::new().message(1, Message::new().bytes(1, b"text"));
    let tag = format!("{tag}/text_summary");
    // The fields are Value.tag, Value.tensor and Value.metadata.
    let value = Message::new().bytes(1, tag.as_bytes()).message(8, tensor).message(9, metadata);
    summary(wall_time, 0, value)
}
