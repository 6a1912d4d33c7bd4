//! One violation of each ban in `clippy.toml`. Compiled by `tests/lints.rs` alone; nothing here ever runs.
#![allow(unused, clippy::let_underscore_future, reason = "only the bans are of interest")]
use std::{fs, net, process, sync, thread, time::Duration};

fn unbounded() {
    let (_, _): (tokio::sync::mpsc::UnboundedSender<u8>, tokio::sync::mpsc::UnboundedReceiver<u8>) =
        tokio::sync::mpsc::unbounded_channel();
    let (sender, receiver) = std::sync::mpsc::channel::<u8>();
    let _ = receiver.recv();
    let _ = receiver.recv_timeout(Duration::ZERO);
    let _ = tokio::spawn(async {});
    let _ = tokio::task::spawn_local(async {});
    let _ = tokio::task::spawn_blocking(|| ());
    tokio::task::block_in_place(|| ());
    let _ = tokio::task::JoinSet::new().spawn(async {});
    let handle = tokio::runtime::Handle::current();
    let _ = handle.spawn(async {});
    let _ = handle.spawn_blocking(|| ());
    handle.block_on(async {});
    let runtime = tokio::runtime::Runtime::new().ok();
    if let Some(runtime) = runtime {
        let _ = runtime.spawn(async {});
        let _ = runtime.spawn_blocking(|| ());
    }
    let _ = thread::spawn(|| ()).join();
    let _ = thread::Builder::new().spawn(|| ());
}

fn lost(semaphore: sync::Arc<tokio::sync::Semaphore>) {
    semaphore.forget_permits(1);
    if let Ok(permit) = semaphore.try_acquire() {
        permit.forget();
    }
    if let Ok(permit) = sync::Arc::clone(&semaphore).try_acquire_owned() {
        permit.forget();
    }
    std::mem::forget(String::new());
    let _ = Box::leak(Box::new(1));
}

fn blocking(
    (sender, mut receiver): (tokio::sync::mpsc::Sender<u8>, tokio::sync::mpsc::Receiver<u8>),
    bounded: sync::mpsc::SyncSender<u8>,
) {
    thread::sleep(Duration::ZERO);
    let _ = bounded.send(1);
    let _ = receiver.blocking_recv();
    let _ = sender.blocking_send(1);
    let _ = fs::copy("a", "b");
    let _ = fs::create_dir("a");
    let _ = fs::create_dir_all("a");
    let _ = fs::metadata("a");
    let _ = fs::read("a");
    let _ = fs::read_dir("a");
    let _ = fs::read_to_string("a");
    let _ = fs::remove_dir_all("a");
    let _ = fs::remove_file("a");
    let _ = fs::rename("a", "b");
    let _ = fs::write("a", "b");
    let _ = fs::File::open("a");
    let _ = fs::OpenOptions::new();
    let _ = net::TcpStream::connect("a");
    let _ = net::ToSocketAddrs::to_socket_addrs("a");
    let _ = process::Command::new("a").output();
    let _ = process::Command::new("a").spawn();
    let _ = process::Command::new("a").status();
    process::exit(1);
}

fn unbounded_files() {
    let _ = tokio::fs::File::create("a");
    let _ = tokio::fs::File::open("a");
    let _ = tokio::fs::OpenOptions::new().open("a");
    let _ = tokio::fs::read("a");
    let _ = tokio::fs::read_to_string("a");
    let _ = tokio::fs::write("a", "b");
}

fn calls(endpoint: tonic::transport::Endpoint) {
    let _ = endpoint.connect();
    let _ = endpoint.http2_keep_alive_interval(Duration::ZERO);
    let _ = tonic::transport::Server::builder();
}

fn said() {
    print!("a");
    println!("a");
    eprint!("a");
    eprintln!("a");
    dbg!(1);
}

fn types(_: sync::Mutex<u8>, _: sync::RwLock<u8>, _: sync::Condvar, _: sync::Barrier) {}

async fn held(mutex: &sync::Mutex<u8>, span: tracing::Span) {
    let guard = mutex.lock().unwrap();
    let entered = span.enter();
    tokio::task::yield_now().await;
    drop((guard, entered));
}

async fn held_for_good(span: tracing::Span) {
    let entered = span.entered();
    tokio::task::yield_now().await;
    drop(entered);
}
