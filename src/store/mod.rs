//! stub
use crate::directory::Rows;
#[derive(Debug, Clone)]
pub struct Store;
#[derive(Debug)]
pub struct Session;
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("x")]
    Interrupted,
}
#[derive(Debug)]
pub struct Snapshot {
    pub rows: Rows,
}
impl Session {
    pub async fn start(_: &Store) -> Result<Self, StoreError> {
        Ok(Self)
    }
    pub async fn load(&mut self) -> Result<Snapshot, StoreError> {
        Err(StoreError::Interrupted)
    }
    pub async fn changed(&mut self, _: std::time::Duration) -> Result<bool, StoreError> {
        Ok(false)
    }
}
