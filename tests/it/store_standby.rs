//! Following a standby: it cannot notify, and a standby that is cut off from its primary answers
//! every look while it knows nothing.

use std::time::{Duration, Instant};

use certgate::store::{Open, Session, Store, StoreError};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::follower::Follow as _;
use super::support::shells::{Database, Which, run, standby_url};

/// Between two looks.
const POLL: Duration = Duration::from_millis(50);
/// Before a standby on this machine has to have caught up.
const LIMIT: Duration = Duration::from_secs(30);
/// Has the primary give a sign of life.
const BEAT: &str = "update feed set beat_at = beat_at - interval '1 hour'; select certgate_tend()";

/// Opens the standby's copy once the primary's schema has arrived there.
async fn arrived(database: &Database) -> Store {
    let deadline = Instant::now() + LIMIT;
    loop {
        match Store::open(&database.standby_url(), Open::Existing).await {
            Ok(store) => return store,
            Err(StoreError::DatabaseMissing { .. } | StoreError::SchemaMissing { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(Instant::now() < deadline, "the standby did not catch up");
        tokio::time::sleep(POLL).await;
    }
}

/// One test: a paused replay stops every database of that standby.
#[test]
fn a_standby_is_followed_and_is_not_current_while_it_hears_nothing() {
    run(Which::Postgres, async |database| {
        let mut session = Session::start(&arrived(database).await).await.unwrap();
        session.load().await.unwrap();

        // A change arrives without any notification.
        database.sql("insert into app_user (username) values ('alice')");
        let deadline = Instant::now() + LIMIT;
        while !session.changed(POLL).await.unwrap() {
            assert!(Instant::now() < deadline, "the change did not arrive");
        }
        assert_eq!(session.load().await.unwrap().users.len(), 1);

        // A primary's sign of life makes what was seen current.
        let asked = Instant::now();
        let deadline = asked + LIMIT;
        while session.looked_at() <= Some(asked) {
            assert!(Instant::now() < deadline, "the heartbeat did not arrive");
            database.sql(BEAT);
            if session.changed(POLL).await.unwrap() {
                session.load().await.unwrap();
            }
        }

        // Cut off, every look is answered and none is worth anything.
        let mut standby = PgConnection::connect(&standby_url()).await.unwrap();
        standby.execute("select pg_wal_replay_pause()").await.unwrap();
        let paused = "select pg_get_wal_replay_pause_state() = 'paused'";
        while !sqlx::query_scalar::<_, bool>(paused).fetch_one(&mut standby).await.unwrap() {
            tokio::time::sleep(POLL).await;
        }
        database.sql(BEAT);
        database.sql("update app_user set enabled = false");
        session.changed(POLL).await.unwrap();
        let last = session.looked_at();
        for _ in 0..5 {
            session.changed(POLL).await.unwrap();
            assert_eq!(session.looked_at(), last, "a look without a heartbeat says nothing");
        }

        standby.execute("select pg_wal_replay_resume()").await.unwrap();
        let deadline = Instant::now() + LIMIT;
        while !session.changed(POLL).await.unwrap() {
            assert!(Instant::now() < deadline, "the change did not arrive");
        }
        assert_eq!(session.load().await.unwrap().users[0].enabled, 0);
        while session.looked_at() <= last {
            assert!(Instant::now() < deadline, "the heartbeat did not arrive");
            database.sql(BEAT);
            session.changed(POLL).await.unwrap();
        }
    });
}
