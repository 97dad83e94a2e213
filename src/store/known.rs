//! Reads the mappings alone, to tell beforehand what revocation lists will say of them.
//!
//! It writes nothing and judges nothing.

use super::read::{self, Sink as _};
use super::{LOAD_LIMIT, Store, StoreError, limited, on_either};
use crate::directory::row::{MappingRow, Row};

impl Store {
    /// Hands every mapping over, one after the other: there can be a million.
    pub async fn each_mapping(
        &self,
        mut each: impl FnMut(MappingRow) + Send,
    ) -> Result<(), StoreError> {
        let mut mapping = |row: Row| {
            if let Row::Mapping(row) = row {
                each(row);
            }
        };
        let work = async {
            on_either!(self, side => {
                let mut connection = side.pool.acquire().await?;
                read::read_table!(connection, read::MAPPINGS, read::mapping, mapping);
            });
            Ok(())
        };
        limited(self.url(), LOAD_LIMIT, work).await
    }
}
