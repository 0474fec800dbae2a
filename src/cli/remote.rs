//! `reload`, `drain`, `hold`, `rules` and `status`: one request to the admin port of the node that the configuration describes.
//!
//! Promises: 69 when there is no answer or the node is not ready, 65 when a bundle was refused; what is wrong is said.

use super::at_hand::AtHand;
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

/// Asks, prints what was answered, and says what to exit with.
pub(super) fn ask(config: &ConfigArgument, request: Request<'_>) -> ExitCode {
    // The bundle is the running node's business, and may be broken just now.
    let node = match control::node_config(&config.source()) {
        Ok(node) => node,
        Err(faults) => return super::refuse(&faults),
    };
    let asked = address(&node).and_then(|address| {
        let answer = send(address, &node, request);
        let (status, body) =
            answer.map_err(|error| format!("no answer from http://{address}: {error}"))?;
        Ok((address, status, body))
    });
    let (address, status, body) = match asked {
        Ok(answer) => answer,
        Err(sentence) => return unavailable(&sentence),
    };
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
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
            let faults: String = lines(&body["faults"], "");
            let said = format!("{faults}tollgate: {}\n", text(&body["detail"]));
            let _said = say(&mut io::stderr(), &said);
            Exit::BadData.into()
        }
        (Request::Drain, 202) => say(
            &mut io::stdout(),
            &format!("draining; it stops in {} s\n", node.drain_time.as_secs()),
        ),
        (Request::Holds, 200) => say(&mut io::stdout(), &held(&body)),
        (Request::Release(id), 200) => say(&mut io::stdout(), &format!("released {id}\n")),
        (Request::Release(_), 404) => {
            let said = format!("tollgate: {}\n", text(&body["detail"]));
            let _said = say(&mut io::stderr(), &said);
            Exit::BadData.into()
        }
        (Request::Rules, 200) => say(&mut io::stdout(), &hits(&body)),
        (Request::Status, 200) => {
            AtHand::of(config, &node).compare(address, &body);
            let said = say(&mut io::stdout(), &summary(&body));
            if body["ready"] == Value::Bool(true) {
                return said;
            }
            Exit::Unavailable.into()
        }
        (_, status) => unavailable(&format!(
            "the admin port answers {status}: {}",
            text(&body["detail"])
        )),
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
    let nobody = "no running node answers at admin.http";
    let address = address(node).map_err(|_| Unexplained::Nobody(nobody.to_owned()))?;
    let (status, body) = send(address, node, Request::Explain(&path))
        .map_err(|_| Unexplained::Nobody(nobody.to_owned()))?;
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
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

/// Status and body.
fn send(
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

fn summary(body: &Value) -> String {
    let bundle = &body["bundle"];
    let state = if body["ready"] == Value::Bool(true) {
        "ready".to_owned()
    } else {
        format!("NOT READY: {}", text(&body["why_not_ready"]))
    };
    let stale = if bundle["stale"] == Value::Bool(true) {
        format!(
            "bundle REFUSED, the one in force is older:\n{}",
            lines(&bundle["faults"], "  ")
        )
    } else {
        String::new()
    };
    let shards: String = body["shards"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(number, shard)| {
            let running = if shard["running"] == Value::Bool(true) {
                "running"
            } else {
                "DOWN"
            };
            format!(
                "shard {number}: {running}, datagrams {}, dropped by the kernel {}\n",
                shard["datagrams"], shard["kernel_dropped"]
            )
        })
        .collect();
    let unknown = unknown_sources(&body["unknown_sources"]);
    format!(
        "{}: {state}; tollgate {}, up {} s\nbundle: generation {}, in force for {} s, domains {}, refused {}, read from {}\n{stale}{shards}{unknown}",
        text(&body["node"]),
        text(&body["version"]),
        body["uptime_seconds"],
        text(&bundle["generation"]),
        bundle["age_seconds"],
        bundle["domains"],
        bundle["refused_total"],
        text(&bundle["read_from"]),
    )
}

/// Who asks and is nobody's peer: a PBX that hears nothing is most likely among them.
fn unknown_sources(unknown: &Value) -> String {
    let most: Vec<String> = unknown["most"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|source| format!("{} ({})", text(&source["address"]), source["datagrams"]))
        .collect();
    let from = if most.is_empty() {
        String::new()
    } else {
        format!(", never answered; most from {}", most.join(", "))
    };
    format!("nobody's peers: datagrams {}{from}\n", unknown["datagrams"])
}

/// A line for every hold: what it is ended by, its code, how long it lasts, and whom it holds.
fn held(body: &Value) -> String {
    let holds = body["holds"].as_array().cloned().unwrap_or_default();
    let mut said: String = holds
        .iter()
        .map(|hold| {
            let about = ["domain", "subscriber", "limit", "caller", "address", "to"]
                .into_iter()
                .map(|name| (name, text(&hold[name])))
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| format!(" {name} {value}"))
                .collect::<String>();
            format!(
                "{} {} {} s left:{about}\n",
                text(&hold["id"]),
                text(&hold["code"]),
                hold["left_seconds"]
            )
        })
        .collect();
    match body["more"].as_u64() {
        Some(more) if more > 0 => said += &format!("and {more} more\n"),
        _ if holds.is_empty() => said += "no hold is in force\n",
        _ => {}
    }
    said
}

