//! An API server of few words: each request gets the answer that a test has for it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// What was asked, by whom and when.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Path and query.
    pub(super) path: String,
    pub(super) token: String,
    pub(super) at: Instant,
}

impl Request {
    pub(super) fn is_watch(&self) -> bool {
        self.path.contains("watch=true")
    }

    /// A watch that wants everything first.
    pub(super) fn is_streamed_list(&self) -> bool {
        self.path.contains("sendInitialEvents=true")
    }
}

/// What is answered.
pub(super) enum Answer {
    /// A list of these objects.
    List(Vec<Value>),
    /// A status with this code and message.
    Refused(u16, &'static str),
    /// Overloaded, with the seconds of `Retry-After`.
    Busy(u32),
    /// A list that breaks off after this object.
    Broken(Value),
    /// These events, and the end of the stream.
    Ends(Vec<Value>),
    /// These events, and then nothing more, without an end.
    FallsSilent(Vec<Value>),
}

/// Listens; each request goes through `answer` and then to the receiver.
pub(super) async fn serve(
    mut answer: impl FnMut(&Request) -> Answer + Send + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            let answer = answer(&request);
            let _ = sender.send(request);
            tokio::spawn(write(stream, answer));
        }
    });
    (address, requests)
}

/// A request without a body.
async fn read(stream: &mut TcpStream) -> Request {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let bearer = text.lines().find_map(|line| line.split_once(": Bearer "));
    Request {
        path,
        token: bearer.map_or("", |(_, token)| token).to_owned(),
        at: Instant::now(),
    }
}

/// One answer for each connection: its end is the end of the body.
async fn write(mut stream: TcpStream, answer: Answer) {
    let (mut code, mut head) = (200, String::new());
    let (lines, ends) = match answer {
        Answer::List(items) => {
            let list = json!({"kind": "NodeList", "apiVersion": "v1",
                "metadata": {"resourceVersion": "7"}, "items": items});
            (vec![list.to_string()], true)
        }
        Answer::Broken(item) => (vec![format!(r#"{{"items":[{item},{{"metadata":"#)], true),
        Answer::Refused(status_code, message) => {
            code = status_code;
            (vec![status(code, message).to_string()], true)
        }
        Answer::Busy(seconds) => {
            code = 429;
            head = format!("Retry-After: {seconds}\r\n");
            (vec!["Too many requests".to_owned()], true)
        }
        Answer::Ends(events) => (events.iter().map(Value::to_string).collect(), true),
        Answer::FallsSilent(events) => (events.iter().map(Value::to_string).collect(), false),
    };
    let mut text = format!("HTTP/1.1 {code} So\r\n{head}Connection: close\r\n\r\n");
    for line in lines {
        text = format!("{text}{line}\n");
    }
    stream.write_all(text.as_bytes()).await.unwrap();
    if !ends {
        std::future::pending::<()>().await;
    }
}

pub(super) fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Because", "code": code})
}
