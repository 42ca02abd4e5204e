//! What `serve` tells the service manager that started it.

use std::{
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
};

use crate::harness::{
    PATIENCE, new_id,
    process::{Process, command},
};

/// Starts a node that tells a socket, and stops it; what it has told.
fn told(manager: &UnixDatagram, name: &str, data: &Path) -> Vec<String> {
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut program = command();
    program.env("NOTIFY_SOCKET", name);
    program.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data);
    let server = Process::spawn(program).ready().unwrap();
    let hear = || {
        let mut buffer = [0; 1024];
        let bytes = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    };
    let mut told = vec![hear()];
    assert_eq!(server.stop().code, Some(0));
    told.push(hear());
    told
}

#[test]
fn the_service_manager_is_told_when_it_serves_and_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let name = format!("emostream-test-{}", new_id());
    let nameless = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let sockets = [(manager, path.to_str().unwrap().to_owned()), (nameless, format!("@{name}"))];
    for (number, (manager, name)) in sockets.iter().enumerate() {
        let told = told(manager, name, &dir.path().join(number.to_string()));
        assert!(told[0].starts_with("READY=1\nSTATUS=serving ingest,"), "{told:?}");
        assert!(told[1].starts_with("STOPPING=1\n"), "{told:?}");
    }
}

#[test]
fn a_node_serves_although_nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = command();
    program.env("NOTIFY_SOCKET", dir.path().join("nobody"));
    program.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir.path().join("data"));
    let ended = Process::spawn(program).ready().unwrap().stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.contains("the service manager is not told"), "{ended:?}");
}
