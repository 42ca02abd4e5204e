//! `emostream serve`: starts a node, says when it is ready, stops it on a signal.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, EXIT_FAILED, EXIT_OK, EXIT_USAGE, notify::Manager, say, say_error};
use crate::{
    config::{Config, Role},
    node::{Node, StartError, since_start},
    telemetry,
};

pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<u8> {
    since_start();
    let config = match args.load() {
        Ok(config) => config,
        Err(error) => {
            say_error(&error.to_string());
            return Ok(EXIT_USAGE);
        }
    };
    telemetry::init_logging();
    raise_file_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let code = runtime.block_on(serve(config))?;
    // What still blocks (a query of the past, say) must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(code)
}

async fn serve(config: Config) -> anyhow::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let roles: Vec<_> = config.effective_roles().into_iter().map(Role::name).collect();
    let node = match Node::start(config).await {
        Ok(node) => node,
        Err(StartError::Configuration(text)) => {
            say_error(&text);
            return Ok(EXIT_USAGE);
        }
        Err(StartError::Failed(error)) => return Err(error),
    };
    if let Some(admin) = node.app().control.as_ref().and_then(|control| control.take_first_admin()) {
        say(&format!(
            "admin password: {} (of the account {}, shown only now)",
            admin.password, admin.username
        ));
    }
    let addresses: Vec<_> = node.addresses().iter().map(|address| format!("http://{address}")).collect();
    say(&format!(
        "ready {} roles={} in {:.2} s",
        addresses.join(" "),
        roles.join(","),
        since_start().as_secs_f64()
    ));
    let manager = Manager::of_environment();
    manager.ready(&format!("serving {} on {}", roles.join(","), addresses.join(" ")));
    let code = tokio::select! {
        _ = terminate.recv() => EXIT_OK,
        _ = interrupt.recv() => EXIT_OK,
        failure = node.failed() => {
            say_error(&failure);
            EXIT_FAILED
        }
    };
    manager.stopping();
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        () = node.stop() => {}
        _ = terminate.recv() => tracing::warn!("stopped at once"),
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(code)
}

/// A viewer is a file descriptor: takes as many as the system grants.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "limit of open files not raised");
    }
}
