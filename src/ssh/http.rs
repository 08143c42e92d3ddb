//! One HTTP request over a channel to a service's RPC.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::engine::Fault;

/// The largest body that is read, bytes.
const LARGEST: usize = 32 << 20;

/// The body of `GET path`. CometBFT answers errors of its own with status 500 and a JSON body, which is returned too.
pub async fn get<S>(stream: S, address: &str, path: &str, bound: Duration) -> Result<Vec<u8>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    timeout(bound, exchange(stream, address, path))
        .await
        .unwrap_or_else(|_| Err(Fault::answer(&format!("RPC {path} gave no answer in {} s", bound.as_secs_f32()))))
}

async fn exchange<S>(stream: S, address: &str, path: &str) -> Result<Vec<u8>, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: &dyn std::fmt::Display| Fault::answer(&format!("RPC {path}: {error}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let driver = tokio::spawn(connection);
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, address)
        .header(hyper::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| failed(&error))?;
    driver.abort();
    Ok(body.to_bytes().to_vec())
}
