//! Over TLS: which certificates are believed, and HTTP/2 with all the ways in which it ends a stream.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, version};
use tokio_rustls::server::TlsStream;

use super::*;
use crate::verdict::Blame;

/// Somebody who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// What a server shows that this authority vouches for, under this name, with this last year.
    fn vouches(&self, name: &str, until: i32, protocol: &[u8]) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(&[&version::TLS13]).unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    fn right(&self, protocol: &[u8]) -> ServerConfig {
        self.vouches("127.0.0.1", 4000, protocol)
    }
}

/// A client that trusts this authority besides the system's.
fn client(address: SocketAddr, trusted: Option<&Authority>, patience: Patience) -> Client {
    let url = format!("https://{address}/app/v1/").parse().unwrap();
    let options = Options { ca_file_pem: trusted.map(Authority::pem), ..options(url, patience.clone()) };
    let tokens = Tokens::new(Source::Fixed(Secret::new(TOKEN).unwrap()), patience);
    Client::new(options, tokens).unwrap()
}

fn told() -> String {
    json!({ "folder_id": folder().to_string(), "name": "studio" }).to_string()
}

/// A server that answers every request with the folder, and shows what `shown` holds at the time. It notes what it hears.
async fn showing(shown: Arc<Mutex<ServerConfig>>) -> (Server, SocketAddr, Seen<String>) {
    let seen = Seen::new();
    let noted = seen.clone();
    let server = Server::with(async move |listener| {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(shown.lock().unwrap().clone()));
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_buf(&mut head).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            if !head.is_empty() {
                noted.note(String::from_utf8(head).unwrap());
            }
            let told = told();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{told}",
                told.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let address = address_of(&server);
    (server, address, seen)
}

fn address_of(server: &Server) -> SocketAddr {
    format!("127.0.0.1:{}", server.url.port().unwrap()).parse().unwrap()
}

#[tokio::test]
async fn h22_only_a_certificate_for_this_name_and_day_from_a_trusted_authority_gets_a_token_to_see() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    for (config, trusted, fine) in [
        (ours.right(b"http/1.1"), Some(&ours), true),
        (ours.right(b"http/1.1"), None, false),
        (stranger.right(b"http/1.1"), Some(&ours), false),
        (ours.vouches("elsewhere.invalid", 4000, b"http/1.1"), Some(&ours), false),
        (ours.vouches("127.0.0.1", 2021, b"http/1.1"), Some(&ours), false),
    ] {
        let (_server, address, seen) = showing(Arc::new(Mutex::new(config))).await;
        let found = client(address, trusted, patience()).folder(folder()).await;
        assert_eq!(found.is_ok(), fine, "{found:?}");
        let heard = seen.take();
        match found {
            Ok(_) => assert!(heard[0].contains(TOKEN)),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("certificate") && said.contains("ca_file"), "{said}");
                assert_eq!((error.blame(), heard), (Blame::Cloud, vec![]), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn h23_a_portal_that_breaks_into_the_connection_is_the_clouds_trouble_and_over_when_it_is_gone() {
    let (ours, portal) = (Authority::new(), Authority::new());
    let shown = Arc::new(Mutex::new(portal.right(b"http/1.1")));
    let (_server, address, seen) = showing(shown.clone()).await;
    let client = client(address, Some(&ours), patience());
    for _ in 0..2 {
        assert_eq!(client.folder(folder()).await.unwrap_err().blame(), Blame::Cloud, "so it is tried again");
    }
    assert_eq!(seen.take(), Vec::<String>::new());
    *shown.lock().unwrap() = ours.right(b"http/1.1");
    client.folder(folder()).await.unwrap();
    assert_eq!(seen.take().len(), 1);
}

type Connection = h2::server::Connection<TlsStream<TcpStream>, Bytes>;
type Respond = h2::server::SendResponse<Bytes>;

async fn next(listener: &TcpListener, acceptor: &TlsAcceptor) -> Connection {
    let (socket, _) = listener.accept().await.unwrap();
    h2::server::handshake(acceptor.accept(socket).await.unwrap()).await.unwrap()
}

/// A server that does with the first request of its first connection what a test wants, and answers all others.
async fn speaking_h2(
    authority: &Authority,
    first: First,
) -> (Server, SocketAddr, Seen<(usize, axum::http::Version)>) {
    let acceptor = TlsAcceptor::from(Arc::new(authority.right(b"h2")));
    let seen = Seen::new();
    let noted = seen.clone();
    let server = Server::with(async move |listener| {
        let mut tasks = JoinSet::new();
        for nth in 0.. {
            let mut connection = next(&listener, &acceptor).await;
            let noted = noted.clone();
            tasks.spawn(async move {
                let mut is_first = nth == 0;
                while let Some(Ok((request, respond))) = connection.accept().await {
                    noted.note((nth, request.version()));
                    if !std::mem::take(&mut is_first) {
                        answer(respond, 200);
                        continue;
                    }
                    first.act(&mut connection, request.into_body(), respond).await;
                }
            });
        }
    })
    .await;
    let address = address_of(&server);
    (server, address, seen)
}

fn answer(mut respond: Respond, status: u16) {
    let head = axum::http::Response::builder().status(status).body(()).unwrap();
    let mut body = respond.send_response(head, false).unwrap();
    body.send_data(told().into(), true).unwrap();
}

/// What becomes of the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Answered,
    /// Refused with 413 before the body is read.
    RefusedEarly,
    /// The stream is reset at once, with this reason.
    Reset(h2::Reason),
    /// The whole body is read, then the stream is reset.
    ReadAndReset(h2::Reason),
    /// The whole body is read, then the connection ends.
    ReadAndGone,
    /// It is answered, and no other will be on this connection.
    AnsweredAndLast,
    /// It is answered, and nothing more is heard.
    AnsweredAndMute,
}

impl First {
    async fn act(self, connection: &mut Connection, mut body: h2::RecvStream, mut respond: Respond) {
        if matches!(self, Self::ReadAndReset(_) | Self::ReadAndGone) {
            let read = async {
                while let Some(Ok(piece)) = body.data().await {
                    body.flow_control().release_capacity(piece.len()).unwrap();
                }
            };
            tokio::select! {
                () = read => {}
                other = connection.accept() => panic!("one request was awaited: {}", other.is_some()),
            }
        }
        match self {
            Self::Answered => answer(respond, 200),
            Self::RefusedEarly => answer(respond, 413),
            Self::Reset(reason) | Self::ReadAndReset(reason) => respond.send_reset(reason),
            Self::ReadAndGone => connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR),
            Self::AnsweredAndLast => {
                answer(respond, 200);
                connection.graceful_shutdown();
            }
            Self::AnsweredAndMute => {
                answer(respond, 200);
                // Lets the answer out, and what comes to it from then on is never read.
                let _ = tokio::time::timeout(Duration::from_millis(50), connection.accept()).await;
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A parcel whose end comes, or never does.
fn parcel(whole: &[u8], has_end: End) -> Parcel {
    let bytes = stream::iter([Ok(Bytes::copy_from_slice(whole))]);
    let (body, length) = match has_end {
        End::Comes => (bytes.boxed(), whole.len()),
        End::Never => (bytes.chain(stream::pending()).boxed(), whole.len() + 1),
    };
    let length = length as u64;
    Parcel { parts: vec![ParcelPart { name: PartName::from_text("a.fbx").unwrap(), length, body }] }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Comes,
    Never,
}

#[tokio::test]
async fn h25_http_2_is_spoken_where_the_server_offers_it() {
    let ours = Authority::new();
    let (_server, address, seen) = speaking_h2(&ours, First::Answered).await;
    let client = client(address, Some(&ours), patience());
    client.folder(folder()).await.unwrap();
    client.folder(folder()).await.unwrap();
    assert_eq!(seen.take(), [(0, axum::http::Version::HTTP_2); 2], "over one connection");
}

#[tokio::test]
async fn h25_an_upload_whose_stream_was_reset_was_not_taken_if_its_end_was_not_sent_and_is_a_question_otherwise()
 {
    use h2::Reason;
    let ours = Authority::new();
    for (first, end, taken) in [
        (First::Reset(Reason::REFUSED_STREAM), End::Never, "not taken"),
        (First::Reset(Reason::INTERNAL_ERROR), End::Never, "not taken"),
        (First::RefusedEarly, End::Never, "not taken"),
        (First::ReadAndReset(Reason::INTERNAL_ERROR), End::Comes, "unknown"),
        (First::ReadAndReset(Reason::CANCEL), End::Comes, "unknown"),
        (First::ReadAndGone, End::Comes, "unknown"),
    ] {
        let (_server, address, seen) = speaking_h2(&ours, first).await;
        let client = client(address, Some(&ours), patience());
        let told = match client.upload(folder(), parcel(b"hello", end)).await.unwrap_err() {
            UploadError::Unknown(error) => {
                assert_eq!(error.blame(), Blame::Cloud, "{error}");
                "unknown"
            }
            UploadError::NotTaken(error) => {
                assert_eq!(error.status(), (first == First::RefusedEarly).then_some(413), "{error}");
                "not taken"
            }
        };
        assert_eq!(told, taken, "{first:?}");
        assert_eq!(seen.take().len(), 1, "{first:?}: nothing is sent again by itself");
        client.folder(folder()).await.unwrap();
    }
}

#[tokio::test]
async fn h25_after_a_goaway_the_next_request_takes_a_new_connection() {
    let ours = Authority::new();
    let (_server, address, seen) = speaking_h2(&ours, First::AnsweredAndLast).await;
    let client = client(address, Some(&ours), patience());
    client.folder(folder()).await.unwrap();
    let mut failures = 0;
    while client.folder(folder()).await.is_err() {
        failures += 1;
        assert!(failures < 3);
    }
    assert_eq!(seen.take().last().unwrap().0, 1);
}

#[tokio::test]
async fn h27_a_connection_of_http_2_that_fell_silent_is_replaced() {
    let ours = Authority::new();
    let (_server, address, seen) = speaking_h2(&ours, First::AnsweredAndMute).await;
    let short = Duration::from_millis(250);
    let waits =
        Patience { stall_timeout: short, answer_timeout: short, request_timeout: short, ..patience() };
    let client = client(address, Some(&ours), waits);
    client.folder(folder()).await.unwrap();
    let mut failures = 0;
    while let Err(error) = client.folder(folder()).await {
        assert_eq!(error.blame(), Blame::Cloud, "{error}");
        failures += 1;
        assert!(failures < 20, "it is asked again and again over a dead connection");
    }
    assert_eq!(seen.take().last().unwrap().0, 1);
}
