//! What the values of a Parquet column mean. The physical type says how many bits a number has; only
//! the logical type, or the older converted type, says whether it is signed, a date or a decimal.

use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::schema::types::ColumnDescriptor;

/// The type of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnType {
    pub(super) kind: Kind,
    /// The name of the type in messages, such as `uint32` or `decimal(10, 2)`.
    pub(super) name: String,
}

/// The kinds of values, as far as they are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The column has nulls only; Arrow's type `null`.
    Null,
    /// Strings, or bytes that may be UTF-8.
    Text,
    /// Integers whose highest bit is the sign.
    Signed,
    /// Integers whose highest bit is part of the number.
    Unsigned,
    Float,
    /// Anything else: dates, decimals, booleans.
    Other,
}

impl ColumnType {
    /// Returns the type of a column.
    pub(super) fn of(column: &ColumnDescriptor) -> Self {
        let (kind, name) = by_logical_type(column)
            .or_else(|| by_converted_type(column))
            .unwrap_or_else(|| by_physical_type(column.physical_type()));
        Self { kind, name }
    }
}

fn by_logical_type(column: &ColumnDescriptor) -> Option<(Kind, String)> {
    Some(match column.logical_type_ref()? {
        LogicalType::String | LogicalType::Enum | LogicalType::Json => {
            (Kind::Text, "string".to_owned())
        }
        LogicalType::Integer(integer) if integer.is_signed => {
            (Kind::Signed, format!("int{}", integer.bit_width))
        }
        LogicalType::Integer(integer) => (Kind::Unsigned, format!("uint{}", integer.bit_width)),
        LogicalType::Unknown => (Kind::Null, "null".to_owned()),
        LogicalType::Decimal(decimal) => {
            (Kind::Other, format!("decimal({}, {})", decimal.precision, decimal.scale))
        }
        LogicalType::Date => (Kind::Other, "date".to_owned()),
        LogicalType::Time(_) => (Kind::Other, "time".to_owned()),
        LogicalType::Timestamp(_) => (Kind::Other, "timestamp".to_owned()),
        LogicalType::Uuid => (Kind::Other, "uuid".to_owned()),
        LogicalType::Float16 => (Kind::Other, "float16".to_owned()),
        other => (Kind::Other, format!("{other:?}").to_lowercase()),
    })
}

fn by_converted_type(column: &ColumnDescriptor) -> Option<(Kind, String)> {
    let (kind, name) = match column.converted_type() {
        ConvertedType::NONE => return None,
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => (Kind::Text, "string"),
        ConvertedType::INT_8 => (Kind::Signed, "int8"),
        ConvertedType::INT_16 => (Kind::Signed, "int16"),
        ConvertedType::INT_32 => (Kind::Signed, "int32"),
        ConvertedType::INT_64 => (Kind::Signed, "int64"),
        ConvertedType::UINT_8 => (Kind::Unsigned, "uint8"),
        ConvertedType::UINT_16 => (Kind::Unsigned, "uint16"),
        ConvertedType::UINT_32 => (Kind::Unsigned, "uint32"),
        ConvertedType::UINT_64 => (Kind::Unsigned, "uint64"),
        ConvertedType::DECIMAL => {
            let (precision, scale) = (column.type_precision(), column.type_scale());
            return Some((Kind::Other, format!("decimal({precision}, {scale})")));
        }
        ConvertedType::DATE => (Kind::Other, "date"),
        ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS => (Kind::Other, "time"),
        ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS => {
            (Kind::Other, "timestamp")
        }
        other => return Some((Kind::Other, other.to_string().to_lowercase())),
    };
    Some((kind, name.to_owned()))
}

fn by_physical_type(physical: PhysicalType) -> (Kind, String) {
    let (kind, name) = match physical {
        PhysicalType::BYTE_ARRAY => (Kind::Text, "binary"),
        PhysicalType::INT32 => (Kind::Signed, "int32"),
        PhysicalType::INT64 => (Kind::Signed, "int64"),
        PhysicalType::FLOAT => (Kind::Float, "float"),
        PhysicalType::DOUBLE => (Kind::Float, "double"),
        PhysicalType::BOOLEAN => (Kind::Other, "boolean"),
        // Timestamps of Hive and of old Spark.
        PhysicalType::INT96 => (Kind::Other, "timestamp"),
        PhysicalType::FIXED_LEN_BYTE_ARRAY => (Kind::Other, "binary of a fixed length"),
    };
    (kind, name.to_owned())
}
