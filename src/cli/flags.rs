//! The settings that can be given on the command line. Their values are checked where all settings are.

use clap::Args;

use crate::config::{self, Key};

/// The settings of `serve`.
#[derive(Args, Debug, Default)]
pub(super) struct ServeFlags {
    #[command(flatten)]
    store: StoreFlags,
    /// Serve the API over HTTP here; port 0 takes a free one, `none` serves HTTPS only [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Serve /health, /ready and /metrics here
    #[arg(long, value_name = "ADDRESS")]
    ops_listen: Option<String>,
    /// What clients reach the API at [default: what each request was sent to]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Serve the API over HTTPS here, too
    #[arg(long, value_name = "ADDRESS")]
    tls_listen: Option<String>,
    /// The certificate and its intermediates (PEM), read again when they change
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// For development: make a certificate for localhost and the public URL's host
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    tls_self_signed: Option<String>,
    /// How many bytes of the store are kept in memory [default: 268435456]
    #[arg(long, value_name = "BYTES")]
    cache_bytes: Option<String>,
    /// How many connections are open at the same time [default: 8192]
    #[arg(long, value_name = "NUMBER")]
    max_connections: Option<String>,
    /// Also let webhooks and devices' push endpoints lead to these networks, which are not public; separated by commas
    #[arg(long, value_name = "NETWORKS")]
    outbound_allow: Option<String>,
}

/// The settings of every command that uses the store.
#[derive(Args, Debug, Default)]
pub(super) struct StoreFlags {
    /// The data directory [default: countersign-data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// The file with the master key [default: master.key in the data directory]
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<String>,
    /// off, error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

impl ServeFlags {
    /// What was given.
    pub(super) fn into_settings(self) -> Vec<(&'static Key, String)> {
        let mut settings = self.store.into_settings();
        settings.extend(given([
            (&config::LISTEN, self.listen),
            (&config::OPS_LISTEN, self.ops_listen),
            (&config::PUBLIC_URL, self.public_url),
            (&config::TLS_LISTEN, self.tls_listen),
            (&config::TLS_CERT, self.tls_cert),
            (&config::TLS_KEY, self.tls_key),
            (&config::TLS_SELF_SIGNED, self.tls_self_signed),
            (&config::CACHE_BYTES, self.cache_bytes),
            (&config::MAX_CONNECTIONS, self.max_connections),
            (&config::OUTBOUND_ALLOW, self.outbound_allow),
        ]));
        settings
    }
}

impl StoreFlags {
    /// What was given.
    pub(super) fn into_settings(self) -> Vec<(&'static Key, String)> {
        let flags = [
            (&config::DATA, self.data),
            (&config::CONFIG, self.config),
            (&config::MASTER_KEY_FILE, self.master_key_file),
            (&config::LOG, self.log),
        ];
        given(flags).collect()
    }
}

fn given<const N: usize>(
    flags: [(&'static Key, Option<String>); N],
) -> impl Iterator<Item = (&'static Key, String)> {
    flags.into_iter().filter_map(|(key, text)| Some((key, text?)))
}
