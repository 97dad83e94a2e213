//! What the store promises, on both databases, through its own functions and the stock shells.

mod feed;
mod integrity;
mod opening;
mod operators;
mod values;

/// Runs each case on both databases, as `postgres::name` and `sqlite::name`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod postgres {
            use crate::support::database::{Database, Kind};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Database::migrated(Kind::Postgres).await).await;
            })*
        }
        mod sqlite {
            use crate::support::database::{Database, Kind};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Database::migrated(Kind::Sqlite).await).await;
            })*
        }
    };
}
pub(crate) use on_both;
