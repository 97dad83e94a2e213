//! A field of a change: absent leaves it, null makes it empty, a value sets it.

use serde::{Deserialize, Deserializer};

use crate::store::Edit;

/// For `#[serde(default, deserialize_with = "edit::read")]`: it is asked only for a field that is
/// there.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Edit<String>, D::Error> {
    Ok(match Option::<String>::deserialize(deserializer)? {
        Some(value) => Edit::Set(value),
        None => Edit::Clear,
    })
}
