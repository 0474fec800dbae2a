//! Reads a SIP message as lines, for tests: no folding, no compact forms, nothing but what our own answers and the captures use.
//!
//! Promises: `violations` names every way in which an answer breaks RFC 3261 §8.2.6 towards its request, not only the first.
//! Leaves to the test: which status and which Contact are right.

use std::collections::BTreeMap;

/// A message cut into its start line and header fields, values without the blanks around them.
pub(crate) struct Message {
    pub(crate) start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// Cuts `bytes`. Octets above 0x7F are kept as they are, one char each.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes
            .windows(4)
            .position(|at| at == b"\r\n\r\n")
            .ok_or("no blank line")?;
        let latin1 = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|octet| char::from(*octet))
                .collect::<String>()
        };
        let head = latin1(&bytes[..end]);
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("no colon in {line:?}"))?;
            headers.push((name.trim_end().to_owned(), value.trim().to_owned()));
        }
        if head
            .chars()
            .any(|c| c != '\r' && c != '\n' && c != '\t' && c < ' ')
        {
            return Err("a control octet in the head".to_owned());
        }
        if head.replace("\r\n", "").contains(['\r', '\n']) {
            return Err("a CR or LF on its own".to_owned());
        }
        Ok(Self {
            start,
            headers,
            body: bytes[end + 4..].to_vec(),
        })
    }

    /// Every value of the header `name`, top-down.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// The only value of the header `name`; `None` when there is none or more than one.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        let rest = self.start.strip_prefix("SIP/2.0 ")?;
        let (code, _phrase) = rest.split_once(' ')?;
        (code.len() == 3).then(|| code.parse().ok())?
    }

    /// The sent-by of the top Via: host, and port if there is one.
    pub(crate) fn sent_by(&self) -> Option<(&str, Option<u16>)> {
        let via = self.all("Via").first().copied()?;
        let (_protocol, rest) = via.split_once(' ')?;
        let sent_by = rest.split(';').next()?.trim();
        match sent_by.rsplit_once(':') {
            Some((host, port)) => Some((host, Some(port.parse().ok()?))),
            None => Some((sent_by, None)),
        }
    }

    /// The tag of `To`, if it has one.
    pub(crate) fn to_tag(&self) -> Option<&str> {
        let (_address, parameters) = self.one("To")?.rsplit_once('>')?;
        parameters
            .split(';')
            .find_map(|parameter| parameter.trim().strip_prefix("tag="))
    }
}

/// How `answer` breaks RFC 3261 §8.2.6.2 (and RFC 3581) towards `request`, which came from `source`. Empty: not at all.
pub(crate) fn violations(
    request: &[u8],
    source: std::net::SocketAddr,
    answer: &[u8],
) -> Vec<String> {
    let asked = match Message::read(request) {
        Ok(asked) => asked,
        Err(fault) => return vec![format!("the request itself: {fault}")],
    };
    let got = match Message::read(answer) {
        Ok(got) => got,
        Err(fault) => return vec![format!("the answer: {fault}")],
    };
    let mut faults = Vec::new();
    if got.status().is_none() {
        faults.push(format!("status line {:?}", got.start));
    }
    for name in ["From", "Call-ID", "CSeq"] {
        if got.one(name).is_none() || got.one(name) != asked.one(name) {
            faults.push(format!(
                "{name} {:?} is not the request's {:?}",
                got.all(name),
                asked.all(name)
            ));
        }
    }
    match (got.one("To"), asked.one("To")) {
        (Some(to), Some(was)) if asked.to_tag().is_some() && to == was => {}
        (Some(to), Some(was)) if asked.to_tag().is_none() => {
            let tag = to
                .strip_prefix(was)
                .and_then(|rest| rest.strip_prefix(";tag="));
            if !tag.is_some_and(|tag| {
                !tag.is_empty()
                    && tag
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c))
            }) {
                faults.push(format!("To {to:?} is not {was:?} and a tag"));
            }
        }
        (to, was) => faults.push(format!("To {to:?} for {was:?}")),
    }
    let (vias, were) = (got.all("Via"), asked.all("Via"));
    if vias.len() != were.len() || vias.get(1..) != were.get(1..) {
        faults.push(format!("Vias {vias:?} are not the request's {were:?}"));
    }
    if let (Some(via), Some(was)) = (vias.first(), were.first()) {
        faults.extend(top_via_violation(was, source, via));
    }
    if got.one("Content-Length") != Some("0") || !got.body.is_empty() {
        faults.push(format!(
            "Content-Length {:?} and {} octets of body",
            got.all("Content-Length"),
            got.body.len()
        ));
    }
    if got.one("Record-Route").is_some() {
        faults.push("Record-Route echoed".to_owned()); // RFC 3261 §12.1.1: only in answers that make a dialog
    }
    if answer.len() > request.len() + 250
        || (request.len() >= 300 && answer.len() * 2 > request.len() * 3)
    {
        faults.push(format!(
            "{} octets for {}: an amplifier",
            answer.len(),
            request.len()
        ));
    }
    faults
}

/// The top Via may gain `received` and a value for `rport`, and nothing else may change.
fn top_via_violation(was: &str, source: std::net::SocketAddr, via: &str) -> Option<String> {
    let cut = |via: &str| {
        let mut parts = via.split(';');
        let sent_by = parts.next().unwrap_or_default().to_owned();
        let parameters: BTreeMap<String, Option<String>> = parts
            .map(|part| match part.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (part.to_owned(), None),
            })
            .collect();
        (sent_by, parameters)
    };
    let (sent_by, mut expected) = cut(was);
    let host_and_port = sent_by.rsplit(' ').next().unwrap_or_default();
    let host = host_and_port
        .rsplit_once(':')
        .map_or(host_and_port, |(host, _port)| host);
    let address_differs = host != source.ip().to_string();
    let asks_rport = expected.contains_key("rport");
    if asks_rport {
        expected.insert("rport".to_owned(), Some(source.port().to_string()));
    }
    if asks_rport || address_differs {
        // RFC 3581 §4: with rport, `received` is added even if it equals the sent-by.
        expected.insert("received".to_owned(), Some(source.ip().to_string()));
    } else if via != was {
        return Some(format!("top Via {via:?} is not {was:?}"));
    }
    (cut(via) != (sent_by, expected.clone()))
        .then(|| format!("top Via {via:?}, expected {was:?} with {expected:?}"))
}
