//! The columns of the Parquet files that this crate writes.

use std::sync::Arc;

use parquet::basic::{ConvertedType, Repetition, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;

/// Returns the schema of a required column `id` of strings and of other columns.
pub(super) fn with_id(columns: Vec<Type>) -> Result<Type, ParquetError> {
    let id = element("id", PhysicalType::BYTE_ARRAY, ConvertedType::UTF8)?;
    let fields = std::iter::once(id).chain(columns).map(Arc::new).collect();
    Type::group_type_builder("vectors").with_fields(fields).build()
}

/// Returns a required value.
pub(super) fn element(
    name: &str,
    physical: PhysicalType,
    converted: ConvertedType,
) -> Result<Type, ParquetError> {
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::REQUIRED)
        .with_converted_type(converted)
        .build()
}

/// Returns a required list of elements, which are named `element`.
pub(super) fn list(name: &str, element: Type) -> Result<Type, ParquetError> {
    let items = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element)])
        .build()?;
    Type::group_type_builder(name)
        .with_repetition(Repetition::REQUIRED)
        .with_converted_type(ConvertedType::LIST)
        .with_fields(vec![Arc::new(items)])
        .build()
}
