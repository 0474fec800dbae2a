//! `reload`, `drain`, `hold`, `rules` and `status`: one request to the admin port of the node that the configuration describes.
//!
//! Promises: 69 when no node answers, it is not ready, or it does not take the order from us; 65 when it refuses what was given;
//! what is wrong is said. What is no Tollgate is not taken for one.

use super::at_hand::AtHand;
use super::told::{held, hits, lines, summary, text};
use super::{ConfigArgument, Exit, say};
use crate::control::{self, NodeConfig};
use crate::process::ADMIN_ADDRESS_FILE;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// How long a node may take to say that it is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an order may take: reading a large bundle on a busy machine does.
const TIMEOUT: Duration = Duration::from_secs(300);

/// A request and what its answer means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Reload,
    Drain,
    Holds,
    Release(&'a str),
    Rules,
    Status,
    Explain(&'a str),
}

impl Request<'_> {
    /// What a body has that answers it with this status.
    fn member(self, status: u16) -> &'static str {
        match self {
            _ if status >= 300 => "detail",
            Self::Reload => "generation",
            Self::Drain => "draining",
            Self::Holds => "holds",
            Self::Release(_) => "released",
            Self::Rules => "rules",
            Self::Status => "bundle",
            Self::Explain(_) => "steps",
        }
    }
}

/// Asks, prints what was answered, and says what to exit with.
pub(super) fn ask(config: &ConfigArgument, request: Request<'_>) -> ExitCode {
    // The bundle is the running node's business, and may be broken just now.
    let node = match control::node_config(&config.source()) {
        Ok(node) => node,
        Err(faults) => return super::refuse(&faults),
    };
    let asked = address(&node).and_then(|address| {
        let (status, body) = send(address, &node, request).map_err(Failure::sentence)?;
        Ok((address, status, body))
    });
    let (address, status, body) = match asked {
        Ok(answer) => answer,
        Err(sentence) => return failed(Exit::Unavailable, &sentence),
    };
    match (request, status) {
        (Request::Reload, 200) => {
            let same = if body["changed"] == Value::Bool(false) {
                ", the same as before"
            } else {
                ""
            };
            say(
                &mut io::stdout(),
                &format!("in force: generation {}{same}\n", text(&body["generation"])),
            )
        }
        (Request::Reload, 422) => {
            let _said = say(&mut io::stderr(), &lines(&body["faults"], ""));
            failed(Exit::BadData, text(&body["detail"]))
        }
        (Request::Drain, 202) => say(
            &mut io::stdout(),
            &format!("draining; it stops in {} s\n", node.drain_time.as_secs()),
        ),
        (Request::Holds, 200) => say(&mut io::stdout(), &held(&body)),
        (Request::Release(id), 200) => say(&mut io::stdout(), &format!("released {id}\n")),
        (Request::Release(_), 404) => failed(Exit::BadData, text(&body["detail"])),
        (Request::Rules, 200) => say(&mut io::stdout(), &hits(&body)),
        (Request::Status, 200) => {
            AtHand::of(config, &node).compare(address, &body);
            let said = say(&mut io::stdout(), &summary(&body));
            if body["ready"] == Value::Bool(true) {
                return said;
            }
            Exit::Unavailable.into()
        }
        (_, status) => {
            let detail = text(&body["detail"]);
            failed(
                Exit::Unavailable,
                &format!("the admin port answers {status}: {detail}"),
            )
        }
    }
}

/// A call as the running node explains it.
pub(super) struct Explained {
    pub(super) generation: String,
    /// What is looked at, and what it comes to.
    pub(super) steps: Vec<(String, String)>,
}

/// Why no running node explains a call.
pub(super) enum Unexplained {
    /// There is none to ask, or it does not say: why, as a sentence.
    Nobody(String),
    /// It says that there is nothing to explain: why, as a sentence.
    NoCall(String),
}

