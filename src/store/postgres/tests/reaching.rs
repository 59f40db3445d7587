//! Reaching the database: its tables, TLS, passwords.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::postgres_server::ClusterOptions;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_once_whoever_makes_them() {
    let cluster = or_return!(Cluster::shared());
    let database = cluster.database();
    let url = database.url();
    let error = open(&url).await.unwrap_err().to_string();
    assert!(error.contains("countersign store migrate"), "{error}");
    let address = address(&url);
    let made = join_all((0..8).map(|_| PostgresStore::migrate(&address))).await;
    let made: Result<Vec<Migrated>, StoreError> = made.into_iter().collect();
    let first = made
        .unwrap()
        .into_iter()
        .filter(|migrated| migrated.from == 0)
        .count();
    assert_eq!(first, 1);
    open(&url).await.unwrap().commit(put("key", "")).await.unwrap();
    PostgresStore::migrate(&address).await.unwrap();
    assert_eq!(
        value(&open(&url).await.unwrap(), "key").await.as_deref(),
        Some("")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_later_release_are_left_alone() {
    let database = or_return!(new_database().await);
    database.psql("UPDATE countersign_schema SET version = 99");
    let url = database.url();
    let refused = [
        open(&url).await.unwrap_err(),
        PostgresStore::migrate(&address(&url)).await.unwrap_err(),
    ];
    for error in refused {
        assert!(
            error.to_string().contains("use the release that made them"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_as_sslmode_says() {
    let options = ClusterOptions {
        tls: true,
        ..ClusterOptions::default()
    };
    let cluster = or_return!(Cluster::own(options));
    let database = cluster.database();
    let authority = cluster.authority().unwrap();
    let url = |host: &str, mode: &str, authority: Option<&std::path::Path>| {
        let port = cluster.address().port();
        let roots = authority.map_or_else(String::new, |path| format!("&sslrootcert={}", path.display()));
        format!(
            "postgres://postgres@{host}:{port}/{}?sslmode={mode}{roots}",
            database.name()
        )
    };
    let migrate = async |url: String| PostgresStore::migrate(&address(&url)).await.map(|_| ());
    let here = Some(authority.as_path());
    for (host, mode, authority) in [
        ("127.0.0.1", "require", None),
        ("127.0.0.1", "prefer", None),
        ("127.0.0.1", "verify-ca", here),
        ("localhost", "verify-ca", here),
        ("127.0.0.1", "require", here),
    ] {
        let outcome = migrate(url(host, mode, authority)).await;
        assert!(outcome.is_ok(), "{host} {mode}: {outcome:?}");
    }
    let verified = ["127.0.0.1", "localhost"].map(|host| migrate(url(host, "verify-full", here)));
    let verified = join_all(verified).await;
    assert!(
        verified.iter().any(Result::is_ok),
        "the certificate is for one of them: {verified:?}"
    );
    for (host, mode) in [
        // The server takes TLS only.
        ("127.0.0.1", "disable"),
        // Its authority is none that this machine trusts.
        ("127.0.0.1", "verify-ca"),
        ("127.0.0.1", "verify-full"),
        ("localhost", "verify-full"),
    ] {
        assert!(migrate(url(host, mode, None)).await.is_err(), "{host} {mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_taken_from_its_file() {
    let options = ClusterOptions {
        password: Some("pass:word"),
        ..ClusterOptions::default()
    };
    let cluster = or_return!(Cluster::own(options));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passwords");
    let port = cluster.address().port();
    fs::write(&file, format!("127.0.0.1:{port}:postgres:postgres:pass\\:word\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let refused = PostgresStore::migrate(&address(&url))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("password"), "{refused}");
    let named = address(&format!("{url}?passfile={}", file.display()));
    PostgresStore::migrate(&named).await.unwrap();
    let by_default = PostgresAddress::parse(&url, Some(file)).unwrap();
    PostgresStore::migrate(&by_default).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_that_takes_writes_is_found() {
    let database = or_return!(new_database().await);
    let port = database.address().port();
    // Nobody listens at the first one.
    let url = format!(
        "postgres://postgres@127.0.0.1:1,127.0.0.1:{port}/{}",
        database.name()
    );
    open(&url).await.unwrap().commit(put("key", "")).await.unwrap();
}
