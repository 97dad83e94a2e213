//! Following a store by hand.

use std::time::Duration;

use certgate::store::{Session, StoreError};

/// A session that is asked now and then.
pub(crate) trait Follow {
    /// Waits for a notification, or this long, and looks: whether anything is new.
    async fn changed(&mut self, limit: Duration) -> Result<bool, StoreError>;
}

impl Follow for Session {
    async fn changed(&mut self, limit: Duration) -> Result<bool, StoreError> {
        self.wait(limit).await?;
        Ok(self.look().await?.is_news())
    }
}