/// What the running node explains. Where it goes by another bundle than the files at hand, that is said.
pub(super) fn explained(
    config: &ConfigArgument,
    node: &NodeConfig,
    peer: IpAddr,
    datagram: &[u8],
) -> Result<Explained, Unexplained> {
    let hexadecimal = datagram.iter().fold(String::new(), |mut digits, octet| {
        // Writing to a String cannot fail.
        let _written = write!(digits, "{octet:02x}");
        digits
    });
    let path = format!("{peer}/{hexadecimal}");
    let nobody = || Unexplained::Nobody("no running node answers at admin.http".to_owned());
    let address = address(node).map_err(|_| nobody())?;
    let (status, body) =
        send(address, node, Request::Explain(&path)).map_err(|failure| match failure {
            Failure::NoAnswer(_) => nobody(),
            Failure::NoNode(sentence) => Unexplained::Nobody(sentence),
        })?;
    if matches!(status, 200 | 422) {
        AtHand::of(config, node).compare(address, &body);
    }
    match status {
        200 => {
            let steps = body["steps"].as_array().into_iter().flatten();
            let steps = steps.map(|step| {
                (
                    text(&step["what"]).to_owned(),
                    text(&step["answer"]).to_owned(),
                )
            });
            Ok(Explained {
                generation: text(&body["generation"]).to_owned(),
                steps: steps.collect(),
            })
        }
        422 => Err(Unexplained::NoCall(text(&body["detail"]).to_owned())),
        _ => Err(Unexplained::Nobody(format!(
            "what listens at http://{address} answers {status} {}",
            text(&body["detail"])
        ))),
    }
}

/// Where the node's admin port is reached: a port that the kernel chose stands in the state folder.
fn address(node: &NodeConfig) -> Result<SocketAddr, String> {
    let mut address = node.admin_http;
    if address.port() == 0 {
        let file = node.state_dir.join(ADMIN_ADDRESS_FILE);
        let text = fs::read_to_string(&file).map_err(|error| {
            format!(
                "admin.http has port 0, and {}, where a running node notes its port, cannot be read: {error}",
                file.display()
            )
        })?;
        address = text
            .trim()
            .parse()
            .map_err(|_| format!("{} holds no address", file.display()))?;
    }
    match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(any) if any.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(address)
}

/// Why there is no answer of a node: a sentence.
enum Failure {
    /// Nobody answers, or not in HTTP.
    NoAnswer(String),
    /// Somebody answers, who is no node.
    NoNode(String),
}

impl Failure {
    fn sentence(self) -> String {
        match self {
            Self::NoAnswer(sentence) | Self::NoNode(sentence) => sentence,
        }
    }
}

/// Status and body of what a node answers.
fn send(
    address: SocketAddr,
    node: &NodeConfig,
    request: Request<'_>,
) -> Result<(u16, Value), Failure> {
    let (status, body) = exchange(address, node, request).map_err(|error| {
        let hint = match &error {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "; does a node with this configuration run?"
            }
            _ => "",
        };
        Failure::NoAnswer(format!("no answer from http://{address}: {error}{hint}"))
    })?;
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    if body[request.member(status)].is_null() {
        return Err(Failure::NoNode(format!(
            "what answers {status} at http://{address} is no admin port of a node"
        )));
    }
    Ok((status, body))
}

/// Status and body, whoever answers.
fn exchange(
    address: SocketAddr,
    node: &NodeConfig,
    request: Request<'_>,
) -> Result<(u16, String), ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // The environment's proxy is for the world outside, not for this machine's admin port.
        .proxy(None)
        .max_redirects(0)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(Some(TIMEOUT))
        .build()
        .into();
    let bearer = node
        .token
        .as_ref()
        .map(|token| format!("Bearer {}", token.secret()));
    let url = |path: &str| format!("http://{address}{path}");
    let get = |path: &str| {
        let call = agent.get(url(path));
        match &bearer {
            Some(bearer) => call.header("authorization", bearer),
            None => call,
        }
        .call()
    };
    let post = |path: &str| {
        let call = agent.post(url(path));
        match &bearer {
            Some(bearer) => call.header("authorization", bearer),
            None => call,
        }
        .send_empty()
    };
    let delete = |path: &str| {
        let call = agent.delete(url(path));
        match &bearer {
            Some(bearer) => call.header("authorization", bearer),
            None => call,
        }
        .call()
    };
    let mut answer = match request {
        Request::Status => get("/v1/status"),
        Request::Rules => get("/v1/rules"),
        Request::Holds => get("/v1/holds"),
        Request::Explain(path) => get(&format!("/v1/explain/{path}")),
        Request::Reload => post("/v1/reload"),
        Request::Drain => post("/v1/drain"),
        Request::Release(id) => delete(&format!("/v1/holds/{id}")),
    }?;
    let status = answer.status().as_u16();
    Ok((status, answer.body_mut().read_to_string()?))
}

fn failed(exit: Exit, sentence: &str) -> ExitCode {
    let _said = say(&mut io::stderr(), &format!("tollgate: {sentence}\n"));
    exit.into()
}