/// Lines on codes, a line for every limit, and for every list and for each of its rows that decided calls.
fn hits(body: &Value) -> String {
    let mut said = String::new();
    let each = |list: &Value| list.as_array().cloned().unwrap_or_default();
    said += &codes(&each(&body["rules"]));
    for limit in each(&body["limits"]) {
        said += &format!(
            "limit {} of {}, {} {}: {}\n",
            text(&limit["limit"]),
            text(&limit["policy"]),
            text(&limit["action"]),
            text(&limit["code"]),
            limit_calls(&limit)
        );
    }
    if let Some(more) = body["limits_more"].as_u64().filter(|more| *more > 0) {
        said += &format!("and {more} limits more\n");
    }
    for list in each(&body["lists"]) {
        let calls = match list["calls"].as_u64() {
            Some(calls) => format!("calls {calls}"),
            None => "calls not counted without [journal]".to_owned(),
        };
        let file = text(&list["file"]);
        said += &format!("{file}: rows {}, {calls}\n", list["rows"]);
        for row in each(&list["deciding"]) {
            said += &format!("{file}:{}: calls {}\n", row["line"], row["calls"]);
        }
    }
    said
}

/// A line for every code that decided calls, can, or can report some; then what cannot, and what would make it.
fn codes(rules: &[Value]) -> String {
    let mut said = String::new();
    // By what would make them, those that come to nothing, with their places.
    let mut idle: Vec<(&str, Vec<(usize, &str)>)> = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        let code = text(&rule["code"]);
        let by = text(&rule["decides_by"]);
        let would = rule["would"].as_u64().unwrap_or(0);
        let reach = text(&rule["reach"]);
        if reach == "nothing" && rule["calls"] == 0 && would == 0 {
            match idle.iter_mut().find(|(known, _)| *known == by) {
                Some((_, codes)) => codes.push((place, code)),
                None => idle.push((by, vec![(place, code)])),
            }
            continue;
        }
        let would = match would {
            0 => String::new(),
            would => format!(", in detection mode would have: {would}"),
        };
        let reach = match reach {
            "nothing" => format!("; none any more without {by}"),
            "reports" => format!("; it only reports without {by}"),
            _ => String::new(),
        };
        said += &format!("{code}: calls {}{would}{reach}\n", rule["calls"]);
    }
    for (by, codes) in idle {
        said += &format!("{}: never without {by}\n", runs(&codes));
    }
    said
}

