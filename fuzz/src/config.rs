//! The configuration file.

use std::path::PathBuf;
use std::sync::OnceLock;

use certgate::app;
use certgate::config::{Config, Dialect, Environment, Listen, Places, Source, TrustMode};

/// A file is refused with at least one problem that can be printed, or is a configuration that
/// keeps strangers out and that every room can use.
pub fn check(data: &[u8]) {
    let path = file();
    if let Err(error) = std::fs::write(path, data) {
        panic!("{}: {error}", path.display());
    }
    let places = Places { system: path.clone(), working: path.clone(), user: 0 };
    let loaded = match Config::load_from(None, &Environment::new(), &places) {
        Ok(loaded) => loaded,
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    let config = &loaded.config;
    let knows_caller = config.proxy.callers().trusted || config.proxy.callers().secret;
    if let Listen::Tcp(address) = &config.auth.listen {
        assert!(address.ip().to_canonical().is_loopback() || knows_caller);
    }
    if let Listen::Tcp(_) = &config.admin.listener.listen {
        assert!(config.proxy.callers().secret);
    }
    if config.proxy.headers.verify.is_none() {
        assert!(matches!(config.proxy.dialect, Dialect::Caddy | Dialect::Traefik));
        assert!(config.trust.mode == TrustMode::Own && knows_caller);
    }
    if config.identity.source == Source::Headers {
        assert!(config.revocation.crl.is_empty() && config.trust.mode == TrustMode::Proxy);
    }
    for warning in &loaded.warnings {
        assert!(!warning.to_string().is_empty());
    }
    assert!(!loaded.effective.is_empty());
    let _ = app::gate::reader(config);
    let _ = app::gate::policy(config);
    let _ = app::gate::settings(config);
    let _ = app::database_url(config);
}

/// One file for each process, in memory where there is such a folder.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        folder.join(format!("certgate-fuzz-{}.toml", std::process::id()))
    })
}
