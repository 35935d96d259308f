//! Servers in trouble: what becomes of questions meanwhile, and after.

use std::time::Duration;

use anyhow::{Result, ensure};
use lookups::database::{Settings, Tls};
use tests::databases::{Kind, Line, PASSWORD};
use tests::wait;

use crate::{Asked, settings, started};

/// Long enough for a busy machine to answer, short enough to wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(3);

const BOTH: [Kind; 2] = [Kind::Postgres, Kind::MariaDb];

fn is_outage(said: &str, part: &str) {
    assert!(said.starts_with("outage: ") && said.contains(part), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_is_asked_again() -> Result<()> {
    for kind in BOTH {
        let Some(mut database) = started(kind).await? else { continue };
        database.stop();
        let sql = database.asks(database.port, "SELECT 1 AS a", |_| {});
        let asked = Asked::new(&sql, &settings());
        is_outage(&asked.text(&[]).await, "refused");
        database.resume().await?;
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
        database.stop();
        is_outage(&asked.text(&[]).await, "");
        database.resume().await?;
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
        // A restart between two questions costs none of them.
        database.stop();
        database.resume().await?;
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let line = Line::to(database.port).await?;
        let settings = Settings { timeout: PATIENCE, ..settings() };
        let sql = database.asks(line.port, "SELECT 1 AS a", |_| {});
        let asked = Asked::new(&sql, &settings);
        line.set_dead(true);
        is_outage(&asked.text(&[]).await, "within 3s");
        line.set_dead(false);
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
        line.set_dead(true);
        is_outage(&asked.text(&[]).await, "within 3s");
        line.set_dead(false);
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_refused_is_an_outage_that_does_not_show_it() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let dialect = if kind == Kind::Postgres { "postgresql" } else { "mysql" };
        let sql = database.asks(database.port, "SELECT 1 AS a", |parameters| {
            parameters["database"][dialect]["password"] = "battery staple".into();
        });
        assert!(!format!("{sql:?}").contains("battery"));
        let asked = Asked::new(&sql, &settings());
        let said = asked.text(&[]).await;
        let part = if kind == Kind::Postgres { "password authentication" } else { "Access denied" };
        is_outage(&said, part);
        assert!(!said.contains("battery"), "{said}");
    }
    Ok(())
}

/// A statement that takes some time, and how the sessions that are at it are ended.
fn slow(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Postgres => (
            "SELECT pg_sleep(30)::text AS s, 1 AS a",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' \
             AND query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()",
        ),
        Kind::MariaDb => (
            "SELECT SLEEP(30) AS s, 1 AS a",
            "BEGIN NOT ATOMIC FOR one IN (SELECT id FROM information_schema.processlist \
             WHERE info LIKE '%SLEEP(30)%' AND id <> CONNECTION_ID()) \
             DO EXECUTE IMMEDIATE CONCAT('KILL ', one.id); END FOR; END",
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_killed_in_mid_query_is_an_outage() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let (statement, kill) = slow(kind);
        let settings = Settings { timeout: Duration::from_secs(25), ..settings() };
        let asked = Asked::new(&database.asks(database.port, statement, |_| {}), &settings);
        let killing = async {
            // Until nobody is at it any more: the question itself never takes so long.
            let mut pause = tokio::time::interval(Duration::from_millis(100));
            loop {
                pause.tick().await;
                // It may be gone between being found and being killed.
                let _ = database.admin(kill).await;
            }
        };
        tokio::select! {
            said = asked.text(&[]) => is_outage(&said, ""),
            () = killing => unreachable!("it kills until there is an answer"),
        }
        let asked = Asked::new(&database.asks(database.port, "SELECT 1 AS a", |_| {}), &settings);
        assert_eq!(asked.text(&[]).await, r#"{"a":1}"#);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_result_fails_the_question_and_holds_nobody_up() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let statement = match kind {
            Kind::Postgres => "SELECT n, repeat('x', 100) AS x FROM generate_series(1, 100000) n",
            Kind::MariaDb => "SELECT seq AS n, REPEAT('x', 100) AS x FROM seq_1_to_100000",
        };
        let sql = database.asks(database.port, statement, |_| {});
        let asked = Asked::new(&sql, &settings());
        let too_much = "failed: SQL Query Enrichment: the result has more than 100 rows";
        for _ in 0..3 {
            assert_eq!(asked.text(&[]).await, too_much);
        }
        let one = database.asks(database.port, statement, |parameters| {
            parameters["output"]["expectedRows"] = "AT_MOST_ONE".into();
        });
        let asked = Asked::new(&one, &settings());
        let expected = "failed: SQL Query Enrichment: at most one row was expected";
        for _ in 0..3 {
            assert_eq!(asked.text(&[]).await, expected);
        }
        let wide = match kind {
            Kind::Postgres => "SELECT repeat('x', 70000) AS x",
            Kind::MariaDb => "SELECT REPEAT('x', 70000) AS x",
        };
        let asked = Asked::new(&database.asks(database.port, wide, |_| {}), &settings());
        let said = asked.text(&[]).await;
        assert!(said.starts_with("failed: ") && said.contains("bytes"), "{said:.200}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused_unless_told_otherwise() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let (dialect, encrypted) = match kind {
            Kind::Postgres => {
                ("postgresql", "SELECT ssl AS s FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            }
            Kind::MariaDb => (
                "mysql",
                "SELECT variable_value <> '' AS s FROM information_schema.session_status \
                 WHERE variable_name = 'ssl_cipher'",
            ),
        };
        let sql = |must: bool| {
            database.asks(database.port, encrypted, |parameters| {
                parameters["database"][dialect]["sslMode"] = must.into();
            })
        };
        let is_encrypted = |said: &str| said == r#"{"s":true}"# || said == r#"{"s":1}"#;
        let verified = Asked::new(&sql(true), &settings());
        is_outage(&verified.text(&[]).await, "certificate");
        let unverified = Settings { tls: Tls::Unverified, ..settings() };
        let said = Asked::new(&sql(true), &unverified).text(&[]).await;
        assert!(is_encrypted(&said), "{said}");
        let trusting = Settings { authorities: Some(database.authority()), ..settings() };
        let said = Asked::new(&sql(true), &trusting).text(&[]).await;
        assert!(is_encrypted(&said), "{said}");
        // Where it is no must it is used all the same.
        let said = Asked::new(&sql(false), &settings()).text(&[]).await;
        assert!(is_encrypted(&said), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_connections_are_opened_than_allowed() -> Result<()> {
    for kind in BOTH {
        let Some(database) = started(kind).await? else { continue };
        let (count, statement) = match kind {
            Kind::Postgres => (
                "SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'enr'",
                "SELECT pg_sleep(0.05)::text AS s",
            ),
            Kind::MariaDb => (
                "SELECT count(*) AS n FROM information_schema.processlist WHERE user = 'enr'",
                "SELECT SLEEP(0.05) AS s",
            ),
        };
        let asked = Asked::new(&database.asks(database.port, statement, |_| {}), &settings());
        let many: Vec<_> = (0..20).map(|_| asked.text(&[])).collect();
        let said = futures_util::future::join_all(many).await;
        ensure!(said.iter().all(|said| said.starts_with('{')), "{said:?}");
        // The two of the pool, and the one that counts.
        let counting = Asked::new(&database.asks(database.port, count, |_| {}), &settings());
        wait::until("three connections", Duration::from_secs(10), async || {
            let said = counting.text(&[]).await;
            Ok((said == r#"{"n":3}"#).then_some(()))
        })
        .await?;
    }
    Ok(())
}
