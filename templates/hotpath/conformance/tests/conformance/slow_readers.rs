//! Readers that are slow, and read on.
use crate::support::{MIB, PATIENCE, call, ended, eventually, framed, head, order, raw, start};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// 16 KiB every 120 ms: such a reader was cut after 3.4 s with its connection, and its call was counted OK. Its deadline is
/// its own here, and longer than that of the service.
#[tokio::test]
async fn a_steady_reader_gets_its_megabyte() {
    let server = start(&[("MAX_DEADLINE_MS", "300")]).await;
    let mut requests = raw(server.listen(), 65_535).await;
    let (response, mut body) = requests.send_request(head("Call", &[("grpc-timeout", "20S")]), false).unwrap();
    body.send_data(framed(&order("reply", MIB as u32 - 16)), true).unwrap();
    let mut reply = response.await.unwrap().into_body();
    let whole = async {
        let (mut bytes, mut taken) = (0, 0);
        while let Some(data) = reply.data().await {
            let data = data.unwrap();
            bytes += data.len();
            taken += data.len();
            reply.flow_control().release_capacity(data.len()).unwrap();
            if taken >= 16 << 10 {
                taken = 0;
                sleep(Duration::from_millis(120)).await;
            }
        }
        (bytes, reply.trailers().await.unwrap().unwrap())
    };
    let (bytes, trailers) = timeout(PATIENCE * 2, whole).await.expect("it ends");
    assert!(bytes > MIB as usize - 16, "{bytes}");
    assert_eq!(trailers["grpc-status"], "0");
    let admin = server.admin();
    eventually("it is counted", async || ended(admin, "Call", ("OK", "OK")).await == 1.0).await;
    server.stop(true).await;
}

/// What the caller saw is what is counted: a reply that was handed to the transport is not one that arrived.
#[tokio::test]
async fn a_reply_that_nobody_reads_is_reset_alone_and_counted_late() {
    let server = start(&[("MAX_DEADLINE_MS", "100")]).await;
    let mut requests = raw(server.listen(), 65_535).await;
    let (response, mut body) = requests.send_request(head("Call", &[]), false).unwrap();
    body.send_data(framed(&order("reply", 500_000)), true).unwrap();
    let mut reply = response.await.unwrap().into_body();
    let reset = async {
        while let Some(Ok(_)) = reply.data().await {}
        call(&mut requests, head("Call", &[]), &order("header none", 0)).await
    };
    let neighbour = timeout(PATIENCE, reset).await.expect("it is reset");
    assert_eq!(neighbour["grpc-status"], "3", "and the connection lives");
    let admin = server.admin();
    let late = ("DeadlineExceeded", "DEADLINE_EXCEEDED");
    eventually("it is counted", async || ended(admin, "Call", late).await == 1.0).await;
    assert_eq!(ended(admin, "Call", ("OK", "OK")).await, 0.0);
    server.stop(true).await;
}
