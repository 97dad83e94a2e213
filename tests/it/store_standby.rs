//! Following a standby: it cannot notify, and a standby that is cut off from its primary answers
//! every look while it knows nothing.

use std::time::{Duration, Instant};

use certgate::store::{Open, Session, Store, StoreError};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::database::{Database, Which, run, standby_url};

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

/// What the next look says, however long it takes to have something to say.
async fn next(session: &mut Session) -> bool {
    tokio::time::timeout(LIMIT, session.changed(POLL)).await.unwrap().unwrap()
}

/// One test: a paused replay stops every database of that standby.
#[test]
fn a_standby_is_followed_and_says_nothing_while_it_hears_nothing() {
    run(Which::Postgres, async |database| {
        let mut session = Session::start(&arrived(database).await).await.unwrap();
        session.load().await.unwrap();

        // A change arrives without any notification.
        database.sql("insert into app_user (username) values ('alice')");
        while !next(&mut session).await {}
        assert_eq!(session.load().await.unwrap().users.len(), 1);

        // Nothing new is said only after a sign of life.
        database.sql(BEAT);
        while next(&mut session).await {
            session.load().await.unwrap();
        }
        let mut standby = PgConnection::connect(&standby_url()).await.unwrap();
        standby.execute("select pg_wal_replay_pause()").await.unwrap();
        database.sql(BEAT);
        database.sql("update app_user set enabled = false");
        let cut_off = tokio::time::timeout(POLL * 20, async {
            // What had arrived before the pause may still be said once.
            for _ in 0..2 {
                session.changed(POLL).await.unwrap();
            }
        });
        assert!(
            cut_off.await.is_err(),
            "a standby that is cut off cannot know that nothing is new"
        );

        standby.execute("select pg_wal_replay_resume()").await.unwrap();
        while !next(&mut session).await {}
        assert_eq!(session.load().await.unwrap().users[0].enabled, 0);
    });
}
