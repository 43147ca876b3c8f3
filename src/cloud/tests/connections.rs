//! Connections that are not made, die, dribble or lie: each costs one error of the cloud, and the next request a new connection.

use std::io::Write as _;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::verdict::Blame;

fn short() -> Patience {
    let short = Duration::from_millis(250);
    Patience { request_timeout: short, answer_timeout: short, connect_timeout: short, ..patience() }
}

fn client_to(url: &str) -> Client {
    let tokens = Tokens::new(Source::Fixed(Secret::new(TOKEN).unwrap()), patience());
    Client::new(options(url.parse().unwrap(), short()), tokens).unwrap()
}

fn parcel() -> Parcel {
    let body = stream::iter([Ok(Bytes::from_static(b"hello"))]).boxed();
    Parcel { parts: vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length: 5, body }] }
}

/// What is answered to a question for the folder, by this name.
fn told(name: &str) -> String {
    json!({ "folder_id": folder().to_string(), "name": name }).to_string()
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn h1_a_name_that_cannot_be_resolved_is_the_clouds_trouble() {
    let error = client_to("https://cloud.invalid/app/v1/").folder(folder()).await.unwrap_err();
    assert_eq!((error.blame(), error.status()), (Blame::Cloud, None), "{error}");
    assert!(!error.to_string().contains(TOKEN), "{error}");
}

#[tokio::test]
async fn h2_a_connection_that_is_refused_or_swallowed_is_the_clouds_trouble_and_an_upload_was_not_taken() {
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // A queue that is full and never emptied: the kernel lets further connections wait.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(waiting)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(deaf.local_addr().unwrap())).await
    {
        queue.push(waiting);
    }
    for address in [refusing, deaf.local_addr().unwrap()] {
        let client = client_to(&format!("http://{address}/app/v1/"));
        let error = client.folder(folder()).await.unwrap_err();
        assert_eq!((error.blame(), error.status()), (Blame::Cloud, None), "{error}");
        match client.upload(folder(), parcel()).await.unwrap_err() {
            UploadError::NotTaken(error) => assert_eq!(error.blame(), Blame::Cloud, "{error}"),
            UploadError::Unknown(error) => panic!("nothing left this machine: {error}"),
        }
    }
}

#[tokio::test]
async fn h6_an_answer_that_comes_byte_by_byte_ends_the_wait_and_leaves_a_question() {
    for prefix in ["", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"] {
        let server = Server::with(async move |listener| {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_until(&mut socket, b"--\r\n").await;
            socket.write_all(prefix.as_bytes()).await.unwrap();
            let mut beat = tokio::time::interval(Duration::from_millis(20));
            let dribble = b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'y'));
            for byte in dribble {
                beat.tick().await;
                if socket.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        })
        .await;
        let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), short());
        let error = client.upload(folder(), parcel()).await.unwrap_err();
        assert!(matches!(&error, UploadError::Unknown(error) if error.blame() == Blame::Cloud), "{error}");
    }
}

#[tokio::test]
async fn h19_a_packed_answer_is_neither_asked_for_nor_unpacked() {
    let seen = Seen::new();
    let noted = seen.clone();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(told("studio").as_bytes()).unwrap();
    for _ in 0..64 {
        packer.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 200_000, "it would fit below the cap");
    let server = Server::new(Router::new().fallback(async move |headers: HeaderMap| {
        noted.note(headers.contains_key("accept-encoding"));
        ([("content-encoding", "gzip"), ("content-type", "application/json")], bomb.clone()).into_response()
    }))
    .await;
    let error = server.client().folder(folder()).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Cloud, "{error}");
    assert_eq!(seen.take(), [false]);
}

/// A server whose first connection does `lie` after a request, and whose others answer well. It notes on which connection a
/// request came.
async fn lying_once(lie: String, then_closes: bool) -> (Server, Seen<usize>) {
    let seen = Seen::new();
    let noted = seen.clone();
    let server = Server::with(async move |listener| {
        let mut open = Vec::new();
        for nth in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_until(&mut socket, b"\r\n\r\n").await;
            noted.note(nth);
            let text = if nth == 0 { lie.clone() } else { answer(&told("right")) };
            // Whoever hangs up in the middle of a lie is right.
            let _ = socket.write_all(text.as_bytes()).await;
            if nth > 0 || !then_closes {
                open.push(socket);
            }
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn h26_a_connection_whose_exchange_broke_is_not_used_again() {
    let half = answer(&told("right"));
    let half = half[..half.len() - 10].to_owned();
    for (lie, then_closes) in [
        (half.clone(), true),
        (half, false),
        (answer(&"x".repeat(2 << 20)), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n{}".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 50\r\n\r\n{}".to_owned(), false),
        ("220 mail.invalid ESMTP\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(), false),
    ] {
        let (server, seen) = lying_once(lie.clone(), then_closes).await;
        let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), short());
        let what = &lie[..lie.len().min(60)];
        let error = client.folder(folder()).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Cloud, "{what:?}: {error}");
        assert_eq!(client.folder(folder()).await.unwrap().name, "right", "{what:?}");
        assert_eq!(seen.take(), [0, 1], "{what:?}");
    }
}

#[tokio::test]
async fn h26_an_answer_that_nobody_asked_for_is_never_taken_for_that_of_the_next_request() {
    let smuggled = answer(&told("first")) + &answer(&told("smuggled"));
    let (server, seen) = lying_once(smuggled, false).await;
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), short());
    assert_eq!(client.folder(folder()).await.unwrap().name, "first");
    let mut second = client.folder(folder()).await;
    if second.is_err() {
        second = client.folder(folder()).await;
    }
    assert_eq!(second.unwrap().name, "right");
    assert_eq!(seen.take(), [0, 1]);
}

#[tokio::test]
async fn h27_a_connection_that_fell_silent_costs_one_request_and_is_replaced() {
    // It answers once, stays open and says no more: what a changed address looks like from here.
    let (server, seen) = lying_once(answer(&told("first")), false).await;
    let client = server.client_with(Source::Fixed(Secret::new(TOKEN).unwrap()), short());
    assert_eq!(client.folder(folder()).await.unwrap().name, "first");
    assert_eq!(client.folder(folder()).await.unwrap_err().blame(), Blame::Cloud);
    assert_eq!(client.folder(folder()).await.unwrap().name, "right");
    assert_eq!(seen.take(), [0, 1]);
}
