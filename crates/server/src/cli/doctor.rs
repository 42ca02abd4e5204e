//! `emostream doctor`: what is wrong with an installation, and what to do about it.

use anyhow::Context;
use clap::Args;

use self::report::Report;
use super::{ConfigArgs, EXIT_FAILED, EXIT_OK};
use crate::config::{Config, LogKind, Role};

#[cfg(feature = "kafka")]
mod brokers;
mod control;
mod files;
mod machine;
#[cfg(feature = "kafka")]
mod permissions;
mod ports;
mod report;

/// Arguments of `emostream doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// One JSON object a check: "check", "state" (fine, doubt, wrong), "text", "advice".
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Looks at everything that the roles of this node need; changes nothing that matters to anybody.
pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<u8> {
    let mut report = Report::new(args.json);
    match args.config.load() {
        Err(error) => {
            for line in error.to_string().lines() {
                report.wrong(
                    "configuration",
                    line,
                    "correct it; emostream check-config prints what is in force",
                );
            }
        }
        Ok(config) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("start the runtime")?;
            examine(&config, &runtime, &mut report);
        }
    }
    Ok(if report.has_wrong() { EXIT_FAILED } else { EXIT_OK })
}

fn examine(config: &Config, runtime: &tokio::runtime::Runtime, report: &mut Report) {
    configuration(config, report);
    machine::data_dir(config, report);
    machine::open_files(config, report);
    ports::listen(config, report);
    if config.effective_roles().contains(&Role::Control) {
        runtime.block_on(control::store(config, report));
    } else {
        runtime.block_on(control::reach(config, report));
    }
    match config.log.kind {
        LogKind::Embedded => files::log(config, report),
        LogKind::Kafka => {
            files::spool(config, report);
            #[cfg(feature = "kafka")]
            brokers::examine(config, report);
        }
    }
}

fn configuration(config: &Config, report: &mut Report) {
    let roles: Vec<_> = config.effective_roles().into_iter().map(Role::name).collect();
    let log = match config.log.kind {
        LogKind::Embedded => format!("log in {}", config.data_dir.display()),
        LogKind::Kafka => format!("log on {}", config.kafka.bootstrap_servers),
    };
    report.fine("configuration", &format!("roles {}, {log}", roles.join(", ")));
}
