//! Device leases on both databases: reserved, opened and closed in groups, beside a bare insert of the same rows.

use std::{fs, time::Instant};

use anyhow::{Context, Result, ensure};
use emostream_protocol::placement::EdgeReport;
use emostream_store::{
    LeaseTimes, NewLease, NewUser, Reserved, Role, Store, StoreOptions, TierLimits, UserId,
};
use sqlx::Connection;
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::{
    cases::Bench,
    floor::leases::BareLeases,
    measure::database::Database,
    report::{Figure, Row, Series},
};

const ROUNDS: usize = 5;
/// Leases of one transaction.
const GROUPS: [usize; 3] = [1, 16, 128];
/// Transactions of one run for each of the three operations.
const CYCLES: usize = 200;
const NOW_US: i64 = 1_790_000_000_000_000;
const EDGE: &str = "edge-1";
/// The database that is made on a server of the benchmark's own.
const DATABASE: &str = "emostream_bench_leases";

/// What one run goes through.
struct Rig {
    store: Store,
    bare: BareLeases,
    limits: TierLimits,
    users: Vec<UserId>,
    report: EdgeReport,
    ids: u128,
}

pub(in crate::cases) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let folder = bench.scratch.join("leases");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let url = format!("sqlite://{}", folder.join("store.db").display());
    let mut rows = runtime.block_on(database(bench, "SQLite", &url, &format!("{url}.bare")))?;
    fs::remove_dir_all(&folder)?;
    let server = Database::start(bench.cores)?;
    let made = format!("CREATE DATABASE {DATABASE}");
    runtime.block_on(administer(&server.url, &made))?;
    let url = format!("{}/{DATABASE}", server.url);
    rows.extend(runtime.block_on(database(bench, "PostgreSQL", &url, &url))?);
    Ok(rows)
}

async fn administer(server: &str, statement: &str) -> Result<()> {
    let mut admin = sqlx::PgConnection::connect(&format!("{server}/postgres")).await?;
    // Put together from constants.
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    sqlx::raw_sql(statement).execute(&mut admin).await.context("prepare PostgreSQL")?;
    Ok(admin.close().await?)
}

/// All groups on one database; store and floor take turns.
async fn database(bench: &Bench, name: &str, url: &str, bare: &str) -> Result<Vec<Row>> {
    let mut rig = Rig::open(url, bare).await?;
    let cycles = if bench.quick { CYCLES / 10 } else { CYCLES };
    let mut rows = Vec::new();
    for group in GROUPS {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds(ROUNDS) {
            let began = Instant::now();
            for _ in 0..cycles {
                rig.cycle(group).await?;
            }
            ours.push((3 * cycles * group) as f64 / began.elapsed().as_secs_f64());
            let began = Instant::now();
            for _ in 0..cycles {
                let leases = rig.leases(group);
                rig.bare.insert(&leases, NOW_US).await?;
            }
            floor.push((cycles * group) as f64 / began.elapsed().as_secs_f64());
        }
        rows.push(row(name, group, ours, floor));
    }
    rig.store.close().await;
    rig.bare.close().await?;
    Ok(rows)
}

impl Rig {
    async fn open(url: &str, bare: &str) -> Result<Self> {
        let store = Store::open(url, &StoreOptions::default()).await?;
        let mut users = Vec::new();
        for number in 0..GROUPS[GROUPS.len() - 1] {
            let id = UserId::from_bytes((number as u128 + 1).to_be_bytes());
            let (name, role) = (format!("user {number}"), Role::Viewer);
            let user = NewUser { id, name, role, password_hash: "$".into(), tier: Some(3) };
            users.push(store.create_user(&user, NOW_US).await?.id);
        }
        let report = EdgeReport {
            edge: EDGE.into(),
            cluster: "west".into(),
            url: String::new(),
            port: 3005,
            capacity: 1_000,
            generation: Uuid::from_u128(7),
            number: 1,
            viewers: 0,
            is_leaving: false,
            opened: Vec::new(),
            closed: Vec::new(),
            held: Some(Vec::new()),
        };
        let (limits, bare) = (TierLimits::new(&[(3, 1)], 1)?, BareLeases::open(bare).await?);
        let mut rig = Self { store, bare, limits, users, report, ids: 0 };
        rig.report(Vec::new(), Vec::new()).await?;
        rig.report.held = None;
        Ok(rig)
    }

    fn leases(&mut self, group: usize) -> Vec<NewLease> {
        let users = self.users.iter().take(group);
        let lease = |user: &UserId| {
            self.ids += 1;
            // Random ids lie all over an index, and so do these.
            let id = Uuid::from_u128(self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
            NewLease {
                id,
                user: *user,
                device_id: "a browser's random id".into(),
                device_name: "Firefox on Linux".into(),
                edge: EDGE.into(),
                generation: self.report.generation,
                ends: None,
            }
        };
        users.map(lease).collect()
    }

    /// Devices come and go: three operations for each, in three transactions.
    async fn cycle(&mut self, group: usize) -> Result<()> {
        let leases = self.leases(group);
        let reserved = self.store.reserve_leases(&leases, &self.limits, &times()).await?;
        let all = reserved.iter().all(|reserved| *reserved == Reserved::Granted { replaced: Vec::new() });
        ensure!(all, "somebody was refused: {reserved:?}");
        let ids: Vec<_> = leases.iter().map(|lease| lease.id).collect();
        self.report(ids.clone(), Vec::new()).await?;
        self.report(Vec::new(), ids).await
    }

    async fn report(&mut self, opened: Vec<Uuid>, closed: Vec<Uuid>) -> Result<()> {
        self.report.number += 1;
        (self.report.opened, self.report.closed) = (opened, closed);
        let orders = self.store.take_report(&self.report, &self.limits, &times()).await?;
        ensure!(orders.close.is_empty() && !orders.report_all, "expected no orders: {orders:?}");
        Ok(())
    }
}

fn times() -> LeaseTimes {
    LeaseTimes { now_us: NOW_US, ttl_us: 10_000_000, grace_from_us: NOW_US, ticket_us: 30_000_000 }
}

fn row(database: &str, group: usize, ours: Vec<f64>, floor: Vec<f64>) -> Row {
    let series = vec![
        Series::new("store: reserve, open, close", "operations/s", ours),
        Series::new("sqlx: insert and commit", "rows/s", floor),
    ];
    Row {
        what: format!("leases in groups of {group}, {database}"),
        against: "a bare insert of the same rows through sqlx, a transaction a group; time an operation"
            .to_owned(),
        aim: String::new(),
        result: Figure::times(series[1].median / series[0].median),
        met: None,
        series,
        notes: vec![format!(
            "A group is one transaction for each of the three operations, as control makes them of what comes while the \
             last one is written. {}",
            match database {
                "SQLite" => "WAL, `synchronous = FULL`.",
                _ => "A server on the same machine, on another core, which syncs what it commits.",
            }
        )],
    }
}