/// Codes with those that follow each other drawn together, if there are more than two: `R08 to R11, R13`.
fn runs(codes: &[(usize, &str)]) -> String {
    let follows = |left: &(usize, &str), right: &(usize, &str)| left.0 + 1 == right.0;
    let runs = codes.chunk_by(follows).map(|run| match run {
        [(_, only)] => (*only).to_owned(),
        [(_, first), (_, last)] => format!("{first}, {last}"),
        [(_, first), .., (_, last)] => format!("{first} to {last}"),
        [] => String::new(),
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn limit_calls(limit: &Value) -> String {
    let Some(calls) = limit["calls"].as_u64() else {
        return "calls not counted without [journal]".to_owned();
    };
    let some = |name: &str, said: &str| match limit[name].as_u64() {
        Some(count) if count > 0 => format!(", {said} {count}"),
        _ => String::new(),
    };
    let held = some("held", "of them by its hold");
    let warned = some("warned", "warnings");
    format!("calls {calls}{held}{warned}")
}

fn lines(list: &Value, indent: &str) -> String {
    let texts = list.as_array().into_iter().flatten();
    texts
        .map(|line| format!("{indent}{}\n", text(line)))
        .collect()
}

/// A string without its quotes; nothing for what is no string.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn unavailable(sentence: &str) -> ExitCode {
    let _said = say(&mut io::stderr(), &format!("tollgate: {sentence}\n"));
    Exit::Unavailable.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_come_to_nothing_are_told_with_what_would_make_them() {
        let limit = "a limit with that code";
        let of = |code: &str, calls: u64, would: u64, reach: &str, by: &str| serde_json::json!({ "code": code, "calls": calls, "would": would, "reach": reach, "decides_by": by });
        let rules = [
            of("A00", 5, 0, "decides", "a domain"),
            of("R01", 0, 0, "decides", "an agent"),
            of("R02", 0, 0, "nothing", "an address"),
            of("R03", 2, 1, "nothing", "a number"),
            of("R08", 0, 0, "nothing", limit),
            of("R09", 0, 0, "nothing", limit),
            of("R12", 0, 0, "nothing", "an address with R12"),
            of("R13", 0, 0, "nothing", limit),
            of("R14", 0, 0, "reports", "identity"),
            of("X01", 0, 0, "nothing", limit),
            of("X02", 0, 0, "nothing", limit),
            of("X03", 0, 0, "nothing", limit),
        ];
        assert_eq!(
            codes(&rules),
            "A00: calls 5\nR01: calls 0\n\
             R03: calls 2, in detection mode would have: 1; none any more without a number\n\
             R14: calls 0; it only reports without identity\n\
             R02: never without an address\n\
             R08, R09, R13, X01 to X03: never without a limit with that code\n\
             R12: never without an address with R12\n"
        );
    }

    #[test]
    fn hits_are_told_in_lines() {
        let body: Value = serde_json::from_str(
            r#"{"rules":[{"code":"A00","calls":5,"would":0},{"code":"R03","calls":2,"would":1}],
               "limits":[{"policy":"std","limit":"pair","code":"R13","action":"reject","calls":3,"held":2,"warned":1},
               {"policy":"std","limit":"day","code":"R11","action":"report","calls":0,"held":0,"warned":0},
               {"policy":"std","limit":"night","code":"R08","action":"report","calls":null,"held":null,"warned":null}],"limits_more":7,
               "lists":[{"file":"lists/a.csv","rows":9,"calls":2,"deciding":[{"line":4,"calls":2}]},
               {"file":"lists/b.csv","rows":1,"calls":null,"deciding":[]}]}"#,
        )
        .unwrap();
        assert_eq!(
            hits(&body),
            "A00: calls 5\nR03: calls 2, in detection mode would have: 1\n\
             limit pair of std, reject R13: calls 3, of them by its hold 2, warnings 1\n\
             limit day of std, report R11: calls 0\n\
             limit night of std, report R08: calls not counted without [journal]\n\
             and 7 limits more\n\
             lists/a.csv: rows 9, calls 2\nlists/a.csv:4: calls 2\n\
             lists/b.csv: rows 1, calls not counted without [journal]\n"
        );
    }

    #[test]
    fn a_status_is_told_in_lines() {
        let body: Value = serde_json::from_str(
            r#"{"node":"a","version":"1","uptime_seconds":5,"ready":false,"why_not_ready":"draining",
               "bundle":{"generation":"0a","age_seconds":4,"domains":2,"refused_total":1,"stale":true,"read_from":"/a/bundle",
               "faults":["x.csv:1:1: no"]},
               "shards":[{"running":true,"datagrams":7,"kernel_dropped":0}],
               "unknown_sources":{"datagrams":6,"most":[{"address":"192.0.2.7","datagrams":5},{"address":"2001:db8::1","datagrams":1}]}}"#,
        )
        .unwrap();
        assert_eq!(
            summary(&body),
            "a: NOT READY: draining; tollgate 1, up 5 s\n\
             bundle: generation 0a, in force for 4 s, domains 2, refused 1, read from /a/bundle\n\
             bundle REFUSED, the one in force is older:\n  x.csv:1:1: no\n\
             shard 0: running, datagrams 7, dropped by the kernel 0\n\
             nobody's peers: datagrams 6, never answered; most from 192.0.2.7 (5), 2001:db8::1 (1)\n"
        );
        let none = serde_json::json!({ "datagrams": 0, "most": [] });
        assert_eq!(unknown_sources(&none), "nobody's peers: datagrams 0\n");
    }
}
