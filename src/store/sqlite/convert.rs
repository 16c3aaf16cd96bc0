//! Between SQL's values and ours. A value that does not fit is [`StoreError::BadRow`], never a panic.

use super::{Result, StoreError, database};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Row, Sqlite, Type};
use std::str::FromStr;

/// A column as SQL has it.
pub(super) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
    &'static str: ColumnIndex<SqliteRow>,
{
    row.try_get(name).map_err(database)
}

/// A text column that parses (ids).
pub(super) fn parsed<T: FromStr>(row: &SqliteRow, name: &'static str) -> Result<T> {
    let text: &str = column(row, name)?;
    text.parse().map_err(|_| StoreError::BadRow(format!("`{text}` as {name}")))
}

/// A text column that names a variant of an enum.
pub(super) fn named<T: DeserializeOwned>(row: &SqliteRow, name: &'static str) -> Result<T> {
    variant(column(row, name)?, name)
}

pub(super) fn named_or_null<T: DeserializeOwned>(row: &SqliteRow, name: &'static str) -> Result<Option<T>> {
    let text: Option<&str> = column(row, name)?;
    text.map(|text| variant(text, name)).transpose()
}

fn variant<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| StoreError::BadRow(format!("`{text}` as {name}")))
}

/// The name of an enum's variant.
pub(super) fn name_of<T: Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        Ok(other) => Err(StoreError::BadRow(format!("{other} for a name"))),
        Err(error) => Err(StoreError::BadRow(error.to_string())),
    }
}

/// A text column of JSON.
pub(super) fn json<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::BadRow(format!("{name}: {error}")))
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::BadRow(error.to_string()))
}

/// A column that is never negative.
pub(super) fn unsigned<T: TryFrom<i64>>(row: &SqliteRow, name: &'static str) -> Result<T> {
    let value: i64 = column(row, name)?;
    T::try_from(value).map_err(|_| StoreError::BadRow(format!("{value} as {name}")))
}

pub(super) fn sha256(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| StoreError::BadRow("a SHA-256 of another length".to_owned()))
}

/// SQL has no unsigned integers; what does not fit is as large as can be.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
