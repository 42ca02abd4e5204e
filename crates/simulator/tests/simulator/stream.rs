//! The viewer stream of the test server: hello, acks, and pulses, windows and moments on a beat.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use emostream_protocol::{
    frame::{SUBPROTOCOL, ViewerMessage},
    time::format_ms,
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::{net::TcpStream, time::interval};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

use crate::server::{Kept, Reply};

/// The first sequence that is sent.
const FIRST_SEQ: u64 = 1_000;

#[expect(clippy::result_large_err, reason = "the library's own type for refusing a handshake")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.headers()["sec-websocket-protocol"], SUBPROTOCOL);
    response.headers_mut().insert("sec-websocket-protocol", SUBPROTOCOL.parse().unwrap());
    Ok(response)
}

pub(crate) async fn serve(stream: TcpStream, kept: &Arc<Kept>) -> Result<()> {
    let mut stream = accept_hdr_async(stream, agree).await?;
    let hello = json!({"type": "hello", "channel": "main", "epoch": "e", "seq": 1, "server_time": format_ms(kept.now_ms()), "window_ms": 200});
    stream.send(Message::text(hello.to_string())).await?;
    let mut beat = interval(Duration::from_millis(50));
    let mut seq = FIRST_SEQ;
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if !react(&mut stream, kept, &text).await? {
                        return Ok(());
                    }
                }
                Some(Ok(_)) => {}
                _ => return Ok(()),
            },
            _ = beat.tick() => {
                seq += 2;
                send_beat(&mut stream, kept, seq).await?;
            }
        }
    }
}

/// Whether the connection goes on.
async fn react(stream: &mut WebSocketStream<TcpStream>, kept: &Kept, text: &str) -> Result<bool> {
    let Ok(ViewerMessage::React(input)) = ViewerMessage::parse(text) else { panic!("no react: {text}") };
    let id = input.id.as_ref().unwrap().0.to_string();
    let reply = kept.next_reply();
    let result = kept.arrive(&input, matches!(reply, Reply::Take | Reply::TakeAndDrop));
    let answer = match (reply, result) {
        (_, Err(class)) => {
            json!({"type": "error", "id": id, "code": class, "detail": "no", "server_time": format_ms(kept.now_ms())})
        }
        (Reply::TakeAndDrop, _) => return Ok(false),
        (Reply::Later(ms), _) => {
            json!({"type": "error", "id": id, "code": "overloaded", "detail": "no", "retry_after_ms": ms})
        }
        (Reply::Refuse, _) => {
            json!({"type": "error", "id": id, "code": "emote-not-allowed", "detail": "no"})
        }
        (Reply::Take, _) => json!({"type": "ack", "id": id}),
    };
    stream.send(Message::text(answer.to_string())).await?;
    Ok(true)
}

async fn send_beat(stream: &mut WebSocketStream<TcpStream>, kept: &Kept, seq: u64) -> Result<()> {
    let counts = kept.pulse.lock().unwrap().clone();
    // A viewer may come late: the probe's emote is shown for two beats, as if pulses overlapped.
    if seq.is_multiple_of(4) {
        kept.pulse.lock().unwrap().clear();
    }
    let frame = |kind: &str, seq: u64| json!({"type": kind, "epoch": "e", "seq": seq}).to_string();
    let pulse = json!({"type": "pulse", "epoch": "e", "seq": seq, "counts": counts});
    stream.feed(Message::text(pulse.to_string())).await?;
    stream.feed(Message::text(frame("window", seq))).await?;
    stream.feed(Message::text(frame("moment", seq + 1))).await?;
    if kept.faulty_stream {
        stream.feed(Message::text(frame("window", seq - 1))).await?;
        stream.feed(Message::text(frame("moment", seq + 1))).await?;
    }
    stream.flush().await?;
    Ok(())
}
