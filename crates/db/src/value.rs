use crate::{Error, Result};

/// A parameter of a statement. Integers, text and bytes are all that the SQL subset knows; times are integers (microseconds or
/// seconds since 1970, the column says which).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// SQL NULL.
    Null,
    /// BIGINT.
    Integer(i64),
    /// TEXT, UTF-8.
    Text(&'a str),
    /// BLOB / BYTEA.
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Value::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Blob(value)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(value: &'a [u8; N]) -> Self {
        Value::Blob(value)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        Value::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row of an answer, borrowed while the statement stands on it.
pub struct Row<'r>(pub(crate) &'r rusqlite::Row<'r>);

impl Row<'_> {
    fn column(&self, column: usize) -> Result<rusqlite::types::ValueRef<'_>> {
        self.0.get_ref(column).map_err(|e| Error::Column {
            column,
            reason: e.to_string(),
        })
    }

    /// An integer; NULL is an error.
    pub fn i64(&self, column: usize) -> Result<i64> {
        self.opt_i64(column)?.ok_or_else(|| null(column))
    }

    /// An integer or NULL.
    pub fn opt_i64(&self, column: usize) -> Result<Option<i64>> {
        match self.column(column)? {
            rusqlite::types::ValueRef::Null => Ok(None),
            rusqlite::types::ValueRef::Integer(value) => Ok(Some(value)),
            other => Err(unexpected(column, "an integer", other)),
        }
    }

    /// An integer that must fit 32 bits unsigned.
    pub fn u32(&self, column: usize) -> Result<u32> {
        u32::try_from(self.i64(column)?).map_err(|e| Error::Column {
            column,
            reason: e.to_string(),
        })
    }

    /// An integer that must not be negative.
    pub fn u64(&self, column: usize) -> Result<u64> {
        u64::try_from(self.i64(column)?).map_err(|e| Error::Column {
            column,
            reason: e.to_string(),
        })
    }

    /// An integer as yes or no.
    pub fn bool(&self, column: usize) -> Result<bool> {
        Ok(self.i64(column)? != 0)
    }

    /// Text; NULL is an error.
    pub fn text(&self, column: usize) -> Result<&str> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// Text or NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>> {
        match self.column(column)? {
            rusqlite::types::ValueRef::Null => Ok(None),
            rusqlite::types::ValueRef::Text(bytes) => std::str::from_utf8(bytes).map(Some).map_err(|e| Error::Column {
                column,
                reason: e.to_string(),
            }),
            other => Err(unexpected(column, "text", other)),
        }
    }

    /// Bytes; NULL is an error.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        self.opt_blob(column)?.ok_or_else(|| null(column))
    }

    /// Bytes or NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>> {
        match self.column(column)? {
            rusqlite::types::ValueRef::Null => Ok(None),
            rusqlite::types::ValueRef::Blob(bytes) => Ok(Some(bytes)),
            other => Err(unexpected(column, "bytes", other)),
        }
    }
}

fn null(column: usize) -> Error {
    Error::Column {
        column,
        reason: "is NULL".into(),
    }
}

fn unexpected(column: usize, wanted: &str, found: rusqlite::types::ValueRef<'_>) -> Error {
    Error::Column {
        column,
        reason: format!("should hold {wanted}, holds {:?}", found.data_type()),
    }
}
